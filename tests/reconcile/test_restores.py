"""Loss and rewind of either side, with worker processes that are killed, and a bank whose books nobody restores.

``RESTORE_ORDERS=1000`` runs them at that size, on Postgres.
"""

from __future__ import annotations

import asyncio
import contextlib
import copy
import os
import random
import sys
from pathlib import Path

import psycopg
import pytest

from tests.engine.double import Server
from tests.reconcile.bank import Books
from tests.reconcile.program import app_of, order
from tests.starts.harness import migrated

ROOT = Path(__file__).parents[2]
ORDERS = int(os.environ.get("RESTORE_ORDERS", "8"))
KILLS = 5 if ORDERS > 100 else 1
PATIENCE_S = 60 + ORDERS


class World:
    """A record, an engine, a bank, and the worker processes between them."""

    def __init__(self, dsn: str, books: Path) -> None:
        self.dsn, self.books, self.server = dsn, Books(books), Server()
        self.url = ""
        self.workers: list[asyncio.subprocess.Process] = []

    def app(self):
        return app_of(self.dsn, self.url, self.books.path)

    async def work(self) -> None:
        """Start a worker."""
        words = [sys.executable, "-m", "tests.reconcile.program", self.dsn, self.url, self.books.path]
        self.workers.append(await asyncio.create_subprocess_exec(*words, cwd=ROOT))

    async def kill(self) -> None:
        """Kill all workers."""
        for worker in self.workers:
            with contextlib.suppress(ProcessLookupError):
                worker.kill()
            await worker.wait()
        self.workers.clear()
        # What a server does when their leases have lapsed.
        for task in self.server.state.t_timeouts:
            task.timeout = 0

    async def start(self, app, numbers) -> None:
        for number in numbers:
            await app.start(order, f"o{number}", wait_ms=200 + number % 7 * 100, id=f"o{number}")

    def record_says(self, sql: str) -> list[tuple]:
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            return connection.execute(sql.encode()).fetchall()

    async def until(self, sql: str, wanted: int) -> None:
        """Wait until the record counts so many, while a worker dies now and then."""
        deadline = asyncio.get_running_loop().time() + PATIENCE_S
        while self.record_says(sql)[0][0] < wanted:
            await asyncio.sleep(0.1)
            assert asyncio.get_running_loop().time() < deadline, (sql, self.record_says(sql), self.state())

    def state(self):
        return self.record_says("SELECT state, epoch, engine, count(*) FROM recordfirst.start GROUP BY 1, 2, 3")

    async def all_ended(self) -> None:
        """Work, under kills at random moments, until everything has ended."""
        for _ in range(KILLS):
            await self.work()
            await asyncio.sleep(random.uniform(0.7, 1.5))
            await self.kill()
        await self.work()
        await self.until("SELECT count(*) FROM recordfirst.start WHERE state <> 'open'", ORDERS)

    def balance(self) -> None:
        """As in a run without faults: each order succeeded, each charge and shipment made once, each row there once."""
        assert self.record_says("SELECT id, error::text FROM recordfirst.start WHERE state <> 'succeeded'") == []
        wanted = {f"shop/o{number}:{what}" for number in range(ORDERS) for what in ("charge", "ship")}
        counts = self.books.counts()
        assert {marker: count for marker, count in counts.items() if count != 1} == {}
        assert set(counts) == wanted
        [(rows, distinct)] = self.record_says("SELECT count(*), count(DISTINCT who) FROM visits")
        assert (rows, distinct) == (2 * ORDERS, 2 * ORDERS)
        states = self.record_says("SELECT state, count(*) FROM recordfirst.receipt WHERE kind = 'effect' GROUP BY 1")
        assert states == [("succeeded", 2 * ORDERS)]

    # ── copies ──────────────────────────────────────────────────────────────

    async def copy_record(self) -> None:
        """A copy of the whole database, as it is now."""
        await self._swap(f"CREATE DATABASE {self._name}_copy TEMPLATE {self._name}")

    async def restore_record(self) -> None:
        await self._swap(f"DROP DATABASE {self._name} WITH (FORCE)")
        await self._swap(f"ALTER DATABASE {self._name}_copy RENAME TO {self._name}")

    @property
    def _name(self) -> str:
        return str(psycopg.conninfo.conninfo_to_dict(self.dsn)["dbname"])

    async def _swap(self, sql: str) -> None:
        with psycopg.connect(self.dsn.replace(f"/{self._name}", "/postgres"), autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [self._name]
            )
            connection.execute(sql.encode())

    def copy_engine(self) -> dict:
        return copy.deepcopy({name: getattr(self.server.state, name) for name in _STORED})

    def restore_engine(self, stored: dict) -> None:
        for name, value in stored.items():
            setattr(self.server.state, name, value)


_STORED = ("promises", "tasks", "p_timeouts", "t_timeouts")


@pytest.fixture
def world(postgres_dsn, tmp_path):
    return World(postgres_dsn, tmp_path / "books.db")


@contextlib.asynccontextmanager
async def running(world):
    await migrated(world.dsn)
    async with world.server.running() as url:
        world.url = url
        try:
            yield
        finally:
            await world.kill()


async def half_done(world):
    """Half of the orders are on their way."""
    async with world.app() as app:
        await world.start(app, range(ORDERS // 2))
    await world.work()
    await world.until("SELECT count(*) FROM recordfirst.receipt WHERE kind = 'effect'", ORDERS // 8)


async def rest(world):
    async with world.app() as app:
        await world.start(app, range(ORDERS // 2, ORDERS))


def go(scenario):
    asyncio.run(asyncio.wait_for(scenario, 4 * PATIENCE_S))


@pytest.mark.timeout(4 * PATIENCE_S)
def test_engine_is_lost(world):
    """P6: its store is deleted while all is open: the worker notices, and everything converges."""

    async def scenario():
        async with running(world):
            await half_done(world)
            await rest(world)
            await world.kill()
            world.restore_engine({"promises": {}, "tasks": {}, "p_timeouts": [], "t_timeouts": []})
            await world.all_ended()
            world.balance()
            [(found,)] = world.record_says("SELECT count(*) FROM recordfirst.finding WHERE code = 'RF-ENGINE-BEHIND'")
            assert found == 1

    go(scenario())


@pytest.mark.timeout(4 * PATIENCE_S)
def test_engine_is_set_back(world):
    """P6: it is restored from an old copy: lives that it runs again are answered by receipts, or end."""

    async def scenario():
        async with running(world):
            await half_done(world)
            old = world.copy_engine()
            await rest(world)
            await world.until("SELECT count(*) FROM recordfirst.start WHERE state <> 'open'", ORDERS // 4)
            await world.kill()
            world.restore_engine(old)
            await world.all_ended()
            world.balance()

    go(scenario())


async def set_back(world, meanwhile):
    """The record is copied, work goes on, and the copy is put in its place."""
    await half_done(world)
    await world.kill()
    await world.copy_record()
    await world.work()
    await rest(world)
    await world.until("SELECT count(*) FROM recordfirst.start WHERE state <> 'open'", ORDERS // 4)
    await meanwhile()
    await world.until("SELECT count(*) FROM recordfirst.start WHERE state <> 'open'", ORDERS * 3 // 4)
    await world.kill()
    await world.restore_record()


async def held(world, code):
    """Nobody works, until a person has accepted."""
    await world.work()
    await world.until(f"SELECT count(*) FROM recordfirst.timeline WHERE held = '{code}'", 1)
    before = world.books.counts()
    await asyncio.sleep(0.5)
    async with world.app() as app:
        report = await app.reconcile(apply=True)
        assert [finding.code for finding in report.left] == [code]
    assert world.books.counts() == before


async def accepted(world):
    async with world.app() as app:
        await app.reconcile(apply=True, accept_restore=True, who="ann", why="the disk was lost")
    await rest(world)  # whose orders were lost send them again
    await world.all_ended()
    world.balance()


@pytest.mark.timeout(4 * PATIENCE_S)
def test_record_is_set_back(world):
    """P6, P3: charges since then stand. Held, accepted, probed: none is made again, and all are written back."""

    async def scenario():
        async with running(world):

            async def nothing():
                pass

            await set_back(world, nothing)
            await held(world, "RF-RECORD-BEHIND")
            await accepted(world)
            [(who,)] = world.record_says("SELECT who FROM recordfirst.audit WHERE command = 'accept restore'")
            assert who == "ann"

    go(scenario())


@pytest.mark.timeout(4 * PATIENCE_S)
def test_both_are_set_back(world):
    """P6, P3: to different times, the engine to the later one."""

    async def scenario():
        async with running(world):
            copies = []

            async def meanwhile():
                copies.append(world.copy_engine())

            await set_back(world, meanwhile)
            world.restore_engine(copies[0])
            await held(world, "RF-RECORD-BEHIND")
            await accepted(world)

    go(scenario())


@pytest.mark.timeout(4 * PATIENCE_S)
def test_record_moved_and_the_engine_was_lost(world):
    """P6, P3: no mark can tell; that Postgres is another cluster, or another timeline of it, does."""

    async def scenario():
        async with running(world):

            async def nothing():
                pass

            await set_back(world, nothing)
            world.restore_engine({"promises": {}, "tasks": {}, "p_timeouts": [], "t_timeouts": []})
            with psycopg.connect(world.dsn, autocommit=True) as connection:
                connection.execute("UPDATE recordfirst.timeline SET witness = 'before the restore'")
            await held(world, "RF-RECORD-MOVED")
            await accepted(world)

    go(scenario())
