"""Trap 14: a zombie and its successor are in the same write at once."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import uuid

import pytest

from recordfirst import Context, Embedded, inject, workflow, write
from recordfirst.conformance.record import run
from recordfirst.observe import LostRace
from recordfirst.records.postgres import PostgresRecord
from recordfirst.records.sqlite import SqliteRecord
from recordfirst.worker.dispatcher import Dispatcher


class Both(asyncio.Barrier):
    """Where the two meet."""

    def __init__(self) -> None:
        super().__init__(2)
        self.met = 0
        self.results: list[str] = []

    async def meet(self) -> None:
        if self.met < 2:
            self.met += 1
            await self.wait()


class InWrite(Both):
    """They meet inside the transaction."""


class BeforeWrite(Both):
    """They meet right before it: SQLite lets one write at a time."""


@write
async def visit(w, *, inside: InWrite = inject()) -> str:
    me = uuid.uuid4().hex
    await w.tx.execute(f"INSERT INTO visits (who) VALUES ('{me}')")
    await inside.meet()
    return me


@write
async def visit_alone(w) -> str:
    me = uuid.uuid4().hex
    await w.tx.execute(f"INSERT INTO visits (who) VALUES ('{me}')")
    return me


class AfterRows(Both):
    """The rows of the one that comes first are there, and not committed yet."""


@write
async def place(w, *, inside: InWrite = inject(), after: AfterRows = inject()) -> str:
    me, first = uuid.uuid4().hex, inside.n_waiting == 0 and inside.met == 0
    await inside.meet()
    if not first:
        await after.meet()
    await w.tx.execute("INSERT INTO orders (id, amount) VALUES ('one', 1)")
    await w.tx.execute(f"INSERT INTO visits (who) VALUES ('{me}')")
    if first:
        await after.meet()
    return me


def racing(step, before, results):
    @workflow(name="race", steps=(step,))
    async def race(ctx: Context) -> str:
        await before()
        results.append(await step(ctx))
        return results[-1]

    return race


async def nothing() -> None:
    pass


class Zombie:
    """A worker that never hears that its lease is somebody else's."""

    @contextlib.asynccontextmanager
    async def lease(self, name):
        yield self

    async def lost(self):
        await asyncio.Event().wait()


class ZombieOnPostgres(Zombie, PostgresRecord):
    pass


class ZombieOnSqlite(Zombie, SqliteRecord):
    pass


@pytest.mark.parametrize("product", ["sqlite", "postgres"])
def test_two_executions_of_one_write(make_shop, request, product):
    """P2: one set of rows; both get the winner's result; the loser's transaction is gone."""
    where = str(request.getfixturevalue({"sqlite": "sqlite_path", "postgres": "postgres_dsn"}[product]))
    shop = make_shop(f"sqlite:///{where}" if product == "sqlite" else where)
    make = functools.partial(ZombieOnSqlite if product == "sqlite" else ZombieOnPostgres, where)

    async def go():
        results: list[str] = []
        inside, before = InWrite(), BeforeWrite()
        # Every epoch of the workflow runs in its own engine; the record alone is common to both.
        race = racing(*((visit_alone, before.meet) if product == "sqlite" else (visit, nothing)), results)
        async with (
            shop.app(race, record=make(), provide={InWrite: inside}, engine=Embedded(":memory:")) as zombie,
            shop.app(race, record=make(), provide={InWrite: inside}, engine=Embedded(":memory:")) as successor,
        ):
            handle = await zombie.start(race, id="r")
            async with zombie.worker(), successor.worker():
                stored = await handle.result()
                while len(results) < 2:
                    await asyncio.sleep(0.01)
            assert await shop.rows(zombie, "SELECT who FROM visits") == [(stored,)]
            # Two that never hear of each other's lease hand the start to their engines in turn: two runs, or more.
            assert set(results) == {stored}
            async with zombie.runtime.record.session() as session:
                assert [receipt.result for receipt in await session.receipts_of("r")] == [f'"{stored}"']
        if product == "postgres":
            assert {event.key for event in shop.seen(LostRace)} == {"r/" + visit.name}

    run(go())


@pytest.mark.parametrize("first_run", [True, False], ids=["without a look", "after a look"])
def test_loser_meets_the_winners_rows(make_shop, postgres_dsn, monkeypatch, first_run):
    """P2: one that saw no receipt, and then finds the winner's row in its way, has lost the race, and not failed."""
    shop = make_shop(postgres_dsn)
    monkeypatch.setattr(Dispatcher, "entered", lambda self, engine_id: first_run)

    async def go():
        results: list[str] = []
        race, given = racing(place, nothing, results), {InWrite: InWrite(), AfterRows: AfterRows()}
        async with (
            shop.app(race, record=ZombieOnPostgres(postgres_dsn), provide=given, engine=Embedded(":memory:")) as zombie,
            shop.app(
                race, record=ZombieOnPostgres(postgres_dsn), provide=given, engine=Embedded(":memory:")
            ) as successor,
        ):
            handle = await zombie.start(race, id="r")
            async with zombie.worker(), successor.worker():
                stored = await handle.result()
                while len(results) < 2:
                    await asyncio.sleep(0.01)
            assert await shop.rows(zombie, "SELECT who FROM visits") == [(stored,)]
            assert set(results) == {stored}
        assert {event.key for event in shop.seen(LostRace)} == {"r/place"}

    run(go())
