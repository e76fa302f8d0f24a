"""P3, P6: the record was restored and the ledger was not: what the ledger has already is found, and not made again."""

from __future__ import annotations

import contextlib
import sqlite3
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from recordfirst import Account, DifferentTransfer, SqlLedger, Transfer, TransferFlags
from recordfirst.core import identity
from recordfirst.ledgers.check import Receipts, check
from recordfirst.ledgers.restored import as_made
from recordfirst.steps.transfer import TransferStep
from tests.effects.harness import Plug, orders, until
from tests.engines import engine_for
from tests.ledgers import program
from tests.ledgers.conftest import sql_ledger
from tests.ledgers.program import Purchase, Till, lost


class World(Till):
    """A till whose record can be copied and restored; ledger and engine stay as they are."""

    def copy(self) -> None:
        """As the record is now."""
        if self.url.startswith("sqlite"):
            self._copied = Path(f"{self._path}.copy")
            with (
                contextlib.closing(sqlite3.connect(self._path)) as one,
                contextlib.closing(sqlite3.connect(self._copied)) as other,
            ):
                one.backup(other)
        else:
            self._swap(f"CREATE DATABASE {self._name}_copy TEMPLATE {self._name}")

    def restore(self) -> None:
        if self.url.startswith("sqlite"):
            for left in Path(self._path).parent.glob(f"{Path(self._path).name}-*"):
                if not left.name.endswith("engine"):
                    left.unlink()
            self._copied.replace(self._path)
        else:
            self._swap(f"DROP DATABASE {self._name} WITH (FORCE)")
            self._swap(f"ALTER DATABASE {self._name}_copy RENAME TO {self._name}")

    @property
    def _path(self) -> str:
        return self.url.removeprefix("sqlite:///")

    @property
    def _name(self) -> str:
        return str(psycopg.conninfo.conninfo_to_dict(self.url)["dbname"])

    def _swap(self, sql: str) -> None:
        with psycopg.connect(self.url.replace(f"/{self._name}", "/postgres"), autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [self._name]
            )
            connection.execute(sql.encode())

    async def accept(self) -> None:
        """A worker notices and holds; an operator accepts."""
        async with self.working(engine=engine_for(self.url)) as app:

            async def held() -> bool:
                async with app.runtime.record.session() as session:
                    line = await session.find_timeline()
                return line is not None and line.held is not None

            await until(held)
        async with self.app(engine=engine_for(self.url)) as app:
            await app.reconcile(apply=True, accept_restore=True)

    async def done(self, name: str, plug: Plug | None = None) -> object:
        async with self.working(engine=engine_for(self.url), plug=plug) as app:
            handle = await app.start(getattr(program, name), self.purchase, id=f"purchase:{self.purchase.id}")
            return await handle.result()


@pytest.fixture(params=["sqlite", "postgres", "tigerbeetle"])
def world(request: pytest.FixtureRequest, tmp_path) -> Iterator[World]:
    """A ledger in another database than the record, of each kind; and TigerBeetle."""
    purchase = Purchase(uuid.uuid4().hex)
    if request.param == "postgres":
        dsn = request.getfixturevalue("postgres_dsn")
        name = str(psycopg.conninfo.conninfo_to_dict(dsn)["dbname"])
        made = World(dsn, "", purchase, elsewhere=dsn.replace(f"/{name}", f"/{name}_ledger"))
        made._swap(f"CREATE DATABASE {name}_ledger TEMPLATE template0")
        yield made
        made._swap(f"DROP DATABASE {name}_ledger WITH (FORCE)")
        return
    url = f"sqlite:///{request.getfixturevalue('sqlite_path')}"
    if request.param == "sqlite":
        yield World(url, "", purchase, elsewhere=f"sqlite:///{tmp_path / 'ledger.db'}")
    else:
        yield World(url, request.getfixturevalue("tigerbeetle_addresses"), purchase)


async def begun(world: World) -> None:
    """Accounts, an engine with a mark, and a copy of the record from before the purchase."""
    await world.prepare()
    async with world.working(engine=engine_for(world.url)) as app:
        await _marked(app)
    world.copy()


async def _marked(app) -> None:
    async def marked() -> bool:
        mark = None
        if app._dispatcher is not None:
            async with app.runtime.record.session() as session:
                mark = await session.find_mark(app._dispatcher.engine.identity)
        return mark is not None and mark.confirmed

    await until(marked)


WAYS = {
    "paying": {"customer": (0, 3001), "shop": (0, 1999), "tax": (0, 0)},
    "announced": {"customer": (0, 3001), "shop": (0, 1999), "tax": (0, 0)},
    "in_parts": {"customer": (0, 3001), "shop": (0, 1899), "tax": (0, 100)},
    "balancing": {"customer": (0, 3001), "shop": (0, 1999), "tax": (0, 0)},
    "two_phase": {"customer": (0, 3001), "shop": (0, 1999), "tax": (0, 0)},
}


@pytest.mark.parametrize("name", WAYS)
async def test_a_transfer_that_the_record_has_forgotten(world, name):
    """It is found by its mark, under the id that it has; the receipt names that one, and the books are in order."""
    await begun(world)
    first = await world.done(name)
    async with world.app():
        assert await world.balances() == WAYS[name]
    world.restore()
    await world.accept()
    assert await world.done(name) == first
    async with world.app(engine=engine_for(world.url)) as app:
        assert await world.balances() == WAYS[name]
        assert await orders(app) == [("paid", 1) if name == "paying" else ("new", 0)]
        if not world.addresses:  # a cluster of all tests is not in order for each of them
            names = [step.name for step in app.effects if isinstance(step, TransferStep)]
            receipts = Receipts(app.runtime.record, "shop", names, app.runtime.unseal)
            assert (await check(world.ledger._ledger, receipts, 0)).findings == []


class HeldOnly(Plug):
    """Lets the first request through, and none behind it: what is held stays held."""

    def __call__(self, point: str) -> Any:
        if point == "sending" and "sent" in self.passed:
            raise ConnectionRefusedError
        return super().__call__(point)


async def test_what_was_held_when_it_was_forgotten(world):
    """Money that is held is found, and posted once; also when answers are lost again."""
    await begun(world)
    with pytest.raises(RuntimeError, match="unplugged"):
        async with world.working(engine=engine_for(world.url), plug=HeldOnly()) as app:
            await app.start(program.two_phase, world.purchase, id=f"purchase:{world.purchase.id}")

            async def held() -> bool:
                return bool((await world.balances())["customer"][0])

            await until(held)
            raise RuntimeError("unplugged")
    world.restore()
    await world.accept()
    assert await world.done("two_phase", plug=Plug({"sent": lost})) == 1999
    async with world.app():
        assert await world.balances() == WAYS["two_phase"]


async def test_a_record_that_never_went_back_asks_nothing(world, monkeypatch):
    """The look costs a query for each transfer, so it is for those who need it."""
    await world.prepare()
    looks: list[object] = []
    monkeypatch.setattr(sys.modules["recordfirst.steps.transfer"], "as_made", looks.append)
    assert await world.done("paying") == 1999
    assert looks == []


def made(key: str, since_ms: int, part: int = 0, **what: Any) -> Transfer:
    """A transfer as a step would send it."""
    given: dict[str, Any] = {"user_data_128": identity.ledger_mark("shop", key, 1)} | what
    return Transfer(
        id=identity.transfer_id("shop", key, 1, part, since_ms),
        debit_account_id=1,
        credit_account_id=2,
        amount=5,
        ledger=1,
        code=1,
        **given,
    )


async def test_p8_what_is_found_is_compared(record_url):
    """By the ledger itself: under the old id, with other fields, it is a conflict; a part of a chain is one, too."""
    async with sql_ledger(record_url) as ledger:
        await _with_accounts(ledger)
        old = made("a", 1_000)
        await ledger.create_transfers([old])
        assert await as_made(ledger, [made("a", 2_000)]) == [old]
        assert await as_made(ledger, [made("b", 2_000)]) == [made("b", 2_000)]
        chain = [made("a", 2_000, flags=TransferFlags.LINKED), made("a", 2_000, 1)]
        with pytest.raises(DifferentTransfer, match="it is there without"):
            await as_made(ledger, chain)


async def test_p6_user_data_of_ones_own(record_url):
    """Among many that carry the same, it is told by the end of its id, which has no time in it."""
    async with sql_ledger(record_url) as ledger:
        await _with_accounts(ledger)
        many = [made(f"{n}", 1_000 + n, user_data_128=7) for n in range(1_200)]
        await ledger.create_transfers(many)
        assert await as_made(ledger, [made("1150", 9_000, user_data_128=7)]) == [many[1150]]
        assert await as_made(ledger, [made("1300", 9_000, user_data_128=7)]) == [made("1300", 9_000, user_data_128=7)]


async def _with_accounts(ledger: SqlLedger) -> None:
    await ledger.create_accounts([Account(id=id, ledger=1, code=1) for id in (1, 2)])
