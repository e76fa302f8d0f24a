"""The in-memory engine forgets what has ended, and only that."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from recordfirst import Context, workflow
from recordfirst.conformance.record import run
from recordfirst.engine.local import LocalEngine

MANY = 2_000


@workflow
async def order(ctx: Context, who: str) -> None:
    await ctx.sleep(timedelta(0))
    await asyncio.sleep(0)


def sizes(engine: LocalEngine) -> int:
    """How much the engine holds, of all kinds."""
    state = engine._connection.state
    held = [state.promises, state.tasks, state.p_timeouts, state.t_timeouts, engine._finished]
    return max(len(each) for each in held)  # type: ignore[arg-type]


def made(monkeypatch) -> list[LocalEngine]:
    """The engines that apps make from here on."""
    engines: list[LocalEngine] = []
    first = LocalEngine.__init__

    def init(self, **options):
        first(self, **options)
        engines.append(self)

    monkeypatch.setattr(LocalEngine, "__init__", init)
    return engines


def test_finished_lineages_are_forgotten(make_shop, sqlite_path, monkeypatch):
    """P6: after two thousand workflows, with a child promise each, the engine and the relay hold next to nothing."""
    shop, engines = make_shop(f"sqlite:///{sqlite_path}"), made(monkeypatch)

    async def go():
        async with shop.working(order) as app:
            for first in range(0, MANY, 500):
                async with app.record.write() as w:
                    for number in range(first, first + 500):
                        w.start(order, "ann", id=f"o{number}")
                await (await app.handle(f"o{first + 499}")).result()
            while (await counts(app))["start.succeeded"] < MANY:
                await asyncio.sleep(0.02)
            [engine] = engines
            assert sizes(engine) < 200
            relay = app._relay
            assert relay is not None
            held = [relay._handed, relay._running, relay._unmarked, relay._new, relay._waiting, relay._unfit]
            assert max(map(len, held)) < 5

    run(go())


async def counts(app):
    async with app.runtime.record.session() as session:
        return await session.counts()
