"""Requests on tasks. Most act only if the task is acquired in the version that the request names: the fence."""

from __future__ import annotations

from typing import Any

import msgspec

from recordfirst.engine.embedded import promises
from recordfirst.engine.embedded.promises import Data
from recordfirst.engine.embedded.requests import (
    BadRequest,
    ById,
    PromiseCreate,
    PromiseSettle,
    RequestRefused,
    TaskAcquire,
    TaskCreate,
    TaskFence,
    TaskFulfill,
    TaskHeartbeat,
    TaskRelease,
    TaskSuspend,
    read,
)
from recordfirst.engine.embedded.rows import TARGET, Promise, Task, Value
from recordfirst.engine.embedded.transition import Transition, replace

_create, _settle = msgspec.json.Decoder(PromiseCreate), msgspec.json.Decoder(PromiseSettle)


def record(task: Task) -> dict[str, Any]:
    """Return a task as it goes over the wire."""
    resumes = len(task.resumes)
    return {
        "id": task.id,
        "state": task.state,
        "version": task.version,
        "resumes": resumes,
        "ttl": task.ttl,
        "pid": task.pid,
    }


def preload(turn: Transition, promise: Promise) -> list[dict[str, Any]]:
    """What a body that runs from the top will ask for next, so that it need not ask."""
    return [promises.record(other) for other in turn.state.branch_of(promise)]


def _found(turn: Transition, id: str) -> tuple[Task, Promise]:
    promise, task = turn.look(id), turn.state.task(id)
    if promise is None or task is None:
        raise RequestRefused(404, "Task not found")
    return task, promise


def _held(turn: Transition, id: str, version: int) -> tuple[Task, Promise]:
    """Return the task if it is acquired in this version at this moment: the fence."""
    task, promise = _found(turn, id)
    if task.state != "acquired" or task.version != version:
        raise RequestRefused(409, f"Task is {task.state} in version {task.version}, not acquired in version {version}")
    return task, promise


def get(turn: Transition, request: ById) -> Data:
    """Look at a task."""
    return {"task": record(_found(turn, request.id)[0])}


def create(turn: Transition, request: TaskCreate) -> Data:
    """Create a promise and acquire its task, or acquire the one that is there and pending."""
    action = request.action.data
    promises.check_address((action.tags or {}).get(TARGET), "resonate:target")
    promise, task = turn.look(action.id), turn.state.task(action.id)
    if promise is None:
        promise = promises.unstored(turn, action, created_at=turn.now)
        turn.state.put_promise(promise)
        task = Task(id=action.id, state="pending" if promise.state == "pending" else "fulfilled")
        turn.state.put_task(task)
    if task is None:
        raise RequestRefused(422, "The promise does not have a resonate:target tag")
    if task.state == "pending":
        task = _acquire(turn, task, request.pid, request.ttl)
    elif task.state != "fulfilled":
        raise RequestRefused(409, "Already exists")
    return {"task": record(task), "promise": promises.record(promise), "preload": preload(turn, promise)}


def acquire(turn: Transition, request: TaskAcquire) -> Data:
    """Acquire a pending task in the version that a message named."""
    task, promise = _found(turn, request.id)
    if task.state != "pending" or task.version != request.version:
        raise RequestRefused(
            409, f"Task is {task.state} in version {task.version}, not pending in version {request.version}"
        )
    task = _acquire(turn, task, request.pid, request.ttl)
    return {"task": record(task), "promise": promises.record(promise), "preload": preload(turn, promise)}


def _acquire(turn: Transition, task: Task, pid: str, ttl: int) -> Task:
    due_at, version = turn.now + ttl, task.version + 1
    acquired = replace(task, state="acquired", version=version, pid=pid, ttl=ttl, due_at=due_at, resumes=())
    turn.state.put_task(acquired)
    turn.executes.pop(task.id, None)
    return acquired


def release(turn: Transition, request: TaskRelease) -> Data:
    """Give a task back: it is delivered again at once."""
    turn.make_pending(*_held(turn, request.id, request.version))
    return {}


def fulfill(turn: Transition, request: TaskFulfill) -> Data:
    """Settle a task's own promise; the task ends with it."""
    _, promise = _held(turn, request.id, request.version)
    action = request.action.data
    settled = turn.settle(promise, action.state, action.value or Value(), turn.now)
    return {"promise": promises.record(settled)}


def suspend(turn: Transition, request: TaskSuspend) -> Data:
    """Let go of a task until one of these promises settles. If one has, it goes on at once: a redirect, status 300."""
    awaited = [turn.look(action.data.awaited) for action in request.actions]
    task, promise = _held(turn, request.id, request.version)
    there = [other for other in awaited if other is not None]
    if len(there) < len(awaited):
        raise RequestRefused(422, "Awaited promise not found")
    for other in there:
        promises.check_awaitable(other)
    if any(other.state != "pending" for other in there):
        turn.state.put_task(replace(task, resumes=()))
        turn.redirected = True
        return {"preload": preload(turn, promise)}
    for other in there:
        task = promises.await_(turn, task, other)
    turn.state.put_task(replace(task, state="suspended", pid=None, ttl=None, due_at=None, resumes=()))
    return {}


def fence(turn: Transition, request: TaskFence) -> Data:
    """Create or settle another promise, if the task is still the asker's."""
    kind = request.action.kind
    if kind not in {"promise.create", "promise.settle"}:
        raise BadRequest("Invalid fence action kind")
    action = read(_create, request.action.data) if kind == "promise.create" else read(_settle, request.action.data)
    if action.id == request.id:
        raise BadRequest("Action ID must not equal the task ID")
    turn.look(action.id)
    _held(turn, request.id, request.version)
    status: int = 200
    data: Data | str
    try:
        data = promises.create(turn, action) if isinstance(action, PromiseCreate) else promises.settle(turn, action)
    except RequestRefused as refused:
        if refused.status == 400:  # noqa: PLR2004
            raise
        status, data = refused.status, refused.why
    # No preload here, unlike the server, which sends the whole branch with each step: a body of n steps would be sent
    # n * n promises. What it saves, the one at the acquisition has saved.
    return {"action": {"kind": kind, "head": {"status": status}, "data": data}, "preload": []}


def heartbeat(turn: Transition, request: TaskHeartbeat) -> Data:
    """Let the leases of these tasks last for their time from now, as far as they are the asker's."""
    for ref in request.tasks:
        turn.look(ref.id)
        task = turn.state.task(ref.id)
        if task is not None and task.ttl is not None and (task.version, task.pid) == (ref.version, request.pid):
            turn.state.put_task(replace(task, due_at=turn.now + task.ttl))
    return {}


def halt(turn: Transition, request: ById) -> Data:
    """Take a task out of circulation until it is continued."""
    task, _ = _found(turn, request.id)
    if task.state == "fulfilled":
        raise RequestRefused(409, "Task is fulfilled")
    if task.state != "halted":
        turn.state.put_task(replace(task, state="halted", pid=None, ttl=None, due_at=None))
        turn.executes.pop(task.id, None)
    return {}


def continue_(turn: Transition, request: ById) -> Data:
    """Put a halted task back into circulation."""
    task, promise = _found(turn, request.id)
    if task.state != "halted":
        raise RequestRefused(409, "Task is not halted")
    turn.make_pending(task, promise)
    return {}
