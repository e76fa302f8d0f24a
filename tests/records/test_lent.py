"""The connection that a block on Postgres gets: it ends no transaction, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib

import psycopg
import pytest
from psycopg.rows import dict_row
from psycopg.types import TypeInfo
from psycopg.types.numeric import FloatLoader

from recordfirst.conformance.record import opened, run, wrote
from recordfirst.errors import Misuse
from recordfirst.records.postgres import PostgresRecord
from recordfirst.records.postgres.guard import StatementRefused

ROWS = "SELECT n FROM rows ORDER BY n"


@pytest.fixture
def shop(postgres_dsn):
    """Opens a record with one connection and a table of the user's."""

    @contextlib.asynccontextmanager
    async def shop(**options):
        async with opened(lambda: PostgresRecord(postgres_dsn, **{"pool_size": 1, **options})) as record:
            with psycopg.connect(postgres_dsn, autocommit=True) as other:
                other.execute("CREATE TABLE IF NOT EXISTS rows (n int)")
            yield record

    return shop


@pytest.fixture
def look(postgres_dsn):
    """Looks from outside."""

    def look(sql):
        with psycopg.connect(postgres_dsn, autocommit=True) as other:
            return [row[0] for row in other.execute(sql.encode()).fetchall()]

    return look


async def insert(tx, number):
    await tx.execute("INSERT INTO rows VALUES (%s)", (number,))


# ── what ends a transaction ─────────────────────────────────────────────────

ENDS = [
    "COMMIT",
    "commit work",
    "  \n\tCommit",
    ";; COMMIT",
    "/* one /* in another */ */ COMMIT",
    "-- a remark\nCOMMIT AND CHAIN",
    "END",
    "ABORT",
    "ROLLBACK",
    "ROLLBACK AND CHAIN",
    "ROLLBACK TRANSACTION",
    "BEGIN",
    "START TRANSACTION",
    "PREPARE TRANSACTION 'x'",
    "COMMIT PREPARED 'x'",
    "PREPARE mine AS SELECT 1",
    "DEALLOCATE ALL",
    "LOAD 'auto_explain'",
    'SAVEPOINT U&"odd"',
]


async def by_execute(tx, sql):
    await tx.execute(sql)


async def prepared(tx, sql):
    await tx.execute(sql, prepare=True)


async def by_bytes(tx, sql):
    await tx.cursor().execute(sql.encode(), binary=True)


async def many(tx, sql):
    await tx.cursor().executemany(sql, [(), ()])


async def streamed(tx, sql):
    async for _ in tx.cursor().stream(sql):
        pass


async def copied(tx, sql):
    async with tx.cursor().copy(sql):
        pass


async def piped(tx, sql):
    async with tx.pipeline():
        await tx.execute(sql)


async def bound_here(tx, sql):
    tx.cursor_factory = psycopg.AsyncClientCursor
    await tx.execute(sql)


async def raw(tx, sql):
    tx.cursor_factory = psycopg.AsyncRawCursor
    await tx.execute(sql)


async def commands(tx, sql):
    await tx.wait(tx._exec_command(sql))


WAYS = [by_execute, prepared, by_bytes, many, streamed, copied, piped, bound_here, raw, commands]


@pytest.mark.parametrize("way", WAYS)
def test_p2_nothing_on_the_connection_ends_the_transaction(shop, look, way):
    """Refused before it is sent, by whatever way; the transaction goes on, and commits whole."""

    async def go():
        async with shop() as record, record.transaction() as tx:
            await insert(tx.connection, 1)
            for statement in [each for each in ENDS if way is not commands or not each.startswith("DEALLOCATE")]:
                with pytest.raises(StatementRefused) as refused:
                    await way(tx.connection, statement)
                assert "was ended" not in str(refused.value)
            await tx.add_receipts([wrote()])
            assert look(ROWS) == []

    run(go())
    assert look(ROWS) == [1]
    assert len(look("SELECT key FROM recordfirst.receipt")) == 1


@pytest.mark.parametrize(
    "sql", ["INSERT INTO rows VALUES (1); COMMIT", "SELECT 1; COMMIT AND CHAIN", "SET x.y = 1; COMMIT"]
)
@pytest.mark.parametrize("way", [by_execute, streamed, bound_here, raw, piped])
def test_p2_a_second_statement_does_not_ride_along(shop, look, way, sql):
    """The server takes one at a time, whatever the cursor's class, so the first word tells."""

    async def go():
        async with shop() as record:
            with pytest.raises(psycopg.errors.SyntaxError, match="multiple commands"):
                async with record.transaction() as tx:
                    await way(tx.connection, sql)

    run(go())
    assert look(ROWS) == []


@pytest.mark.parametrize("sql", ["DO $$ BEGIN INSERT INTO rows VALUES (1); COMMIT; END $$", "CALL ends()"])
def test_p2_code_in_the_server_cannot_end_it(shop, look, sql):
    """The server refuses that as long as a block is open."""

    async def go():
        async with shop() as record:
            async with record.transaction() as tx:
                await tx.connection.execute(
                    "CREATE PROCEDURE ends() LANGUAGE plpgsql AS $$ BEGIN INSERT INTO rows VALUES (1); COMMIT; END $$"
                )
            with pytest.raises(psycopg.errors.InvalidTransactionTermination):
                async with record.transaction() as tx:
                    await tx.connection.execute(sql)

    run(go())
    assert look(ROWS) == []


@pytest.mark.parametrize(
    "name", ["commit", "rollback", "set_autocommit", "tpc_begin", "tpc_commit", "close", "__aexit__"]
)
def test_p2_no_method_ends_it_either(shop, look, name):
    """What psycopg itself forbids in a block, and what it does not."""
    given: dict[str, list[object]] = {
        "set_autocommit": [False],
        "tpc_begin": ["x"],
        "tpc_commit": ["x"],
        "__aexit__": [None, None, None],
    }

    async def go():
        async with shop() as record, record.transaction() as tx:
            await insert(tx.connection, 1)
            with pytest.raises((psycopg.ProgrammingError, Misuse)):
                await getattr(tx.connection, name)(*list(given.get(name, [])))
            await insert(tx.connection, 2)
            assert look(ROWS) == []

    run(go())
    assert look(ROWS) == [1, 2]


def test_p2_a_cursor_that_the_connection_has_not_made_is_guarded_too(shop, look):
    """Psycopg itself makes such ones, to look a type up. What cannot be guarded runs nothing."""

    async def go():
        async with shop() as record, record.transaction() as tx:
            for use in (
                lambda cursor: cursor.execute("COMMIT"),
                lambda cursor: cursor.executemany("COMMIT", [(), ()]),
                lambda cursor: anext(cursor.stream("COMMIT")),
                lambda cursor: cursor.copy("COMMIT").__aenter__(),
            ):
                with pytest.raises(StatementRefused):
                    await use(psycopg.AsyncCursor(tx.connection))
            await psycopg.AsyncCursor(tx.connection).execute("INSERT INTO rows VALUES (1)")
            for kind in (psycopg.AsyncClientCursor, psycopg.AsyncRawCursor):
                with pytest.raises(Misuse, match=r"use connection.cursor\(\)"):
                    await kind(tx.connection).execute("SELECT 1")
            await tx.add_receipts([wrote()])
            assert look(ROWS) == []

    run(go())
    assert look(ROWS) == [1]


@pytest.mark.parametrize("sql", [b"COMMIT AND CHAIN", b"COMMIT;BEGIN", b"ROLLBACK;BEGIN", b"COMMIT"])
def test_p2_what_goes_around_the_driver_commits_no_receipt(shop, look, sql):
    """Another transaction than the one that began is not committed."""

    async def go():
        async with shop() as record:
            with pytest.raises(Misuse, match="leave COMMIT and ROLLBACK"):
                async with record.transaction() as tx:
                    await tx.connection.execute("SELECT 1")
                    tx.connection.pgconn.exec_(sql)
                    await tx.add_receipts([wrote()])
            async with record.transaction() as tx:
                await insert(tx.connection, 1)

    run(go())
    assert look("SELECT key FROM recordfirst.receipt") == []
    assert look(ROWS) == [1]


# ── who may use it, and until when ──────────────────────────────────────────


def test_p2_after_its_block_a_connection_does_nothing(shop, look):
    """Also while the next one has the same session: nothing lands in another's transaction."""
    uses = [
        lambda tx, cursor: tx.execute("INSERT INTO rows VALUES (1)"),
        lambda tx, cursor: cursor.execute("INSERT INTO rows VALUES (1)"),
        lambda tx, cursor: tx.cursor().execute("INSERT INTO rows VALUES (1)"),
        lambda tx, cursor: tx.transaction().__aenter__(),
        lambda tx, cursor: tx.pipeline().__aenter__(),
        lambda tx, cursor: tx.commit(),
        lambda tx, cursor: tx.rollback(),
        lambda tx, cursor: tx.cancel_safe(),
        lambda tx, cursor: asyncio.to_thread(tx.cancel),
        lambda tx, cursor: tx.close(),
        lambda tx, cursor: anext(tx.notifies(timeout=0.1)),
        lambda tx, cursor: cursor.copy("COPY rows FROM STDIN").__aenter__(),
        lambda tx, cursor: anext(cursor.stream("INSERT INTO rows VALUES (1) RETURNING n")),
    ]

    async def go():
        async with shop() as record:
            async with record.transaction() as tx:
                kept = tx.connection
                cursor = await kept.execute("SELECT 5")
            async with record.transaction() as tx:
                await insert(tx.connection, 7)
                for use in uses:
                    with pytest.raises(Misuse):
                        await use(kept, cursor)
                await insert(tx.connection, 8)
            assert await cursor.fetchone() == (5,)  # what came is there

    run(go())
    assert look(ROWS) == [7, 8]


def test_p2_what_goes_on_after_the_block_has_raised_is_refused(shop, look):
    """Siblings of what has failed: one that is under way is rolled back, one that comes later is refused."""
    refused = []

    async def add(tx, number, after_s):
        await asyncio.sleep(after_s)
        try:
            await tx.execute("INSERT INTO rows SELECT %s FROM pg_sleep(0.1)", (number,))
        except Misuse:
            refused.append(number)

    async def go():
        async with shop() as record:

            async def fail(tx):
                await asyncio.sleep(0.05)
                raise ZeroDivisionError

            with pytest.raises(ZeroDivisionError):
                async with record.transaction() as tx:
                    rows = [add(tx.connection, 1, 0), add(tx.connection, 2, 0), add(tx.connection, 3, 0.2)]
                    siblings = [asyncio.ensure_future(row) for row in rows]
                    await asyncio.gather(fail(tx), *siblings)
            async with record.transaction() as tx:
                await insert(tx.connection, 9)
                await asyncio.wait(siblings)

    run(go())
    assert look(ROWS) == [9]
    assert refused == [2, 3]


def test_p2_a_statement_that_nobody_awaits_is_not_committed(shop, look):
    """It is under way when the block ends."""

    async def go():
        async with shop() as record:
            with pytest.raises(Misuse, match="still under way"):
                async with record.transaction() as tx:
                    task = asyncio.ensure_future(tx.connection.execute("INSERT INTO rows SELECT 1 FROM pg_sleep(0.2)"))
                    await asyncio.sleep(0.05)
            await asyncio.wait([task])

    run(go())
    assert look(ROWS) == []


@pytest.mark.parametrize("reads", ["SELECT pg_sleep(0.3)", "INSERT INTO rows SELECT 1 FROM pg_sleep(0.3)"])
def test_p2_a_statement_that_was_given_up_is_not_committed(shop, look, reads):
    """Whether the server has stopped it in time or not."""

    async def go():
        async with shop() as record:
            with pytest.raises((Misuse, psycopg.errors.InFailedSqlTransaction)):
                async with record.transaction() as tx:
                    await insert(tx.connection, 2)
                    with pytest.raises(TimeoutError):
                        await asyncio.wait_for(tx.connection.execute(reads), 0.05)

    run(go())
    assert look(ROWS) == []


def test_p2_given_up_too_late_it_is_not_committed_either(shop, look, monkeypatch):
    """The server had done it when it was told to stop: there is no failed transaction by which to tell."""

    async def too_late(self, **_):
        await asyncio.sleep(0.4)

    monkeypatch.setattr(psycopg.AsyncConnection, "cancel_safe", too_late)

    async def go():
        async with shop() as record:
            with pytest.raises(Misuse, match="stopped waiting"):
                async with record.transaction() as tx:
                    with pytest.raises(TimeoutError):
                        await asyncio.wait_for(
                            tx.connection.execute("INSERT INTO rows SELECT 1 FROM pg_sleep(0.2)"), 0.05
                        )
            async with record.transaction() as tx:
                with pytest.raises(TimeoutError):
                    async with tx.connection.transaction():
                        sql = "INSERT INTO rows SELECT 2 FROM pg_sleep(0.2)"
                        await asyncio.wait_for(tx.connection.execute(sql), 0.05)
                await insert(tx.connection, 3)

    run(go())
    assert look(ROWS) == [3]


def test_p2_what_the_code_left_open_does_not_hang_the_block(shop, look, monkeypatch):
    """A pipeline, a savepoint, or a loop over what streams."""
    monkeypatch.setattr("recordfirst.records.postgres.lent._LOCK_S", 0.2)

    async def pipeline(tx):
        await tx.pipeline().__aenter__()

    async def savepoint(tx):
        await tx.transaction().__aenter__()

    async def listening(tx):
        asyncio.get_running_loop().create_task(anext(tx.notifies()))
        await asyncio.sleep(0.01)

    kept = []

    async def streaming(tx):
        kept.append(tx.cursor().stream("SELECT generate_series(1, 100000)"))
        await anext(kept[0])

    async def go():
        async with shop() as record:
            for left_open in (pipeline, savepoint, listening, streaming):
                with pytest.raises((Misuse, psycopg.ProgrammingError)):
                    async with record.transaction() as tx:
                        await insert(tx.connection, 1)
                        await left_open(tx.connection)
                        await tx.promised()
                        await tx.add_receipts([wrote()])
                async with record.transaction() as tx:
                    assert (await tx.find_receipt(wrote().key)).receipt is None

    run(go())
    assert look(ROWS) == []


# ── what stays behind ───────────────────────────────────────────────────────

STATE = {
    "SET app.tenant = 'acme'": ("SELECT coalesce(current_setting('app.tenant', true), '')", ""),
    "SELECT set_config('app.tenant', 'acme', false)": ("SELECT coalesce(current_setting('app.tenant', true), '')", ""),
    "SET search_path TO other": ("SHOW search_path", '"$user", public'),
    "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY": ("SHOW default_transaction_read_only", "off"),
    "SET statement_timeout = '7s'": ("SHOW statement_timeout", "0"),
    "SET ROLE pg_monitor": ("SELECT current_user::text = session_user::text", True),
    "SET SESSION AUTHORIZATION guarded": ("SELECT session_user::text", "postgres"),
    "CREATE TEMP TABLE rows (n text)": ("SELECT count(*) FROM pg_class WHERE relpersistence = 't'", 0),
    "SELECT pg_advisory_lock(5)": (
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()",
        0,
    ),
    "LISTEN news": ("SELECT count(*) FROM pg_listening_channels()", 0),
    "DECLARE held CURSOR WITH HOLD FOR SELECT 1": ("SELECT count(*) FROM pg_cursors WHERE name = 'held'", 0),
    "SELECT nextval('counted')": ("SELECT lastval()", psycopg.errors.ObjectNotInPrerequisiteState),
}


@pytest.mark.parametrize("kept", [True, False], ids=["committed", "rolled back"])
@pytest.mark.parametrize("sets", STATE)
def test_p2_no_state_of_a_session_reaches_the_next(shop, look, sets, kept):
    """The next block has the same session, as if nobody had used it."""
    asks, answer = STATE[sets]

    async def go():
        async with shop() as record:
            async with record.transaction() as tx:
                await tx.connection.execute("CREATE SEQUENCE counted")
                pid = tx.connection.info.backend_pid
            with contextlib.nullcontext() if kept else pytest.raises(ZeroDivisionError):
                async with record.transaction() as tx:
                    await tx.connection.execute(sets)
                    if not kept:
                        raise ZeroDivisionError
            async with record.transaction() as tx:
                assert tx.connection.info.backend_pid == pid
                if isinstance(answer, type):
                    with pytest.raises(answer):
                        async with tx.connection.transaction():
                            await tx.connection.execute(asks)
                else:
                    assert await (await tx.connection.execute(asks)).fetchone() == (answer,)

    run(go())


def test_p2_nothing_that_is_set_on_the_connection_reaches_the_next(shop):
    """Neither what psycopg keeps with it."""

    async def go():
        async with shop() as record:
            told = []
            async with record.transaction() as tx:
                mine = tx.connection
                mine.row_factory, mine.cursor_factory = dict_row, psycopg.AsyncClientCursor
                mine.prepare_threshold, mine.prepared_max = None, 1
                mine.adapters.register_loader("numeric", FloatLoader)
                mine.add_notice_handler(lambda notice: told.append(notice.message_primary))
                mine.add_notify_handler(told.append)
                assert await (await mine.execute("SELECT 5 AS n, 1.5::numeric AS f")).fetchone() == {"n": 5, "f": 1.5}
                await mine.execute("DO $$ BEGIN RAISE NOTICE 'heard'; END $$")
            async with record.transaction() as tx:
                row = await (await tx.connection.execute("SELECT 5, 1.5::numeric")).fetchone()
                assert [type(value).__name__ for value in row] == ["int", "Decimal"]
                assert (tx.connection.prepare_threshold, tx.connection.prepared_max) == (5, 100)
                assert issubclass(psycopg.AsyncCursor, tx.connection.cursor_factory.__mro__[2])
                await tx.connection.execute("DO $$ BEGIN RAISE NOTICE 'unheard'; END $$")
            assert told == ["heard"]

    run(go())


def test_p2_our_plans_outlive_the_reset(shop):
    """What each order asks is planned once for each session, also if the user's code has one in between."""

    async def go():
        async with shop() as record:
            for number in range(4):
                async with record.transaction() as tx:
                    await insert(tx.connection, number)
                    await tx.add_receipts([wrote(f"w{number}")])
            async with record.session() as session:
                cursor = await session.connection.execute(
                    "SELECT generic_plans + custom_plans FROM pg_prepared_statements WHERE statement LIKE '%receipt%'"
                )
                return await cursor.fetchall()

    assert run(go()) == [(4,)]


# ── it is the driver's own ──────────────────────────────────────────────────


def test_p2_it_does_what_psycopg_does(shop, look):
    """What its documentation shows, in one transaction."""

    async def go():
        async with shop() as record, record.transaction() as tx:
            mine = tx.connection
            assert isinstance(mine, psycopg.AsyncConnection)
            await mine.execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
            async with mine.cursor() as cursor:
                await cursor.executemany("INSERT INTO rows VALUES (%s)", [(1,), (2,)])
                assert cursor.rowcount == 2
            async with mine.cursor() as cursor, cursor.copy("COPY rows (n) FROM STDIN") as copy:
                await copy.write_row((3,))
            async with mine.cursor() as cursor, cursor.copy("COPY rows TO STDOUT") as copy:
                assert [row async for row in copy.rows()] == [("1",), ("2",), ("3",)]
            assert [row async for row in mine.cursor().stream(ROWS)] == [(1,), (2,), (3,)]
            async for row in mine.cursor().stream(ROWS):
                assert row == (1,)
                break  # the rest is not asked for
            async with mine.cursor("by_name") as cursor:
                await cursor.execute(ROWS)
                assert await cursor.fetchmany(2) == [(1,), (2,)]
            async with mine.pipeline():
                await insert(mine, 4)
                found = await mine.execute("SELECT count(*) FROM rows")
                assert await found.fetchone() == (4,)
            with pytest.raises(ZeroDivisionError):
                async with mine.transaction(), mine.transaction():
                    await insert(mine, 5)
                    raise ZeroDivisionError
            async with mine.transaction(force_rollback=True):
                await insert(mine, 6)
            async with mine.transaction("named"):
                await insert(mine, 7)
            info = await TypeInfo.fetch(mine, "text")
            assert info is not None
            async with mine.cursor(row_factory=dict_row) as cursor:
                assert await (await cursor.execute("SELECT 1 AS a")).fetchone() == {"a": 1}
            gathered = await asyncio.gather(*(mine.execute("SELECT %s::int", (number,)) for number in range(3)))
            assert [await cursor.fetchone() for cursor in gathered] == [(0,), (1,), (2,)]
            for _ in range(7):  # prepared, after some
                await insert(mine, 8)
            await mine.execute("")

    run(go())
    assert look(ROWS) == [1, 2, 3, 4, 7] + [8] * 7


def test_p1_a_reading_connection_is_guarded_too(shop, look):
    """Else COMMIT would end its being read-only."""

    async def go():
        async with shop() as record:
            async with record.reading() as connection:
                with pytest.raises(StatementRefused):
                    await connection.execute("COMMIT")
                with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                    await connection.execute("INSERT INTO rows VALUES (1)")
            with pytest.raises(Misuse):
                await connection.execute("SELECT 1")

    run(go())
    assert look(ROWS) == []
