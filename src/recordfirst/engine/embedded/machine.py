"""The embedded engine as a state machine: a request, a state and a time give an answer, new rows and messages.

It decides all, and knows neither file nor clock nor network. The semantics are those of the Resonate Server
(``src/oracle.rs``) and resonate-pg; where these differ, or this one does, is listed in
*The embedded engine* in the docs, with the reason.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from resonate_base import PROTOCOL_VERSION

from recordfirst.engine.embedded import promises, requests, schedules, search, tasks
from recordfirst.engine.embedded.requests import BadRequest, Envelope, RequestRefused
from recordfirst.engine.embedded.transition import Transition

type _Handler = tuple[msgspec.json.Decoder[Any], Callable[[Transition, Any], Any]]


def _kind[T](form: type[T], handle: Callable[[Transition, T], promises.Data]) -> _Handler:
    return msgspec.json.Decoder(form), handle


_HANDLERS: dict[str, _Handler] = {
    "promise.get": _kind(requests.ById, promises.get),
    "promise.create": _kind(requests.PromiseCreate, promises.create),
    "promise.settle": _kind(requests.PromiseSettle, promises.settle),
    "promise.register_callback": _kind(requests.Callback, promises.register_callback),
    "promise.register_listener": _kind(requests.RegisterListener, promises.register_listener),
    "promise.search": _kind(requests.PromiseSearch, search.find_promises),
    "task.get": _kind(requests.ById, tasks.get),
    "task.create": _kind(requests.TaskCreate, tasks.create),
    "task.acquire": _kind(requests.TaskAcquire, tasks.acquire),
    "task.release": _kind(requests.TaskRelease, tasks.release),
    "task.fulfill": _kind(requests.TaskFulfill, tasks.fulfill),
    "task.suspend": _kind(requests.TaskSuspend, tasks.suspend),
    "task.fence": _kind(requests.TaskFence, tasks.fence),
    "task.heartbeat": _kind(requests.TaskHeartbeat, tasks.heartbeat),
    "task.halt": _kind(requests.ById, tasks.halt),
    "task.continue": _kind(requests.ById, tasks.continue_),
    "task.search": _kind(requests.TaskSearch, search.find_tasks),
    "schedule.get": _kind(requests.ById, schedules.get),
    "schedule.create": _kind(requests.ScheduleCreate, schedules.create),
    "schedule.delete": _kind(requests.ById, schedules.delete),
    "schedule.search": _kind(requests.ScheduleSearch, search.find_schedules),
}
_envelope = msgspec.json.Decoder(Envelope)
_encoder = msgspec.json.Encoder()


def apply(turn: Transition, text: str | bytes) -> str:
    """Carry one request out; return the response. Whatever is wrong with it is an answer, never an exception."""
    try:
        envelope = _envelope.decode(text)
    except msgspec.MsgspecError as error:
        return _response("", "", 400, f"Invalid request: {error}")
    kind, corr_id = envelope.kind, envelope.head.corr_id
    try:
        handler = _HANDLERS.get(kind)
        if handler is None:
            raise BadRequest(f"Unknown operation: {kind}")
        decoder, handle = handler
        data = handle(turn, requests.read(decoder, envelope.data))
    except RequestRefused as refused:
        return _response(kind, corr_id, refused.status, refused.why)
    return _response(kind, corr_id, 300 if turn.redirected else 200, data)


def _response(kind: str, corr_id: str, status: int, data: Any) -> str:
    head = {"corrId": corr_id, "status": status, "version": PROTOCOL_VERSION}
    return _encoder.encode({"kind": kind, "head": head, "data": data}).decode()


def tick(turn: Transition, limit: int, held: Callable[[str, int], bool] = lambda _id, _version: False) -> int:
    """Let time pass: settle what is over, end leases, deliver again, run schedules. Return how many were due.

    Args:
        turn: the state, at this moment.
        limit: how many promises to look at; if as many are returned, there may be more.
        held: whether a task in a version is known to be under way, so that its lease goes on instead of ending.
    """
    ids = turn.state.due(turn.now, limit)
    for id in ids:
        turn.look(id)
    for id in ids:
        promise, task = turn.state.promise(id), turn.state.task(id)
        if promise is None or task is None or task.due_at is None or task.due_at > turn.now:
            continue
        if task.state == "acquired" and task.ttl is not None and held(task.id, task.version):
            turn.state.put_task(msgspec.structs.replace(task, due_at=turn.now + task.ttl))
        else:
            turn.make_pending(task, promise)
    for schedule in turn.state.due_schedules(turn.now):
        schedules.run(turn, schedule)
    return len(ids)
