"""Trap 12: a deadlock or a serialization failure is the record's business, never a step's outcome."""

from __future__ import annotations

import asyncio
import sqlite3

import psycopg
import pytest

import recordfirst.records.sqlite.client
from recordfirst import Context, Misuse, inject, insert_or_same, workflow, write
from recordfirst.conformance.record import run
from recordfirst.execution.patience import fault_of
from recordfirst.observe import Repeated
from recordfirst.worker.dispatcher import Dispatcher


class Meeting:
    """Lets nobody go on before two have come; after that it holds nobody."""

    def __init__(self) -> None:
        self._come, self._both = 0, asyncio.Event()

    async def wait(self) -> None:
        self._come += 1
        if self._come == 2:
            self._both.set()
        await self._both.wait()


def busy() -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("database is locked")
    error.sqlite_errorcode = sqlite3.SQLITE_BUSY
    return error


class Changed(Meeting):
    """A second meeting."""


class Tries:
    """Fails the first so many tries of a step."""

    def __init__(self, *errors: Exception) -> None:
        self.errors = list(errors)
        self.made = 0

    def __call__(self) -> None:
        self.made += 1
        if self.errors:
            raise self.errors.pop(0)


@write
async def visit(w, who: str, *, tries: Tries = inject()) -> str:
    await w.tx.execute(f"INSERT INTO visits (who) VALUES ('{who}')")
    tries()
    return who


@workflow
async def visiting(ctx: Context, who: str) -> str:
    return await visit(ctx, who)


class Taken(Exception):  # noqa: N818 - a word of this test
    """What the user's code makes of the driver's error."""


@write
async def take(w, how: str, *, tries: Tries = inject()) -> str:
    try:
        tries()
    except (psycopg.Error, sqlite3.Error) as error:
        if how == "from it":
            raise Taken(how) from error
        if how == "from none":
            raise Taken(how) from None
        raise Taken(how)  # noqa: B904
    return "it was tried again"


@workflow
async def taking(ctx: Context, how: str) -> str:
    try:
        return await take(ctx, how)
    except Taken as taken:
        return f"taken: {taken}"


@write
async def visit_in_a_group(w, who: str, *, tries: Tries = inject()) -> str:
    async def one() -> None:
        tries()

    async with asyncio.TaskGroup() as group:
        group.create_task(one())
        group.create_task(w.tx.execute(f"INSERT INTO visits (who) VALUES ('{who}')"))
    return who


@workflow
async def visiting_in_a_group(ctx: Context, who: str) -> str:
    return await visit_in_a_group(ctx, who)


@write
async def transfer(w, first: str, second: str, *, meeting: Meeting = inject()) -> None:
    await w.tx.execute(f"UPDATE orders SET amount = amount - 1 WHERE id = '{first}'")
    await meeting.wait()
    await w.tx.execute(f"UPDATE orders SET amount = amount + 1 WHERE id = '{second}'")


@workflow
async def transferring(ctx: Context, first: str, second: str) -> None:
    await transfer(ctx, first, second)


@write
async def count_up(w, *, seen: Meeting = inject(), changed: Changed = inject()) -> None:
    await w.tx.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    await w.tx.execute("SELECT amount FROM orders")
    await seen.wait()
    await changed.wait()
    await w.tx.execute("UPDATE orders SET amount = amount + 1")


@workflow
async def counting(ctx: Context) -> None:
    await count_up(ctx)


@write
async def put_order(w, id: str) -> None:
    await insert_or_same(w.tx, "orders", {"id": id}, {"amount": 0})


@workflow
async def ordering(ctx: Context, id: str) -> None:
    await put_order(ctx, id)


async def states(app, workflow):
    async with app.runtime.record.session() as session:
        return [(receipt.function, receipt.state) for receipt in await session.receipts_of(workflow)]


@pytest.mark.parametrize(
    "error",
    [psycopg.errors.SerializationFailure("40001"), psycopg.errors.DeadlockDetected("40P01")],
    ids=["serialization", "deadlock"],
)
def test_injected_contention_on_postgres(make_shop, postgres_dsn, error):
    """P9: 40001 and 40P01 are tried again, from a clean transaction."""
    check_injected(make_shop(postgres_dsn), error)


def test_injected_contention_on_sqlite(make_shop, sqlite_path):
    """P9: a busy database is tried again."""
    check_injected(make_shop(f"sqlite:///{sqlite_path}"), busy())


@pytest.mark.parametrize("how", ["from it", "from none", "around it"])
def test_what_the_code_has_decided_is_not_tried_again(make_shop, record_url, how):
    """P9: an exception of its own, made of the driver's, reaches the body at once."""
    shop = make_shop(record_url)

    async def go():
        tries = Tries(busy() if record_url.startswith("sqlite") else psycopg.errors.LockNotAvailable("55P03"))
        async with shop.working(taking, provide={Tries: tries}) as app:
            assert await (await app.start(taking, how, id="t")).result() == f"taken: {how}"
            assert tries.made == 1

    run(go())


def test_a_task_group_decides_nothing(make_shop, record_url):
    """P9: what it wraps is the driver's own; one that holds something of the user's, too, is the user's."""
    shop = make_shop(record_url)
    error = busy() if record_url.startswith("sqlite") else psycopg.errors.DeadlockDetected("40P01")

    async def go():
        tries = Tries(error, error)
        async with shop.working(visiting_in_a_group, provide={Tries: tries}) as app:
            assert await (await app.start(visiting_in_a_group, "ann", id="v")).result() == "ann"
            assert tries.made == 3
            assert fault_of(app.runtime.record, ExceptionGroup("", [error, error])) == "contention"
            assert fault_of(app.runtime.record, ExceptionGroup("", [error, ValueError()])) is None

    run(go())


def check_injected(shop, error):
    async def go():
        tries = Tries(error, error, error)
        async with shop.working(visiting, provide={Tries: tries}) as app:
            assert await (await app.start(visiting, "ann", id="v")).result() == "ann"
            assert tries.made == 4
            assert await shop.rows(app, "SELECT who FROM visits") == [("ann",)]
            assert await states(app, "v") == [("visit", "succeeded")]
        assert [event.fault for event in shop.seen(Repeated)] == ["contention"] * 3

    run(go())


def test_real_deadlock(make_shop, postgres_dsn):
    """P9: of two transactions that wait for each other one is the victim, and both workflows succeed."""
    shop = make_shop(postgres_dsn)

    async def go():
        async with shop.working(transferring, ordering, provide={Meeting: Meeting()}) as app:
            for id in "ab":
                await (await app.start(ordering, id, id=id)).result()
            there = await app.start(transferring, "a", "b", id="there")
            back = await app.start(transferring, "b", "a", id="back")
            await asyncio.gather(there.result(), back.result())
            assert await shop.rows(app, "SELECT amount FROM orders") == [(0,), (0,)]
            assert await states(app, "there") == await states(app, "back") == [("transfer", "succeeded")]
        [victim] = shop.seen(Repeated)
        assert (victim.fault, "deadlock detected" in victim.cause) == ("contention", True)

    run(go())


@pytest.mark.parametrize("first_run", [True, False])
def test_real_serialization_failure(make_shop, postgres_dsn, monkeypatch, first_run):
    """P9: a row that changed under a repeatable read makes the whole write run again, in a first run and in a later."""
    shop = make_shop(postgres_dsn)
    monkeypatch.setattr(Dispatcher, "entered", lambda self, engine_id: first_run)

    async def go():
        seen, changed = Meeting(), Changed()
        async with shop.working(counting, ordering, provide={Meeting: seen, Changed: changed}) as app:
            await (await app.start(ordering, "a", id="a")).result()
            handle = await app.start(counting, id="c")
            await seen.wait()
            async with app.record.write() as w:
                await w.tx.execute("UPDATE orders SET amount = 10")
            await changed.wait()
            await handle.result()
            assert await shop.rows(app, "SELECT amount FROM orders") == [(11,)]
        assert [event.fault for event in shop.seen(Repeated)] == ["contention"]

    run(go())


def test_real_lock_of_another_process_on_sqlite(make_shop, sqlite_path, monkeypatch):
    """P9: while somebody else holds the file's lock, a write is tried again until it is free."""
    monkeypatch.setattr(recordfirst.records.sqlite.client, "_BUSY_MS", 20)
    shop = make_shop(f"sqlite:///{sqlite_path}")

    async def go():
        async with shop.working(ordering) as app:
            other = sqlite3.connect(sqlite_path, isolation_level=None, check_same_thread=False)
            other.execute("BEGIN IMMEDIATE")
            starting = asyncio.create_task(app.start(ordering, "a", id="a"))
            while not shop.seen(Repeated):
                await asyncio.sleep(0.01)
            other.rollback()
            other.close()
            await (await starting).result()
            assert await shop.rows(app, "SELECT id FROM orders") == [("a",)]

    run(go())


@workflow
async def nothing_to_do(ctx: Context) -> None:
    return None


def test_start_inside_a_transaction_of_ones_own(shop):
    """P9: SQLite has one transaction at a time, so a start beside it would wait for ever: it is refused at once."""

    async def go():
        async with shop.app(nothing_to_do) as app:

            async def order():
                async with app.record.write() as w:
                    await w.tx.execute("INSERT INTO visits (who) VALUES ('ann')")
                    await app.start(nothing_to_do, id="n")

            if shop.url.startswith("sqlite"):
                with pytest.raises(Misuse, match="another one was asked for, which would wait for the first"):
                    await asyncio.wait_for(order(), 10)
            else:
                await order()
            await app.start(nothing_to_do, id="n")
            assert len(await shop.rows(app, "SELECT who FROM visits")) == (not shop.url.startswith("sqlite"))

    run(go())
