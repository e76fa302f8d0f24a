"""What a step needs of the SDK beyond its public surface: with ``context.py``, all private access to ``resonate``.

``tests/engine/test_leaf.py`` holds each of these against the pinned SDK version.
"""

from __future__ import annotations

import itertools
from datetime import timedelta
from typing import Any

from resonate.connections import LocalConnection
from resonate.context import Context
from resonate.error import PlatformError, ResonateError
from resonate.ids import join_id

FAR = timedelta(days=3650)
"""The engine's own deadlines: set so far out that a deadline is only ever the user's, in the record."""


def never_retried(ctx: Context) -> None:
    """Keep the SDK from running this leaf again when it raises: it has a footprint, in the record."""
    ctx._state.workflow = True


async def sleep(ctx: Context, number: int, seconds: float) -> None:
    """Sleep durably, as the leaf's wait ``number``: raises ``Suspended`` until the time has come.

    Numbered by the caller because a leaf, unlike a workflow, does not repeat its earlier waits when it runs again.
    """
    ctx._state.seq = number - 1
    await Context.sleep(ctx, timedelta(seconds=seconds))  # the SDK's own, which numbers


async def park(ctx: Context, number: int) -> None:
    """Wait on a durable promise, as the leaf's wait ``number``: raises ``Suspended`` until it is settled."""
    ctx._state.seq = number - 1
    await Context.promise(ctx, timeout=FAR)


def wait_id(ctx: Context, number: int) -> str:
    """The engine's id for the leaf's wait ``number``."""
    return join_id(ctx.info.id, str(number))


def wait_number(ctx: Context, id: str) -> int | None:
    """The number of a wait from its engine id; ``None`` if it belongs to another life of the workflow."""
    head = join_id(ctx.info.id, "")
    tail = id.removeprefix(head)
    return int(tail) if id.startswith(head) and tail.isdigit() else None


def waits_for_others(ctx: Context) -> bool:
    """Whether children elsewhere are pending, so that the SDK will suspend this workflow though its body returned."""
    return bool(ctx._state.spawned_remote)


class Released(ResonateError):
    """Why a step gave its task back to the engine."""

    def __init__(self, cause: str) -> None:
        self.cause = cause
        super().__init__(cause)


def release(cause: BaseException) -> PlatformError:
    """Return what a step raises to give its task back instead of recording an outcome (P9)."""
    error = PlatformError([Released(str(cause))])
    error.__cause__ = cause
    return error


def is_local(resonate: Any) -> bool:
    """Whether this Resonate's engine is in the memory of this process."""
    return isinstance(resonate._network, LocalConnection)


def guard_releases(resonate: Any) -> None:
    """Let nobody release a task of this in-memory engine but who holds it now.

    The connection does not look at the version. An execution whose lease has ended would release its successor's task,
    which is delivered again and makes that one stale, and so on: they would take it from each other for ever (trap 30).
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


def was_stopped(resonate: Any) -> bool:
    """Whether this Resonate was stopped: it takes no work any more, and cannot be started again."""
    stopped: bool = resonate._runtime.stopping
    return stopped


def address_of(resonate: Any) -> str:
    """The address that this Resonate's own group is reached at."""
    address: str = resonate._resolve_target(None)
    return address


def register(resonate: Any, name: str, function: Any, alias: Any) -> None:
    """Register a workflow, in place of the one that an earlier opening of the app left under that name."""
    resonate._registry._by_key.pop((name, 1), None)
    resonate.register(function, name=name)
    # So that ctx.rpc(workflow, ...) finds it by the object that the user has.
    resonate._registry._by_fn[alias] = (name, 1)


def count_requests(resonate: Any) -> None:
    """Number the requests of an engine in this process: a counter cannot collide there, and costs less than a UUID."""
    numbers = itertools.count(1)
    resonate._sender._corr_id = lambda: str(next(numbers))


def far_from_now_ms(resonate: Any) -> int:
    """The deadline of a promise that is to have none."""
    now_ms: int = resonate._clock()
    return now_ms + int(FAR.total_seconds() * 1000)
