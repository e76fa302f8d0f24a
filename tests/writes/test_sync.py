"""P2: what a sync function's connection can do, and when it no longer can."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from recordfirst.conformance.record import opened, run
from recordfirst.errors import Misuse
from recordfirst.process.blocking import Blocking
from recordfirst.records.postgres import PostgresRecord
from recordfirst.records.sqlite import SqliteRecord
from recordfirst.steps.function import Function
from recordfirst.steps.read import Read


def by_name(cursor: Any, row: Any) -> dict[str, Any]:
    return {column[0]: value for column, value in zip(cursor.description, row, strict=True)}


@pytest.fixture(params=["sqlite", "postgres"])
def make_record(request: pytest.FixtureRequest) -> Callable[[], Any]:
    if request.param == "sqlite":
        path = request.getfixturevalue("sqlite_path")
        return lambda: SqliteRecord(path)
    dsn = request.getfixturevalue("postgres_dsn")
    return lambda: PostgresRecord(dsn)


def in_a_write(make_record: Callable[[], Any], code: Callable[[Any], Any]) -> list[int]:
    """Run a sync function in a transaction; return what is in its table after that."""

    def store(r: Any) -> Any:
        return code(r.tx)

    async def go() -> list[int]:
        async with opened(make_record) as record:
            async with record.transaction() as tx:
                await tx.connection.execute("CREATE TABLE n (n INTEGER)")
            async with record.transaction() as tx:
                lent = Blocking(tx.connection, asyncio.get_running_loop())
                await Function(store, kind="write").call(Read(lent), {}, {}, None)
            async with record.reading() as connection:
                cursor = await connection.execute("SELECT n FROM n ORDER BY n")
                return [row[0] for row in await cursor.fetchall()]

    return run(go())


def mark(tx: Any) -> str:
    """How the driver writes a parameter."""
    return "?" if "aiosqlite" in repr(tx) else "%s"


def test_p2_statements_cursors_and_rows(make_record: Callable[[], Any]) -> None:
    """Without ``await``, ``async with`` and ``async for``."""

    def code(tx: Any) -> None:
        insert = f"INSERT INTO n VALUES ({mark(tx)})"
        with tx.cursor() as cursor:
            cursor.executemany(insert, [(1,), (2,), (3,)])
            assert cursor.rowcount == 3
        assert tx.execute(insert, (4,)).rowcount == 1
        with contextlib.closing(tx.execute("SELECT n FROM n ORDER BY n")) as cursor:
            assert cursor.fetchone() == (1,)
            assert list(cursor.fetchmany(2)) == [(2,), (3,)]
            assert list(cursor.fetchall()) == [(4,)]
        assert [row[0] for row in tx.execute("SELECT n FROM n ORDER BY n")] == [1, 2, 3, 4]
        rows = iter(tx.execute("SELECT n FROM n ORDER BY n"))
        assert (next(rows)[0], next(rows)[0]) == (1, 2)
        assert tx.execute("SELECT 1 AS a").description[0][0] == "a"

    assert in_a_write(make_record, code) == [1, 2, 3, 4]


def test_p2_an_attribute_is_set_on_the_drivers_connection(make_record: Callable[[], Any]) -> None:
    """And read from it."""

    def code(tx: Any) -> None:
        before = tx.row_factory
        tx.row_factory = factory = by_name if mark(tx) == "?" else dict_row
        assert tx.row_factory is factory
        assert tx.execute("SELECT 1 AS a").fetchone() == {"a": 1}
        tx.row_factory = before
        assert tx.execute("SELECT 1 AS a").fetchone() == (1,)
        with pytest.raises(AttributeError):
            tx.no_such_thing()

    assert in_a_write(make_record, code) == []


def test_p2_psycopgs_savepoints_and_copy(postgres_dsn: str) -> None:
    """What psycopg's own errors advise, ``psycopg.Rollback`` included."""

    def code(tx: Any) -> None:
        with pytest.raises(psycopg.errors.UndefinedTable), tx.transaction():
            tx.execute("SELECT * FROM no_such_table")
        with tx.transaction() as kept, tx.transaction():
            tx.execute("INSERT INTO n VALUES (1)")
            assert kept.savepoint_name
        with tx.transaction() as outer:
            tx.execute("INSERT INTO n VALUES (2)")
            with tx.transaction():
                raise psycopg.Rollback(outer)
        with tx.cursor() as cursor, cursor.copy("COPY n FROM STDIN") as copy:
            copy.write_row((3,))
        with tx.cursor() as cursor, cursor.copy("COPY n TO STDOUT") as copy:
            assert [row[0] for row in copy.rows()] == ["1", "3"]
        assert [row[0] for row in tx.cursor().stream("SELECT n FROM n ORDER BY n")] == [1, 3]

    assert in_a_write(lambda: PostgresRecord(postgres_dsn), code) == [1, 3]


def test_p2_another_thread_is_refused(make_record: Callable[[], Any]) -> None:
    """Also the event loop's own, where it would wait for itself for ever."""

    def code(tx: Any) -> None:
        told = []

        def elsewhere() -> None:
            for use in (lambda: tx.execute("INSERT INTO n VALUES (1)"), lambda: tx.in_transaction, lambda: iter(tx)):
                with pytest.raises(Misuse, match="outside the thread"):
                    use()
            told.append("refused")

        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join(10)
        assert told == ["refused"]

        async def on_the_loop() -> None:
            elsewhere()

        asyncio.run_coroutine_threadsafe(on_the_loop(), vars(tx)["_loop"]).result(10)
        tx.execute("INSERT INTO n VALUES (2)")

    assert in_a_write(make_record, code) == [2]


def test_p2_a_thread_that_was_given_up_touches_nothing(make_record: Callable[[], Any]) -> None:
    """Neither by the connection, nor by a cursor of it, nor by setting something; also when the loop is gone."""
    began, gate, ended = threading.Event(), threading.Event(), threading.Event()
    refused = []

    def store(r: Any) -> None:
        cursor = r.tx.execute("SELECT 1")
        r.tx.execute("INSERT INTO n VALUES (1)")
        began.set()
        gate.wait(30)
        uses = (
            lambda: r.tx.execute("INSERT INTO n VALUES (2)"),
            lambda: cursor.fetchone(),  # noqa: PLW0108 - not before it is asked for
            lambda: cursor.rowcount,
            lambda: setattr(r.tx, "row_factory", None),
            lambda: next(iter(cursor)),
        )
        for use in uses:
            try:
                use()
            except Misuse:
                refused.append(use)
        ended.set()

    async def go() -> int:
        async with opened(make_record) as record:
            async with record.transaction() as tx:
                await tx.connection.execute("CREATE TABLE n (n INTEGER)")

            async def write() -> None:
                async with record.transaction() as tx:
                    lent = Blocking(tx.connection, asyncio.get_running_loop())
                    await Function(store, kind="write").call(Read(lent), {}, {}, None)

            task = asyncio.create_task(write())
            await asyncio.to_thread(began.wait)
            task.cancel()
            await asyncio.wait([task])
            async with record.transaction():
                gate.set()
                await asyncio.to_thread(ended.wait, 30)
            async with record.reading() as connection:
                cursor = await connection.execute("SELECT count(*) FROM n")
                return int((await cursor.fetchone())[0])

    assert run(go()) == 0
    assert len(refused) == 5


def test_p2_what_a_given_up_thread_waits_for_is_stopped(sqlite_path: Any) -> None:
    """Its statement does not land, and the thread is told."""
    told: list[BaseException] = []
    ended = threading.Event()

    def store(r: Any) -> None:
        try:
            while True:
                r.tx.execute("INSERT INTO n VALUES (1)")
        except BaseException as error:
            told.append(error)
        finally:
            ended.set()

    async def go() -> int:
        async with opened(lambda: SqliteRecord(sqlite_path)) as record:
            async with record.transaction() as tx:
                await tx.connection.execute("CREATE TABLE n (n INTEGER)")
            for _ in range(20):
                ended.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.01), record.transaction() as tx:
                        lent = Blocking(tx.connection, asyncio.get_running_loop())
                        await Function(store, kind="write").call(Read(lent), {}, {}, None)
                assert await asyncio.to_thread(ended.wait, 30)
            async with record.reading() as connection:
                [(count,)] = await connection.execute_fetchall("SELECT count(*) FROM n")
                return int(count)

    assert run(go()) == 0
    assert {type(error) for error in told} == {Misuse}
