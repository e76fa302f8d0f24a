"""The embedded engine forgets what has ended, and only that."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from datetime import timedelta
from pathlib import Path

from recordfirst import Context, Embedded, workflow
from recordfirst.conformance.record import run

MANY = 2_000


@workflow
async def order(ctx: Context, who: str) -> None:
    await ctx.sleep(timedelta(0))
    await asyncio.sleep(0)


def rows(engine: Path) -> list[tuple[str, str]]:
    """What the engine's file holds, but for its marks."""
    with contextlib.closing(sqlite3.connect(engine)) as file:
        return file.execute(
            "SELECT id, state FROM promises WHERE id NOT GLOB 'recordfirst~mark~*' ORDER BY id"
        ).fetchall()


def test_finished_lineages_are_forgotten(make_shop, sqlite_path, tmp_path):
    """P6: after two thousand workflows, with a child promise each, engine, file and relay hold nothing of them."""
    shop, file = make_shop(f"sqlite:///{sqlite_path}"), tmp_path / "engine"

    async def go():
        async with shop.working(order, engine=Embedded(file)) as app:
            for first in range(0, MANY, 500):
                async with app.record.write() as w:
                    for number in range(first, first + 500):
                        w.start(order, "ann", id=f"o{number}")
                await (await app.handle(f"o{first + 499}")).result()
            while (await counts(app))["start.succeeded"] < MANY:
                await asyncio.sleep(0.02)
            relay = app._relay
            assert relay is not None
            held = [relay._handed, relay._running, relay._unmarked, relay._new, relay._waiting, relay._unfit]
            assert max(map(len, held)) < 5
        assert rows(file) == []

    run(go())


async def counts(app):
    async with app.runtime.record.session() as session:
        return await session.counts()
