"""P2 on SQLite: what a block's code executes commits with recordfirst's own statements, or not at all; and nothing that
it sets on the connection reaches another block.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from typing import Any

import aiosqlite
import pytest

from recordfirst.conformance.record import opened, run, wrote
from recordfirst.errors import Misuse
from recordfirst.records.sqlite import SqliteRecord

TABLES = (
    "CREATE TABLE entry (text)",
    "CREATE TABLE customer (id UNIQUE)",
    "INSERT INTO customer VALUES ('ada'), ('bob')",
    "CREATE TABLE strict_one (id)",
    "CREATE TRIGGER rolls BEFORE INSERT ON strict_one BEGIN SELECT RAISE(ROLLBACK, 'no'); END",
)


@contextlib.asynccontextmanager
async def shop(path):
    async with opened(lambda: SqliteRecord(path)) as record:
        async with record.transaction() as tx:
            for statement in TABLES:
                await tx.connection.execute(statement)
        yield record


async def write(record, code, key="order:1/insert"):
    """A write's transaction: its code, then its receipt."""
    async with record.transaction() as tx:
        await code(tx.connection)
        await tx.add_receipts([wrote(key)])


async def stored(record, key="order:1/insert"):
    """The entries, and whether there is a receipt."""
    async with record.reading() as connection:
        entries = [row[0] for row in await connection.execute_fetchall("SELECT text FROM entry")]
    async with record.session() as session:
        return entries, (await session.find_receipt(key)).receipt is not None


async def insert(tx, text):
    await tx.execute("INSERT INTO entry VALUES (?)", (text,))


def held(tx, gate, began):
    """A statement that is under way until ``gate`` is set."""

    def wait():
        began.set()
        return gate.wait(10)

    return tx.create_function("held", 0, wait)


# ── what ends the transaction ───────────────────────────────────────────────

ROLLS_BACK = {
    "INSERT OR ROLLBACK": lambda tx: tx.execute("INSERT OR ROLLBACK INTO customer VALUES ('ada')"),
    "a trigger": lambda tx: tx.execute("INSERT INTO strict_one VALUES (1)"),
    "one row of many": lambda tx: tx.executemany("INSERT OR ROLLBACK INTO customer VALUES (?)", [("x",), ("ada",)]),
    "an update": lambda tx: tx.execute("UPDATE OR ROLLBACK customer SET id = 'ada'"),
    "a cursor": lambda tx: by_cursor(tx, "INSERT OR ROLLBACK INTO customer VALUES ('ada')"),
    "fetched": lambda tx: tx.execute_fetchall("INSERT OR ROLLBACK INTO customer VALUES ('ada') RETURNING id"),
}  # fmt: skip


async def by_cursor(tx, sql):
    async with tx.cursor() as cursor:
        await cursor.execute(sql)


@pytest.mark.parametrize("end", ROLLS_BACK)
@pytest.mark.parametrize("goes_on", [True, False])
def test_p2_what_comes_after_a_rollback_inside_the_block_is_not_kept(sqlite_path, end, goes_on):
    """The code catches the error and goes on, or returns: in either case an error, no row and no receipt."""

    async def code(tx):
        await insert(tx, "debit")
        with contextlib.suppress(sqlite3.IntegrityError):
            await ROLLS_BACK[end](tx)
        if goes_on:
            await insert(tx, "credit")

    async def go():
        async with shop(sqlite_path) as record:
            for _ in range(2):  # the second time the driver has the statements prepared
                with pytest.raises(Misuse, match="ended inside its block"):
                    await write(record, code)
                assert await stored(record) == ([], False)
            await write(record, lambda tx: insert(tx, "whole"))
            assert await stored(record) == (["whole"], True)

    run(go())


def test_p2_a_statement_that_is_on_its_way_lands_with_the_receipt_or_not_at_all(sqlite_path):
    """A task rolls the transaction back behind the block's back, right before the receipt is stored."""

    async def go():
        async with shop(sqlite_path) as record:

            async def code(tx):
                await insert(tx, "debit")
                tasks.append(asyncio.create_task(ROLLS_BACK["INSERT OR ROLLBACK"](tx)))
                await asyncio.sleep(0)

            tasks: list[Any] = []
            with pytest.raises(Misuse):
                await write(record, code)
            await asyncio.gather(*tasks, return_exceptions=True)
            assert await stored(record) == ([], False)

    run(go())


async def a_cursors_script(tx):
    cursor = await tx.cursor()
    await cursor.executescript("INSERT INTO entry VALUES ('2')")


async def backed_up(tx):
    with contextlib.closing(sqlite3.connect(":memory:")) as target:
        await tx.backup(target)


REFUSED = {
    "commit": lambda tx: tx.commit(),
    "rollback": lambda tx: tx.rollback(),
    "close": lambda tx: tx.close(),
    "enter": lambda tx: tx.__aenter__(),
    "script": lambda tx: tx.executescript("INSERT INTO entry VALUES ('2')"),
    "a cursor's script": a_cursors_script,
    "COMMIT": lambda tx: tx.execute("COMMIT"),
    "end": lambda tx: tx.execute("/* */ eNd transaction"),
    "ROLLBACK": lambda tx: tx.execute_fetchall("ROLLBACK"),
    "BEGIN": lambda tx: tx.execute("BEGIN IMMEDIATE"),
    "ATTACH": lambda tx: tx.execute("ATTACH ':memory:' AS other"),
    "foreign_keys": lambda tx: tx.execute("PRAGMA foreign_keys = OFF"),
    "synchronous": lambda tx: tx.execute("PRAGMA synchronous(0)"),
    "query_only": lambda tx: tx.execute("PRAGMA query_only = ON"),
    "of temp": lambda tx: tx.execute("PRAGMA temp.query_only = ON"),
    "unknown pragma": lambda tx: tx.execute("PRAGMA case_sensitive_like = 1"),
    "checkpoint": lambda tx: tx.execute("PRAGMA wal_checkpoint(TRUNCATE)"),
    "temporary receipts": lambda tx: tx.execute("CREATE TEMP TABLE RecordFirst_receipt (id)"),
    "a temporary view": lambda tx: tx.execute("CREATE VIEW temp.recordfirst_receipt AS SELECT 1"),
    "authorizer": lambda tx: tx.set_authorizer(None),
    "backup": backed_up,
}


@pytest.mark.parametrize("what", REFUSED)
def test_p2_what_the_transaction_cannot_take_back_is_refused(sqlite_path, what):
    """At once, whatever its spelling; the transaction goes on, and is kept as a whole."""

    async def code(tx):
        await insert(tx, "1")
        for _ in range(2):
            with contextlib.suppress(sqlite3.OperationalError) if what == "BEGIN" else pytest.raises(Misuse):
                await REFUSED[what](tx)
        await insert(tx, "2")
        raise LookupError

    async def go():
        async with shop(sqlite_path) as record:
            with pytest.raises(LookupError):
                await write(record, code)
            assert await stored(record) == ([], False)
            async with record.transaction() as tx:
                assert await tx.add_receipts([wrote()]) == [(wrote().key, 1)]
                for pragma, value in (("foreign_keys", 1), ("synchronous", 2), ("query_only", 0)):
                    assert list(await tx.connection.execute_fetchall(f"PRAGMA {pragma}")) == [(value,)]

    run(go())


def test_p2_what_is_part_of_the_transaction_is_allowed(sqlite_path):
    """Savepoints, tables, looks at the schema, what is set in the file or until the end of the transaction."""

    async def code(tx):
        for statement in (
            "SAVEPOINT a", "INSERT INTO entry VALUES ('taken back')", "ROLLBACK TO a", "RELEASE a", "ANALYZE",
            "CREATE TABLE more (id)", "ALTER TABLE more RENAME TO other", "CREATE INDEX by_id ON other (id)", "REINDEX",
            "PRAGMA table_info(entry)", "SELECT * FROM pragma_table_info('entry')", "PRAGMA user_version = 7",
            "PRAGMA defer_foreign_keys = ON", "PRAGMA foreign_keys", "DROP TABLE other", "EXPLAIN SELECT 1",
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT * FROM n",
        ):  # fmt: skip
            await tx.execute_fetchall(statement)
        assert await tx.execute_insert("INSERT INTO entry VALUES ('kept')") == (1,)
        assert isinstance(tx, aiosqlite.Connection)
        assert tx.in_transaction

    async def go():
        async with shop(sqlite_path) as record:
            await write(record, code)
            assert await stored(record) == (["kept"], True)
            async with record.reading() as connection:
                assert list(await connection.execute_fetchall("PRAGMA user_version")) == [(7,)]

    run(go())


# ── what was given up ───────────────────────────────────────────────────────


def test_p2_a_statement_that_was_given_up_before_it_began_is_not_executed(sqlite_path):
    """The code is told that it was not stored, and so it is."""
    gate, began = threading.Event(), threading.Event()

    async def code(tx):
        await held(tx, gate, began)
        slow = asyncio.create_task(tx.execute("SELECT held()"))
        await asyncio.to_thread(began.wait)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(insert(tx, "given up"), 0.01)
        gate.set()
        await slow
        await insert(tx, "kept")

    async def go():
        async with shop(sqlite_path) as record:
            await write(record, code)
            assert await stored(record) == (["kept"], True)

    run(go())


@pytest.mark.parametrize("in_savepoint", [False, True])
def test_p2_a_statement_that_was_given_up_while_it_ran_is_not_kept(sqlite_path, in_savepoint):
    """It cannot be stopped, so the transaction cannot commit, unless a savepoint takes the statement back."""
    gate, began = threading.Event(), threading.Event()

    async def code(tx):
        await insert(tx, "first")
        await held(tx, gate, began)
        await tx.execute("SAVEPOINT Mine")
        slow = asyncio.create_task(tx.execute("INSERT INTO entry SELECT 'given up' WHERE held()"))
        await asyncio.to_thread(began.wait)
        slow.cancel()
        await asyncio.wait([slow])
        gate.set()
        if in_savepoint:
            await tx.execute("ROLLBACK TO mine")

    async def go():
        async with shop(sqlite_path) as record:
            with contextlib.nullcontext() if in_savepoint else pytest.raises(Misuse, match="given up while it ran"):
                await write(record, code)
            assert await stored(record) == ((["first"], True) if in_savepoint else ([], False))

    run(go())


@pytest.mark.parametrize("steps", [
    (["SAVEPOINT a", "!", "RELEASE a"], False),
    (["SAVEPOINT a", "!", "RELEASE a", "SAVEPOINT a", "ROLLBACK TO a"], False),
    (["SAVEPOINT a", "SAVEPOINT b", "!", "RELEASE b", "ROLLBACK TO a"], True),
    (["SAVEPOINT a", "SAVEPOINT a", "ROLLBACK TO a", "!", "ROLLBACK /* */ TRANSACTION TO SAVEPOINT A"], True),
    (["SAVEPOINT a", "ROLLBACK TO a", "RELEASE a", "!"], False),
])  # fmt: skip
def test_p2_savepoints_are_told_by_sqlite_itself(sqlite_path, steps):
    """However a statement is spelled, and also when the driver has it prepared."""

    async def go():
        async with shop(sqlite_path) as record:
            for _ in range(2):
                async with record.transaction() as tx:
                    for statement in steps[0]:
                        if statement == "!":
                            tx._dialect.promise(1)
                        else:
                            await tx.connection.execute(statement)
                    assert await tx._dialect.promised() == (set() if steps[1] else {1})

    run(go())


# ── who may use it, and until when ──────────────────────────────────────────

USES = {
    "execute": lambda tx, cursor: insert(tx, "late"),
    "executemany": lambda tx, cursor: tx.executemany("INSERT INTO entry VALUES (?)", [("late",)]),
    "execute_insert": lambda tx, cursor: tx.execute_insert("INSERT INTO entry VALUES ('late')"),
    "a cursor of before": lambda tx, cursor: cursor.execute("INSERT INTO entry VALUES ('late')"),
    "a new cursor": lambda tx, cursor: tx.cursor(),
    "a function": lambda tx, cursor: tx.create_function("late", 0, lambda: 1),
    "interrupt": lambda tx, cursor: tx.interrupt(),
}


@pytest.mark.parametrize("how", USES)
def test_p2_after_its_block_a_connection_is_of_no_use(sqlite_path, how):
    """Also while another block has its transaction open: nothing lands there, whoever kept the connection."""

    async def go():
        async with shop(sqlite_path) as record:
            async with record.transaction() as tx:
                kept = tx.connection
                cursor = await kept.cursor()
            async with record.transaction() as tx:
                await insert(tx.connection, "another's")
                with pytest.raises(Misuse, match="has ended"):
                    await USES[how](kept, cursor)
                await tx.add_receipts([wrote()])
            assert await stored(record) == (["another's"], True)

    run(go())


# ── what stays on a connection ──────────────────────────────────────────────


def by_name(cursor, row):
    return {column[0]: value for column, value in zip(cursor.description, row, strict=True)}


def test_p2_factories_are_the_blocks_own(sqlite_path):
    """Its rows have the shape that it asked for; recordfirst's own, and the next block's, have theirs."""

    async def code(tx):
        for factory, shown in ((by_name, {"n": "a"}), (None, ("a",))):
            tx.row_factory = factory
            assert await (await tx.execute("SELECT 'a' AS n")).fetchone() == shown
            assert await tx.execute_fetchall("SELECT 'a' AS n") == [shown]
        tx.row_factory, tx.text_factory = aiosqlite.Row, bytes
        cursor = await tx.execute("SELECT 'a' AS n")
        assert (await cursor.fetchone())["n"] == b"a"
        assert cursor.connection is tx
        with pytest.raises(Misuse):
            tx.isolation_level = "DEFERRED"
        tx.isolation_level = None

    async def go():
        async with shop(sqlite_path) as record:
            news = asyncio.create_task(record.changed(0.5))
            await write(record, code)
            async with record.reading() as connection:
                await code(connection)
            for lend in (record.transaction, record.reading):
                async with lend() as given:
                    connection = given if lend == record.reading else given.connection
                    assert await connection.execute_fetchall("SELECT 'a'") == [("a",)]
                    assert (connection.row_factory, connection.text_factory) == (None, str)
            await news
            assert await stored(record) == ([], True)

    run(go())


LEAVES = {
    "a temporary table": ("CREATE TEMP TABLE mine (n)", "SELECT * FROM mine"),
    "one that stands before another": ("CREATE TEMP TABLE entry (text)", "SELECT * FROM temp.entry"),
    "a temporary view": ("CREATE VIEW temp.mine AS SELECT 1", "SELECT * FROM mine"),
    "a temporary trigger": (
        "CREATE TEMP TRIGGER mine AFTER INSERT ON entry BEGIN DELETE FROM entry; END",
        "SELECT * FROM temp.mine",
    ),
    "a virtual one": ("CREATE VIRTUAL TABLE temp.mine USING fts5(n)", "SELECT * FROM mine"),
}


@pytest.mark.parametrize("what", LEAVES)
def test_p2_what_is_temporary_ends_with_its_block(sqlite_path, what):
    """It can be used, time after time, and another block does not see it."""
    make, look = LEAVES[what]

    async def go():
        async with shop(sqlite_path) as record:
            for number in range(3):
                await write(record, lambda tx: tx.execute(make), f"{number}")
                with pytest.raises(sqlite3.OperationalError, match="no such table"):
                    await write(record, lambda tx: tx.execute(look), "looked")
                assert (await stored(record, f"{number}"))[1]
            await write(record, lambda tx: insert(tx, "kept"))
            assert await stored(record) == (["kept"], True)

    run(go())


@pytest.mark.parametrize("reads", [False, True])
def test_p2_functions_and_callbacks_end_with_their_block(sqlite_path, reads):
    """Also one with the name of SQLite's own."""
    told: list[Any] = []

    async def code(tx):
        await tx.create_function("lower", 1, lambda _: "mine")
        await tx.set_trace_callback(told.append)
        await tx.set_progress_handler(lambda: 0, 1)
        assert await tx.execute_fetchall("SELECT lower('A')") == [("mine",)]

    async def go():
        async with shop(sqlite_path) as record:

            async def lend(work):
                async with record.reading() if reads else record.transaction() as given:
                    await work(given if reads else given.connection)

            async def look(tx):
                assert await tx.execute_fetchall("SELECT lower('A')") == [("a",)]

            await lend(code)
            with pytest.raises(LookupError):
                await lend(fail)
            told.clear()  # its own ROLLBACK
            await lend(look)
            async with record.session() as session:
                await session.now_ms()
            assert told == []

    async def fail(tx):
        await code(tx)
        told.clear()
        raise LookupError

    run(go())


def test_p9_a_connection_that_cannot_be_replaced_now_is_replaced_later(sqlite_path, monkeypatch):
    """What committed has committed; the next transaction says that the record cannot be reached, and is tried again."""

    async def go():
        async with shop(sqlite_path) as record:
            await write(record, lambda tx: tx.execute("CREATE TEMP TABLE mine (n)"))
            error = sqlite3.OperationalError("unable to open database file")
            error.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN

            def refuse(*_, **__):
                raise error

            with monkeypatch.context() as patch:
                patch.setattr(record, "_driver", refuse)
                with pytest.raises(sqlite3.OperationalError) as caught:
                    await write(record, lambda tx: insert(tx, "1"))
                assert record.fault(caught.value) == "unreachable"
                async with record.session() as session:
                    with pytest.raises(sqlite3.OperationalError):
                        await session.now_ms()
            await write(record, lambda tx: insert(tx, "2"), "second")
            assert await stored(record, "second") == (["2"], True)

    run(go())


def test_p2_a_cursor_that_was_not_read_to_its_end_keeps_nothing_back(sqlite_path):
    """Neither the COMMIT of its own block, nor what later ones see, nor what they write."""
    kept = []

    async def returning(tx):
        kept.append(await tx.execute("INSERT INTO entry VALUES ('a'), ('b') RETURNING text"))

    async def looking(tx):
        cursor = await tx.execute("SELECT 1 UNION ALL SELECT rowid FROM entry")
        assert await cursor.fetchone() == (1,)
        kept.append(cursor)

    async def go():
        async with shop(sqlite_path) as record:
            await write(record, returning)
            async with record.reading() as connection:
                await looking(connection)
            await write(record, looking, "second")
            with contextlib.closing(sqlite3.connect(sqlite_path, isolation_level=None)) as other:
                other.execute("INSERT INTO entry VALUES ('of another process')")
            assert await stored(record) == (["a", "b", "of another process"], True)
            await write(record, lambda tx: insert(tx, "c"), "third")
            for cursor in kept:
                with pytest.raises(Misuse, match="has ended"):
                    await cursor.fetchone()
                await cursor.close()

    run(go())


def test_p2_a_cancelled_block_is_rolled_back_whatever_it_was_doing(sqlite_path):
    """Cancelled at any point, no statement of it is executed later on."""

    async def code(tx):
        for number in range(3):
            await asyncio.gather(*(insert(tx, f"{number}") for _ in range(3)))

    async def go():
        async with shop(sqlite_path) as record:
            for number in range(60):
                task = asyncio.create_task(write(record, code, f"{number}"))
                for _ in range(number):
                    await asyncio.sleep(0)
                task.cancel()
                await asyncio.wait([task])
                async with record.transaction() as tx:
                    is_there = (await tx.find_receipt(f"{number}")).receipt is not None
                    [(count,)] = await tx.connection.execute_fetchall("SELECT count(*) FROM entry")
                    await tx.connection.execute("DELETE FROM entry")
                assert count == (9 if is_there else 0)

    run(go())
