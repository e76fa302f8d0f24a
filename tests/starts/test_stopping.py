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
