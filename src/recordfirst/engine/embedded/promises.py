"""Requests on promises."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from recordfirst.engine.embedded.requests import (
    BadRequest,
    ById,
    Callback,
    PromiseCreate,
    PromiseSettle,
    RegisterListener,
    RequestRefused,
)
from recordfirst.engine.embedded.rows import DELAY, TARGET, Promise, Task, Value
from recordfirst.engine.embedded.transition import Transition, replace, timeout_state

type Data = dict[str, Any]
"""A response's data; whatever goes wrong raises ``RequestRefused``."""

_SCHEMES = {"http", "https", "poll", "local", "gcps", "bash"}


def record(promise: Promise) -> dict[str, Any]:
    """Return a promise as it goes over the wire."""
    return {
        "id": promise.id,
        "state": promise.state,
        "param": promise.param,
        "value": promise.value,
        "tags": promise.tags,
        "timeoutAt": promise.timeout_at,
        "createdAt": promise.created_at,
        "settledAt": promise.settled_at,
    }


def get(turn: Transition, request: ById) -> Data:
    """Look at a promise."""
    return {"promise": record(_found(turn, request.id))}


def _found(turn: Transition, id: str) -> Promise:
    promise = turn.look(id)
    if promise is None:
        raise RequestRefused(404, "Promise not found")
    return promise


def create(turn: Transition, request: PromiseCreate) -> Data:
    """Create a promise; the same again changes nothing, whatever else it says."""
    tags = request.tags or {}
    check_address(tags.get(TARGET), "resonate:target")
    promise = turn.look(request.id) or new(turn, request, created_at=turn.now)
    return {"promise": record(promise)}


def new(turn: Transition, request: PromiseCreate, *, created_at: int) -> Promise:
    """Put a promise that was not there, and its task if it has a target, pending."""
    promise = unstored(turn, request, created_at=created_at)
    turn.state.put_promise(promise)
    if TARGET not in promise.tags:
        return promise
    delay = int(promise.tags.get(DELAY, "0"))
    if promise.state != "pending":
        turn.state.put_task(Task(id=promise.id, state="fulfilled"))
    elif turn.now < delay and not promise.timer:
        turn.state.put_task(Task(id=promise.id, state="pending", due_at=delay))
    else:
        turn.make_pending(Task(id=promise.id, state="pending"), promise)
    return promise


def unstored(turn: Transition, request: PromiseCreate, *, created_at: int) -> Promise:
    """Return the promise that a request asks for; one that is born too late is settled."""
    tags = request.tags or {}
    late = turn.now >= request.timeout_at
    return Promise(
        id=request.id,
        state=timeout_state(tags) if late else "pending",
        param=request.param or Value(),
        value=Value(),
        tags=tags,
        timeout_at=request.timeout_at,
        created_at=request.timeout_at if late else created_at,
        settled_at=request.timeout_at if late else None,
    )


def settle(turn: Transition, request: PromiseSettle) -> Data:
    """Settle a promise; one that has settled stays as it is."""
    promise = _found(turn, request.id)
    if promise.state == "pending":
        promise = turn.settle(promise, request.state, request.value or Value(), turn.now)
    return {"promise": record(promise)}


def register_callback(turn: Transition, request: Callback) -> Data:
    """Let a task hear of a promise. If it has settled already, a suspended task resumes at once."""
    awaited, awaiter = _found(turn, request.awaited), turn.look(request.awaiter)
    task = turn.state.task(request.awaiter)
    if awaiter is None or task is None:
        raise RequestRefused(422, "Awaiter promise not found, or it has no resonate:target tag")
    check_awaitable(awaited)
    if awaiter.state == "pending":
        if awaited.state == "pending":
            await_(turn, task, awaited)
        elif task.state == "suspended":
            turn.make_pending(task, awaiter)
        elif task.state in {"pending", "acquired"} and awaited.id not in task.resumes:
            turn.state.put_task(replace(task, resumes=(*task.resumes, awaited.id)))
    return {"promise": record(awaited)}


def check_awaitable(promise: Promise) -> None:
    """Refuse to let a task wait for a promise that no timeout would ever settle."""
    if not promise.awaitable:
        raise RequestRefused(
            422, "Awaited promise is settled by its own execution alone: who waits could wait for ever"
        )


def await_(turn: Transition, task: Task, awaited: Promise) -> Task:
    """Note on both sides that a task awaits a pending promise; return the task as it is then."""
    if task.id not in awaited.awaiters:
        turn.state.put_promise(replace(awaited, awaiters=(*awaited.awaiters, task.id)))
        task = replace(task, awaits=(*task.awaits, awaited.id))
        turn.state.put_task(task)
    return task


def register_listener(turn: Transition, request: RegisterListener) -> Data:
    """Let an address hear of a promise, if it has not settled."""
    check_address(request.address, "listener")
    promise = _found(turn, request.awaited)
    if promise.state == "pending" and request.address not in promise.listeners:
        promise = replace(promise, listeners=(*promise.listeners, request.address))
        turn.state.put_promise(promise)
    return {"promise": record(promise)}


def check_address(address: str | None, what: str) -> None:
    """Raise ``BadRequest`` for an address that no message could be sent to."""
    if address is not None and urlsplit(address).scheme not in _SCHEMES:
        raise BadRequest(f"Invalid {what} address")
