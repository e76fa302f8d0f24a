"""A shop whose worker is killed by one of its orders: run as a program, it works until it dies or all else is done."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from datetime import timedelta
from typing import Any

from recordfirst import App, Call, Context, Provider, Write, effect, workflow, write
from recordfirst.records.open import record_from_url
from tests.engines import engine_for

BANK = Provider(name="bank", retention_s=86_400)


@write
async def kill(w: Write[Any], id: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


@effect(key="{id}:charge", provider=BANK, after=None)
async def charge(call: Call, id: str) -> str:
    return "paid"


@workflow
async def deadly(ctx: Context, id: str) -> None:
    await charge(ctx, id)
    await kill(ctx, id)


@workflow
async def healthy(ctx: Context, id: str) -> str:
    await charge(ctx, id)
    await ctx.sleep(timedelta(milliseconds=50))
    return "done"


def app_on(url: str) -> App:
    return App("shop", record=record_from_url(url), workflows=[deadly, healthy], engine=engine_for(url), version="one")


async def main(url: str, *ids: str) -> None:
    app = app_on(url)
    async with app.worker() as worker:
        await worker.working.wait()
        for id in ids:
            await app.start(deadly if id == "deadly" else healthy, id, id=id)
        async with app.runtime.record.session() as session:
            while await session.still_open(["deadly", *ids]) - {start.id for start in await session.stopped(None, 9)}:
                await asyncio.sleep(0.02)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
