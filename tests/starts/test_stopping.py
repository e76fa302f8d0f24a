"""A worker that is told to stop stores what has ended."""

from __future__ import annotations

import asyncio

from recordfirst import Context, workflow, write
from recordfirst.conformance.record import run
from recordfirst.records.session import SqlSession


@write
async def visit(w, who: str) -> None:
    await w.tx.execute(f"INSERT INTO visits (who) VALUES ('{who}')")


@workflow
async def order(ctx: Context) -> str:
    await visit(ctx, "ann")
    return "done"


def test_end_that_is_being_stored_when_the_worker_stops(shop, monkeypatch):
    """P7: the mark that stopping has interrupted is made before the worker has stopped, not by the next one."""
    begun, finish = asyncio.Event(), SqlSession.finish

    async def interrupted(self, finishes):
        if not begun.is_set():
            begun.set()
            await asyncio.Event().wait()
        await finish(self, finishes)

    monkeypatch.setattr(SqlSession, "finish", interrupted)

    async def go():
        async with shop.app(order) as app:
            async with app.worker():
                handle = await app.start(order, id="o")
                await begun.wait()
            assert (await handle.status()).state == "succeeded"

    run(go())


@workflow
async def busy(ctx: Context) -> str:
    begun, going = gates[-1]
    begun.set()
    await going.wait()
    return "done"


gates: list[tuple[asyncio.Event, asyncio.Event]] = []


def test_worker_that_is_cancelled_twice_gives_everything_back(shop):
    """P9: cancelled again while a body comes to its end, a worker keeps neither engine nor lease."""

    async def go():
        begun, going = asyncio.Event(), asyncio.Event()
        gates.append((begun, going))
        async with shop.app(busy, order) as app:

            async def work():
                async with app.worker():
                    await app.start(busy, id="b")
                    await asyncio.Event().wait()

            working = asyncio.create_task(work())
            await begun.wait()
            for _ in range(3):
                working.cancel()
                await asyncio.sleep(0.01)
            assert not working.done()
            going.set()
            await asyncio.wait({working})
            assert working.cancelled()
            async with app.worker():
                assert await asyncio.wait_for((await app.start(order, id="o")).result(), 10) == "done"
                assert await asyncio.wait_for((await app.handle("b")).result(), 10) == "done"

    run(go())
