"""A process that shares what it must not: ``python -m tests.worker.shared ROLE URL``. It says in lines what it sees."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import time
from collections.abc import Awaitable
from typing import Any

from recordfirst import Call, Context, Misuse, Provider, effect, workflow
from tests.starts.harness import Shop

BANK = Provider(name="bank", retention_s=86_400)


def say(*what: object) -> None:
    sys.stdout.write(" ".join(map(str, what)) + "\n")
    sys.stdout.flush()


@workflow
async def greet(ctx: Context, name: str) -> str:
    return f"hello {name}"


@effect(key="{id}:charge", provider=BANK, after=None)
async def charge(call: Call, id: str) -> str:
    if "SHOP_FIXED" not in os.environ:
        if id == "locked":
            sum(range(10**10))  # one call of C code, which keeps the interpreter's lock
        time.sleep(1_000)  # noqa: ASYNC251 - the mistake of which this is about
    return "charged"


@workflow
async def pay(ctx: Context, id: str) -> str:
    return await charge(ctx, id)


async def refusal(asked: Awaitable[Any]) -> str:
    try:
        async with asyncio.timeout(10):
            return f"did {await asked!r}"
    except Misuse as refused:
        return str(refused)


async def fork(url: str) -> None:
    """Work, and fork: the child uses everything that is open, and ends as programs do."""
    async with Shop(url).working(greet) as app:
        await (await app.start(greet, "before", id="before")).result()
        handle = await app.handle("before")
        if (child := os.fork()) == 0:
            loop = asyncio.new_event_loop()
            asked = [app.start(greet, "child", id="child"), app.handle("before"), handle.status(), app.__aenter__()]
            for each in asked:
                say("child:", loop.run_until_complete(refusal(each)))
            loop.run_until_complete(app.__aexit__())
            del app, handle, asked
            gc.collect()
            os._exit(3)
        _, status = await asyncio.to_thread(os.waitpid, child, 0)
        say("child ended:", os.waitstatus_to_exitcode(status))
        async with asyncio.timeout(30):
            results = [await (await app.start(greet, str(n), id=str(n))).result() for n in range(5)]
        say("parent:", len(results))


async def orphan(url: str) -> None:
    """Work, and leave a child behind that lives on."""
    async with Shop(url).working(greet):
        if os.fork() == 0:
            os.write(1, f"child {os.getpid()}\n".encode())
            time.sleep(60)  # noqa: ASYNC251 - the child's
            os._exit(0)
        await asyncio.sleep(60)


async def block(url: str) -> None:
    """Work, with a step that blocks the event loop."""
    async with Shop(url).app(pay, greet) as app, app.worker(blocked_s=1.0) as worker:
        await worker.working.wait()
        say("working")
        await asyncio.sleep(60)


if __name__ == "__main__":
    asyncio.run({"fork": fork, "orphan": orphan, "block": block}[sys.argv[1]](sys.argv[2]))
