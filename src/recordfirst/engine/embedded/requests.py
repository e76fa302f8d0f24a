"""The requests of Resonate's protocol, checked as its server checks them.

Source: ``src/types.rs`` of the Resonate Server and ``resonate.sql`` of resonate-pg, with ``:`` behind the origin, as
the SDK has it since 0.8. What the two refuse with 400 raises :class:`BadRequest` here.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from recordfirst.engine.embedded.rows import BRANCH, DELAY, TARGET, TaskState, Value, origin_of
from recordfirst.engine.embedded.rows import PromiseState as _PromiseState

type Text = Annotated[str, Meta(min_length=1)]
type Count = Annotated[int, Meta(ge=0)]
type Positive = Annotated[int, Meta(ge=1)]
type PageLimit = Annotated[int, Meta(ge=1, le=1000)]

_NOTHING = msgspec.Raw(b"{}")


class RequestRefused(Exception):
    """The request is not carried out: an answer with a status of 400 or more."""

    def __init__(self, status: int, why: str) -> None:
        self.status, self.why = status, why
        super().__init__(status, why)


class BadRequest(RequestRefused):
    """The request cannot be understood, or can never be right."""

    def __init__(self, why: str) -> None:
        super().__init__(400, why)


class Head(msgspec.Struct, frozen=True, rename="camel"):
    """Of a request; what else stands in it is for transports."""

    corr_id: str = ""


class Envelope(msgspec.Struct, frozen=True):
    """A request with its data not read yet."""

    kind: str = ""
    head: Head = Head()
    data: msgspec.Raw = _NOTHING


class ById(msgspec.Struct, frozen=True):
    """promise.get, task.get, task.halt, task.continue, schedule.get, schedule.delete."""

    id: Text


class PromiseCreate(msgspec.Struct, frozen=True, rename="camel"):
    """promise.create."""

    id: Text
    timeout_at: Count
    param: Value | None = None
    tags: dict[str, str] | None = None


class PromiseSettle(msgspec.Struct, frozen=True):
    """promise.settle. A timeout is the engine's to state, so nobody can ask for that."""

    id: Text
    state: Literal["resolved", "rejected", "rejected_canceled"]
    value: Value | None = None


class Callback(msgspec.Struct, frozen=True):
    """promise.register_callback, and what a task is suspended on."""

    awaited: Text
    awaiter: Text


class RegisterListener(msgspec.Struct, frozen=True):
    """promise.register_listener."""

    awaited: Text
    address: Text


class PromiseSearch(msgspec.Struct, frozen=True):
    """promise.search."""

    state: _PromiseState | None = None
    tags: dict[str, str] | None = None
    limit: PageLimit | None = None
    cursor: str | None = None


class RequestAction[T](msgspec.Struct, frozen=True):
    """A request inside another one."""

    data: T


class RawAction(msgspec.Struct, frozen=True):
    """The request inside a fence: one of two kinds."""

    kind: str
    data: msgspec.Raw


class TaskCreate(msgspec.Struct, frozen=True):
    """task.create: the promise, with its task acquired at once by who asks."""

    pid: Text
    ttl: Positive
    action: RequestAction[PromiseCreate]


class TaskAcquire(msgspec.Struct, frozen=True):
    """task.acquire."""

    id: Text
    version: Count
    pid: Text
    ttl: Positive


class TaskRelease(msgspec.Struct, frozen=True):
    """task.release."""

    id: Text
    version: Count


class TaskFulfill(msgspec.Struct, frozen=True):
    """task.fulfill."""

    id: Text
    version: Count
    action: RequestAction[PromiseSettle]


class TaskSuspend(msgspec.Struct, frozen=True):
    """task.suspend."""

    id: Text
    version: Count
    actions: Annotated[list[RequestAction[Callback]], Meta(min_length=1)]


class TaskFence(msgspec.Struct, frozen=True):
    """task.fence: a promise created or settled, if the task is still the asker's."""

    id: Text
    version: Count
    action: RawAction


class TaskRef(msgspec.Struct, frozen=True):
    """A task in one version."""

    id: str
    version: int


class TaskHeartbeat(msgspec.Struct, frozen=True):
    """task.heartbeat."""

    pid: Text
    tasks: list[TaskRef]


class TaskSearch(msgspec.Struct, frozen=True):
    """task.search."""

    state: TaskState | None = None
    limit: PageLimit | None = None
    cursor: str | None = None


class ScheduleCreate(msgspec.Struct, frozen=True, rename="camel"):
    """schedule.create."""

    id: Text
    cron: Text
    promise_id: Text
    promise_timeout: Count
    promise_param: Value | None = None
    promise_tags: dict[str, str] | None = None


class ScheduleSearch(msgspec.Struct, frozen=True):
    """schedule.search."""

    tags: dict[str, str] | None = None
    limit: PageLimit | None = None
    cursor: str | None = None


def read[T](decoder: msgspec.json.Decoder[T], data: msgspec.Raw | bytes) -> T:
    """Read a request's data.

    Raises:
        BadRequest: if it is not of its kind's form, or breaks one of its kind's rules.
    """
    try:
        request = decoder.decode(data)
    except msgspec.MsgspecError as error:
        raise BadRequest(f"Invalid request: {error}") from error
    check(request)
    return request


def check(request: Any) -> None:
    """Raise ``BadRequest`` for what the form of a request does not show."""
    match request:
        case PromiseCreate():
            _check_create(request)
        case TaskCreate(action=RequestAction(data=create)):
            _check_create(create)
            tags = create.tags or {}
            _require(TARGET in tags, "RequestAction must have a resonate:target tag")
            _require(DELAY not in tags, "RequestAction must not have a resonate:delay tag")
        case Callback():
            _require(request.awaited != request.awaiter, "Awaited and awaiter must be different promises")
            _require(
                origin_of(request.awaited) == origin_of(request.awaiter),
                "Awaiter and awaited must belong to the same origin",
            )
        case TaskSuspend():
            for action in request.actions:
                _require(action.data.awaiter == request.id, "All action awaiter IDs must match the task ID")
                check(action.data)
            awaited = [action.data.awaited for action in request.actions]
            _require(len(awaited) == len(set(awaited)), "Awaited promises must differ from each other")
        case TaskFulfill():
            _require(request.action.data.id == request.id, "RequestAction ID must match the task ID")
        case ScheduleCreate():
            _require(":" not in request.id, "Schedule ID must not contain ':'")
            _require(TARGET in (request.promise_tags or {}), "promiseTags must include a resonate:target tag")


def _check_create(request: PromiseCreate) -> None:
    id, tags = request.id, request.tags
    _require("\0" not in id, "Promise ID must not contain null bytes")
    if not tags:
        return
    origin = tags.get("resonate:origin")
    _require(origin is None or ":" not in origin, "resonate:origin must not contain ':'")
    for tag in ("resonate:origin", BRANCH, "resonate:parent"):
        above = tags.get(tag)
        _require(above is None or above == id or id.startswith(_below(above)), f"Promise ID must be prefixed by {tag}")
    delay = tags.get(DELAY)
    if delay is not None:
        _require(delay.isascii() and delay.isdigit(), "resonate:delay must be a non-negative integer")
        _require(int(delay) < request.timeout_at, "resonate:delay must be less than timeoutAt")
        _require(TARGET in tags, "resonate:delay requires a resonate:target tag")


def _below(id: str) -> str:
    return id + ("." if ":" in id else ":")


def _require(holds: bool, message: str) -> None:  # noqa: FBT001 - a condition
    if not holds:
        raise BadRequest(message)
