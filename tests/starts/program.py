"""A worker process that dies where it is told to: ``python -m tests.starts.program URL``.

It says in lines what it has come to, with the machine's monotonic time, and does what it is told in lines: ``die
POINT``, ``start WORKFLOW: ID``.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from recordfirst import Call, Context, Provider, effect, workflow, write
from recordfirst.engine.embedded.engine import EmbeddedEngine
from recordfirst.worker.completer import Completer
from recordfirst.worker.dispatcher import Dispatcher
from tests.starts.harness import Shop

POINTS = [
    "accepted",  # the start is a row; no engine was given it
    "given",  # the engine has it; its body has not begun
    "writing",  # inside the first write, before its commit
    "written",  # the first write is committed
    "ended",  # the body has returned; the finished mark is not stored
    "marked",  # the finished mark is stored
]
IN_THE_MIDDLE = "in the middle"
"""Dies by another's hand, when all that it was given is in the middle of something."""
_told = {"die": ""}


def say(*what: object) -> None:
    """One line, with the time."""
    sys.stdout.write(" ".join([f"{time.monotonic():.6f}", *map(str, what)]) + "\n")
    sys.stdout.flush()


def die_at(point: str) -> None:
    """SIGKILL, if this is the point: no handler runs, nothing is flushed."""
    if point == _told["die"]:
        say("dies")
        os.kill(os.getpid(), signal.SIGKILL)


def dying_after(cls: type, name: str, point: str) -> None:
    """Make a method kill the process once it has done its work."""
    work: Callable[..., Awaitable[Any]] = getattr(cls, name)

    async def run(self: Any, *args: Any) -> Any:
        result = await work(self, *args)
        die_at(point)
        return result

    setattr(cls, name, run)


def dying_before(cls: type, name: str, point: str) -> None:
    """Make a method kill the process instead of doing its work."""
    work: Callable[..., Awaitable[Any]] = getattr(cls, name)

    async def run(self: Any, *args: Any) -> Any:
        die_at(point)
        return await work(self, *args)

    setattr(cls, name, run)


# ── workflows ───────────────────────────────────────────────────────────────


@write
async def first(w, who: str) -> str:
    await w.tx.execute(f"INSERT INTO visits (who) VALUES ('{who}: first')")
    die_at("writing")
    return "first"


@write
async def second(w, who: str) -> str:
    await w.tx.execute(f"INSERT INTO visits (who) VALUES ('{who}: second')")
    return "second"


@workflow
async def order(ctx: Context, who: str) -> list[str]:
    done = [await first(ctx, who)]
    die_at("written")
    return [*done, await second(ctx, who)]


# ── workflows in the middle of something ────────────────────────────────────

_stuck = asyncio.Event()


async def wait_here(who: str) -> None:
    """For ever, in the process that is to die."""
    if _told["die"] == IN_THE_MIDDLE:
        say("reached", who)
        await _stuck.wait()


@effect(key="{who}: third", provider=Provider(name="bank", retention_s=86_400), after=None)
async def third(call: Call, who: str) -> str:
    await wait_here("gathering")
    return "third"


@third.on_success
async def note_third(w, who: str) -> None:
    await w.tx.execute(f"INSERT INTO visits (who) VALUES ('{who}: third')")


@effect(key="{who}: call", provider=Provider(name="bank", arrives_within_s=0), after=None)
async def call_once(call: Call, who: str) -> str:
    raise TimeoutError


@workflow
async def sleeping(ctx: Context, who: str) -> list[str]:
    done = await first(ctx, who)
    if _told["die"] == IN_THE_MIDDLE:
        say("reached", who)
    await ctx.sleep(timedelta(seconds=1))
    return [done, await second(ctx, who)]


@workflow
async def part(ctx: Context, who: str) -> list[str]:
    done = await first.with_key("{who}: first")(ctx, who)
    if _told["die"] == IN_THE_MIDDLE:
        say("reached", who)
    await ctx.sleep(timedelta(seconds=1))
    return [done, await second.with_key("{who}: second")(ctx, who)]


@workflow
async def parking(ctx: Context, who: str) -> list[str]:
    done = await first(ctx, who)
    return [done, await call_once(ctx, who), await second(ctx, who)]


@workflow
async def gathering(ctx: Context, who: str) -> list[str]:
    return [*await asyncio.gather(first(ctx, who), third(ctx, who)), await second(ctx, who)]


@workflow
async def waiting(ctx: Context, who: str) -> list[str]:
    done = await first(ctx, who)
    child = await ctx.rpc(part, f"child of {who}")
    return [done, *child, await second(ctx, who)]


@write
async def hand_on(w, who: str) -> None:
    w.start(sleeping, f"after {who}", id=f"after {who}")


@workflow
async def handing_on(ctx: Context, who: str) -> list[str]:
    done = await first(ctx, who)
    await hand_on(ctx, who)
    return [done, await second(ctx, who)]


MIDDLE = {
    "sleeping": sleeping,
    "parking": parking,
    "gathering": gathering,
    "waiting": waiting,
    "handing on": handing_on,
}


async def main(url: str) -> None:
    """Work until told to end; start what is asked for."""
    dying_after(EmbeddedEngine, "create", "given")
    dying_before(Dispatcher, "hand_over", "accepted")
    dying_before(Completer, "store", "ended")
    dying_after(Completer, "store", "marked")
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    async with Shop(url).app(order, part, *MIDDLE.values()) as app, app.worker() as worker:
        say("standing by")
        await worker.working.wait()
        say("working")
        while line := (await lines.readline()).decode().strip():
            command, _, told = line.partition(" ")
            if command == "die":
                _told["die"] = told
            else:
                name, _, id = told.partition(": ")
                await app.start({"order": order, **MIDDLE}[name], id, id=id)
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
