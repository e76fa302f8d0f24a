"""What a server, a database or a role has set: recordfirst's own sessions work all the same, or say what is wrong."""

from __future__ import annotations

import asyncio
import contextlib

import psycopg
import pytest

from recordfirst.conformance.record import opened, run, start, wrote
from recordfirst.errors import Misuse, StartContended
from recordfirst.records.postgres import PostgresRecord
from recordfirst.records.postgres.faults import fault_of_state, is_stale_plan
from recordfirst.records.postgres.settings import to_set


def execute(dsn, *statements):
    with psycopg.connect(dsn, autocommit=True) as connection:
        for sql in statements:
            connection.execute(sql.encode())
        return connection.info.dbname


def set_on_database(dsn, **settings):
    name = execute(dsn)
    execute(dsn, *(f"ALTER DATABASE {name} SET {setting} = '{value}'" for setting, value in settings.items()))


@pytest.mark.parametrize(
    ("encoding", "locale"), [("SQL_ASCII", "C"), ("LATIN1", "C")], ids=["what initdb makes", "an old one"]
)
def test_p10_a_database_that_cannot_hold_every_text_is_refused(postgres_dsn, encoding, locale):
    """When it is opened: later, a provider's answer could not be stored."""
    name = execute(postgres_dsn) + encoding.lower()
    execute(postgres_dsn, f"CREATE DATABASE {name} ENCODING '{encoding}' LOCALE '{locale}' TEMPLATE template0")
    try:
        other = psycopg.conninfo.make_conninfo(postgres_dsn, dbname=name)
        with pytest.raises(Misuse, match=f"has the encoding {encoding}.*UTF8"):
            run(PostgresRecord(other).open("shop"))
    finally:
        execute(postgres_dsn, f"DROP DATABASE {name} WITH (FORCE)")


def test_p9_what_the_driver_cannot_read_is_set(postgres_dsn):
    """Also behind a reset, and for the user's own statements; the order of day and month stays."""
    set_on_database(postgres_dsn, datestyle="SQL, DMY", intervalstyle="iso_8601", client_encoding="LATIN1")

    async def go():
        async with opened(lambda: PostgresRecord(postgres_dsn, pool_size=1)) as record:
            for _ in range(2):
                async with record.transaction() as tx:
                    found = await tx.connection.execute("SELECT now(), interval '1 day', '€', date '03/02/2026'")
                    _, days, text, date = await found.fetchone()
                    assert (days.days, text, date.month) == (1, "€", 2)
                    await tx.connection.execute("SET DateStyle TO 'German'; ".strip("; "))

    run(go())


def test_p9_what_a_session_needs_is_told_by_the_server():
    """Mostly nothing, so nothing is set."""
    usual = {b"DateStyle": b"ISO, MDY", b"IntervalStyle": b"postgres"}
    assert to_set(usual.get) == b""
    assert to_set((usual | {b"DateStyle": b"SQL, DMY"}).get) == b";SET DateStyle TO ISO"


@pytest.mark.parametrize("level", ["read committed", "repeatable read", "serializable"])
def test_p2_receipts_are_safe_at_every_isolation_level(postgres_dsn, level):
    """Two that store one key: one of them has it, and the other is told, or tries again."""
    set_on_database(postgres_dsn, default_transaction_isolation=level)

    async def go():
        async with opened(lambda: PostgresRecord(postgres_dsn)) as record:
            both = asyncio.Barrier(2)

            async def store():
                try:
                    async with record.transaction() as tx:
                        await tx.connection.execute("SELECT count(*) FROM recordfirst.receipt")
                        await both.wait()
                        return len(await tx.add_receipts([wrote()]))
                except psycopg.errors.SerializationFailure:
                    return 0

            assert sorted(await asyncio.gather(store(), store())) == [0, 1]

    run(go())


def test_p9_sessions_that_the_server_ends_are_replaced(postgres_dsn, caplog):
    """Quietly: those in the pool by new ones, and those that wait for a lease or listen are not ended."""

    async def go():
        async with opened(lambda: PostgresRecord(postgres_dsn)):
            pass
        set_on_database(postgres_dsn, idle_session_timeout="300ms", statement_timeout="400ms")
        async with opened(lambda: PostgresRecord(postgres_dsn)) as record, record.lease("worker") as held:
            lost = asyncio.ensure_future(held.lost())

            async def wait_too():
                async with record.lease("worker"):
                    pass

            waiting = asyncio.ensure_future(wait_too())
            await record.changed(0.1)
            for number in range(3):
                await asyncio.sleep(0.5)  # longer than the server lets a session be idle
                async with record.session() as session:
                    await session.add_receipts([wrote(f"w{number}")])
            assert not lost.done()
            assert not waiting.done()
            for task in (lost, waiting):
                task.cancel()
            await asyncio.gather(lost, waiting, return_exceptions=True)

    run(go())
    assert [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")] == []


def test_p9_a_start_waits_a_bounded_time(postgres_dsn, monkeypatch):
    """For another transaction that stores the same id; the error names it, and the connection is fit afterwards."""
    monkeypatch.setattr("recordfirst.records.postgres.dialect._START_S", 0.2)

    async def go():
        async with opened(lambda: PostgresRecord(postgres_dsn)) as record, record.transaction() as first:
            await first.add_starts([start("a")])
            for kind in (record.session, record.transaction):
                with pytest.raises(StartContended, match="workflow 'a': another transaction"):
                    async with kind() as session:
                        await session.add_starts([start("a")])
            async with record.session() as session:
                [(_, new)] = await session.add_starts([start("b")])
                assert new

    run(go())


# ── what an error means ─────────────────────────────────────────────────────


def test_p9_what_is_wrong_with_our_tables_is_not_the_users(postgres_dsn):
    """Whatever its code; what the values bring, or a failure that was caught, is."""
    for state in ("42501", "42P01", "42703", "3F000", "42883", "57014", "XX000"):
        assert fault_of_state(state, ours=True) == "unreachable"
    for of_the_values in ("22P05", "23514", "54000", "25P02", None):
        assert fault_of_state(of_the_values, ours=True) is None

    async def go():
        async with opened(lambda: PostgresRecord(postgres_dsn)) as record:
            execute(postgres_dsn, "ALTER TABLE recordfirst.receipt RENAME TO moved")
            with pytest.raises(psycopg.errors.UndefinedTable) as ours:
                async with record.transaction() as tx:
                    await tx.add_receipts([wrote()])
            with pytest.raises(psycopg.errors.UndefinedTable) as theirs:
                async with record.transaction() as tx:
                    await tx.connection.execute("SELECT * FROM recordfirst.receipt")
            assert (record.fault(ours.value), record.fault(theirs.value)) == ("unreachable", None)
            execute(postgres_dsn, "ALTER TABLE recordfirst.moved RENAME TO receipt")
            with pytest.raises(psycopg.errors.InsufficientPrivilege) as taken:
                async with record.transaction() as tx:
                    await tx.connection.execute("SET LOCAL ROLE pg_monitor")
                    await tx.add_receipts([wrote()])
            assert record.fault(taken.value) == "denied"  # the user's, which is waited for a while

    run(go())


def test_p9_a_stale_plan_is_made_anew(postgres_dsn):
    """By ours, which no ROLLBACK makes the driver forget, and by the user's; 0A000 stands for much else."""
    assert not is_stale_plan("0A000", "transformLockingClause")

    async def go():
        async with opened(lambda: PostgresRecord(postgres_dsn, pool_size=1)) as record:
            execute(postgres_dsn, "CREATE TABLE stock (n int)")

            async def ours():
                async with record.session() as session:
                    await session.run("SELECT * FROM stock")

            async def theirs():
                async with record.transaction() as tx:
                    await tx.connection.execute("SELECT * FROM stock", prepare=True)

            for number, ask in enumerate((ours, theirs)):
                await ask()
                execute(postgres_dsn, f"ALTER TABLE stock ADD COLUMN c{number} int")
                with pytest.raises(psycopg.errors.FeatureNotSupported) as stale:
                    await ask()
                assert record.fault(stale.value) == "contention"
                await ask()

    run(go())


def test_p9_a_failure_that_was_caught_counts_by_its_cause(postgres_dsn):
    """A deadlock, say, that the user's code passes over: what comes of it is tried again as a whole."""

    async def go():
        async with opened(lambda: PostgresRecord(postgres_dsn)) as record:
            for sql, error, fault in (
                (
                    "DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '40P01'; END $$",
                    psycopg.errors.DeadlockDetected,
                    "contention",
                ),
                ("SELECT 1/0", psycopg.errors.InFailedSqlTransaction, None),
            ):
                for goes_on in (True, False):
                    with pytest.raises(error) as raised:
                        async with record.transaction() as tx:
                            with contextlib.suppress(psycopg.Error):
                                await tx.connection.execute(sql)
                            if goes_on:
                                await tx.connection.execute("SELECT 1")
                    assert record.fault(raised.value) == fault

    run(go())
