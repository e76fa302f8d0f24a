"""What a step needs of the SDK beyond its public surface; ``context.py`` and ``sender.py`` alone reach inside it, too.

``tests/engine/test_leaf.py`` holds each of these against the pinned SDK version.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from typing import Any

import msgspec
from resonate.codec import Codec
from resonate.connections import LocalConnection
from resonate.context import Context
from resonate.durable import DurableFunction
from resonate.error import PlatformError, ResonateError, StoppedError
from resonate.ids import join_id
from resonate.registry import Registry
from resonate.retry import Exponential, Never
from resonate.send import Envelope, Head, SubEnvelope, parse_promise
from resonate.timing import now_ms
from resonate.transport import Response
from resonate.types import PromiseCreateReq, PromiseRecord, PromiseSettleReq, TaskData
from resonate_base import PROTOCOL_VERSION

from recordfirst.core.exceptions import AllowedErrors
from recordfirst.engine.codec import EngineCodec
from recordfirst.process.places import Places

FAR = timedelta(days=3650)
"""The engine's own deadlines: set so far out that a deadline is only ever the user's, in the record."""


PLAIN_RETRIES = Exponential(delay=1, factor=2, max_delay=60, max_retries=3)
"""Of a plain function under ``ctx.run``: after 2, 4 and 8 s; then what it raises is an outcome, or a defect that stops
the workflow (P9). The SDK's own would try for half an hour, and say nothing of it."""


def never_retried(ctx: Context) -> None:
    """Keep the SDK from running this step again if it raises: the record has its footprint."""
    ctx._state.workflow = True


async def sleep(ctx: Context, number: int, seconds: float) -> None:
    """Sleep durably, as the step's wait ``number``: raises ``Suspended`` until the time has come.

    Numbered by the caller because a step, unlike a workflow, does not repeat its earlier waits when it runs again.
    """
    ctx._state.seq = number - 1
    await Context.sleep(ctx, timedelta(seconds=seconds))  # the SDK's own, which numbers


def now_s(ctx: Context) -> int:
    """The engine's clock, in whole seconds: a number for a wait that no receipt numbers."""
    return int(ctx._state.clock() // 1000)


async def park(ctx: Context, number: int) -> None:
    """Wait on a durable promise, as the step's wait ``number``: raises ``Suspended`` until it is settled."""
    ctx._state.seq = number - 1
    await Context.promise(ctx, timeout=FAR)


def wait_id(ctx: Context, number: int) -> str:
    """The engine's id for the step's wait ``number``."""
    return join_id(ctx.info.id, str(number))


def wait_number(ctx: Context, id: str) -> int | None:
    """The number of a wait from its engine id; ``None`` if it belongs to another epoch of the workflow."""
    head = join_id(ctx.info.id, "")
    tail = id.removeprefix(head)
    return int(tail) if id.startswith(head) and tail.isdigit() else None


def is_first_delivery(ctx: Context) -> bool:
    """Whether the task that runs this body was never acquired before."""
    effects: Any = ctx._state.effects
    return getattr(effects, "task_version", None) == 1


def waits_for_others(ctx: Context) -> bool:
    """Whether children elsewhere are pending, so that the SDK will suspend this workflow though its body returned."""
    return bool(ctx._state.spawned_remote)


def leave(ctx: Context, waits: Collection[str]) -> None:
    """Wait for these no longer: a workflow that fails has nothing to hear of them."""
    state = ctx._state
    state.spawned_remote = [id for id in state.spawned_remote if id not in waits]
    if not state.spawned_remote:
        # The SDK holds its own picture of the run against its end: nothing in it may be pending then.
        for id in state.tree.ids():
            if id != state.tree.root():
                state.tree.settle(id)


class TaskReleased(ResonateError):
    """Why a step gave its task back to the engine."""

    def __init__(self, cause: str) -> None:
        self.cause = cause
        super().__init__(cause)


def release(cause: BaseException | str) -> PlatformError:
    """Return what a step raises to give its task back instead of recording an outcome (P9)."""
    error = PlatformError([TaskReleased(str(cause))])
    if isinstance(cause, BaseException):
        error.__cause__ = cause
    return error


class StoppedByDefect(TaskReleased):
    """Why a workflow gave its task back: a defect has stopped it, and that is in the record."""

    def __init__(self, cause: str = "a defect has stopped this workflow: the record says which") -> None:
        super().__init__(cause)


def stopped(cause: BaseException) -> PlatformError:
    """Return what unwinds a body that a defect has stopped. No ``except Exception`` of it catches this."""
    error = PlatformError([StoppedByDefect()])
    error.__cause__ = cause
    return error


def is_local(resonate: Any) -> bool:
    """Whether this Resonate's engine is in the memory of this process."""
    return isinstance(resonate._network, LocalConnection)


def guard_releases(resonate: Any) -> None:
    """Let nobody release a task of this in-memory engine but who holds it now.

    The connection does not look at the version. An execution whose lease has ended would release its successor's task,
    which is delivered again and makes that one stale, and so on: they would take it from each other for ever.
    """
    state = resonate._network.state
    release = state.task_release

    def release_own(now: int, corr_id: Any, request: Any) -> dict[str, Any]:
        task = state.tasks.get(request["id"])
        if task is not None and task.version != request["version"]:
            return {"kind": "task.release", "corrId": corr_id, "status": 409}
        released: dict[str, Any] = release(now, corr_id, request)
        return released

    state.task_release = release_own


def quiet() -> None:
    """Keep out of the SDK's log what is no failure: a worker that ends, a workflow that the record says is stopped."""
    for name in ("resonate.core", "resonate.observability"):
        logging.getLogger(name).addFilter(_is_a_failure)  # the same one again changes nothing


def store_safely(resonate: Any, errors: AllowedErrors) -> EngineCodec:
    """Let this Resonate store and read values and errors as :class:`EngineCodec` does; return that.

    The SDK pickles errors, and unpickles whatever an engine holds. And it gives a task back whose error it cannot
    encode, and gets it again at once: the body would run for ever.
    """
    codec = EngineCodec(resonate._codec.encryptor, errors)
    for owner, name in (
        (resonate, "_codec"), (resonate._core, "codec"), (resonate.promises, "codec"), (resonate.schedules, "codec")
    ):  # fmt: skip
        setattr(owner, name, codec)
    return codec


def give_places(resonate: Any) -> Places:
    """Let tasks run in places that they give back while they wait: the SDK's semaphore keeps them until they end.

    The worker that has a task keeps its lease meanwhile: the SDK's heartbeat goes by the task, not by the place.
    """
    runtime = resonate._runtime
    if not isinstance(runtime.execute_sema, Places):
        runtime.execute_sema = Places(runtime.execute_sema._value)
    places: Places = runtime.execute_sema
    return places


def tags_of_epoch(id: str, address: str) -> dict[str, str]:
    """What the promise of a workflow's epoch says of itself: that it is its own origin, and who runs it."""
    lineage = dict.fromkeys(("resonate:origin", "resonate:branch", "resonate:parent"), id)
    return lineage | {"resonate:scope": "global", "resonate:target": address}


def was_stopped(resonate: Any) -> bool:
    """Whether this Resonate was stopped: it takes no more work, and cannot be started again."""
    stopped: bool = resonate._runtime.stopping
    return stopped


def address_of(resonate: Any, group: str | None = None) -> str:
    """The address that a group is reached at; of ``None``: this Resonate's own."""
    address: str = resonate._resolve_target(group)
    return address


def register(resonate: Any, name: str, function: Any, alias: Any) -> None:
    """Register a workflow, in place of the one that an earlier opening of the app left under that name."""
    resonate._registry._by_key.pop((name, 1), None)
    # Arguments that do not fit since a deploy are refused before a body begins. Tried again and again, with longer and
    # longer waits, that would hold up the end of the worker.
    resonate.register(function, name=name, retry_policy=Never())
    # So that ctx.rpc(workflow, ...) finds it by the object that the user has.
    resonate._registry._by_fn[alias] = (name, 1)


class _Names(Registry):
    """What is registered, and what is run for every other name."""

    def __init__(self, registered: Registry, of: Callable[[str], Any]) -> None:
        vars(self).update(vars(registered))  # the same tables
        self._of = of

    def get(self, name: str, version: int = 1) -> DurableFunction:
        found = super().get(name, version)
        return found if found is not None else DurableFunction(self._of(name))


def register_unknown(resonate: Any, of: Callable[[str], Any]) -> None:
    """Run what ``of`` makes for the name of any workflow that is not registered.

    The SDK itself gives such a task back, and gets it again at once: some thousand times a second, for ever.
    """
    resonate._core.registry = _Names(resonate._registry, of)


def far_from_now_ms(resonate: Any) -> int:
    """The deadline of a promise that is to have none."""
    now_ms: int = resonate._clock()
    return now_ms + int(FAR.total_seconds() * 1000)


# ── draining ────────────────────────────────────────────────────────────────


class Draining(StoppedError):
    """Nothing begins here, since this worker ends."""

    def __str__(self) -> str:
        return "this worker ends; the next one goes on from here"


def _is_a_failure(record: logging.LogRecord) -> bool:
    """Whether a line of the SDK's log is to be kept. It tells of each task that is given back as of a failure."""
    error = record.exc_info[1] if record.exc_info else None
    cause = getattr(error, "cause", error)
    message = record.getMessage()
    return not isinstance(cause, (Draining, StoppedByDefect)) and not any(text in message for text in SAID_ELSEWHERE)


SAID_ELSEWHERE = frozenset({str(Draining()), str(StoppedByDefect())})
"""What the SDK is told of a task that was given back, and what is no failure of it."""


class _Gate:
    """The SDK's fenced requests, until it is shut: from then on no step begins, and its task is given back."""

    def __init__(self, fencing: Any) -> None:
        self._fencing = fencing
        self.shut = False

    async def task_fence_create(self, id: str, version: int, req: PromiseCreateReq) -> Any:
        if self.shut:
            raise Draining
        return await self._fencing.task_fence_create(id, version, req)

    async def task_fence_settle(self, id: str, version: int, req: PromiseSettleReq) -> Any:
        return await self._fencing.task_fence_settle(id, version, req)


def gate(resonate: Any) -> Callable[[], None]:
    """Put a gate in front of the steps of this Resonate's workflows, and return what shuts it. Before it is started.

    Behind a shut gate a step that runs comes to its end and is settled; the next one is not begun: the task is
    released, and the worker that gets it goes on from there.
    """
    fence = resonate._core.fencing = _Gate(resonate._core.fencing)

    def shut() -> None:
        fence.shut = True
        resonate._runtime.stopping = True  # deliveries are no longer taken

    return shut


def tasks_here(resonate: Any) -> int:
    """How many tasks this Resonate runs, or was told of and has not begun."""
    return len(resonate._runtime.bg_tasks)


async def finish_tasks(resonate: Any) -> None:
    """Wait for the end of the tasks that this Resonate has, and of what they leave running."""
    while tasks := resonate._runtime.bg_tasks:
        await asyncio.wait(set(tasks))
        await asyncio.sleep(0)  # for those that ended to take themselves out of the set


# ── joining a transaction of the record ─────────────────────────────────────


def creating(id: str, name: str, arguments: Mapping[str, Any], address: str, codec: Codec) -> str:
    """The request that creates the promise of a workflow's epoch."""
    param = codec.encode(TaskData(func=name, kwargs=dict(arguments)))
    timeout_at = now_ms() + int(FAR.total_seconds() * 1000)
    create = PromiseCreateReq(id=id, timeout_at=timeout_at, param=param, tags=tags_of_epoch(id, address))
    return _request("promise.create", create)


def created(text: str) -> bool:
    """Whether the reply to :func:`creating` has the promise pending: it is new, or lives."""
    reply = _reply(text)
    return reply.head.status == _OK and parse_promise(reply.data).state == "pending"


def _request(kind: str, data: Any) -> str:
    return msgspec.json.encode(Envelope(kind=kind, head=_head(), data=data)).decode()


def _head() -> Head:
    return Head(corr_id="", version=PROTOCOL_VERSION)


def _reply(text: str) -> Response:
    return msgspec.json.decode(text, type=Response)


def settling(ctx: Context, value: Any) -> str:
    """The request that settles this step with ``value``, fenced by the version of the task that it runs in."""
    effects: Any = ctx._state.effects
    settle = PromiseSettleReq(id=ctx.info.id, state="resolved", value=effects.codec.encode(value))
    action = SubEnvelope(kind="promise.settle", head=_head(), data=settle)
    return _request("task.fence", {"id": effects.task_id, "version": effects.task_version, "action": action})


def settled(text: str) -> PromiseRecord | None:
    """The step as :func:`settling` has left it; ``None`` if the task is no longer ours, or the step has expired.

    A stale version is answered with a status, not an exception, and an expired step with success.
    """
    reply = _reply(text)
    if reply.head.status != _OK:
        return None
    action = msgspec.convert(reply.data["action"], Response)
    if action.head.status != _OK:
        return None
    promise = parse_promise(action.data)
    return promise if promise.state == "resolved" else None


def take_as_settled(ctx: Context, promise: PromiseRecord) -> None:
    """Tell the SDK that this step has been settled, so that it does not ask for it."""
    effects: Any = ctx._state.effects
    effects._absorb(promise)


_OK = 200
