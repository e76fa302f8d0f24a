"""An index that a new version needs is built beside the work: on a large table that takes long (P9)."""

from __future__ import annotations

import asyncio
import functools

import psycopg
import pytest

from recordfirst.conformance.record import effect, run, wrote
from recordfirst.records import statements
from recordfirst.records.contract import Migration
from recordfirst.records.postgres import PostgresRecord
from recordfirst.records.sqlite import SqliteRecord
from tests.records.test_postgres import execute

_STORE = """
INSERT INTO "the schema".start (app, id, workflow, arguments, fingerprint) VALUES ('shop', '{}', 'w', '{{}}', 'f')
"""
_BUILDING = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND query LIKE 'CREATE INDEX CONCURRENTLY%' AND wait_event_type = 'Lock'
"""
_INVALID = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid"


def record_at(dsn, version=None):
    record = PostgresRecord(dsn, schema="the schema")
    record.migrations = record.migrations[:version]
    return record


async def until_building(dsn):
    """The backend that builds, once it waits for a transaction that is under way."""
    async with asyncio.timeout(60):
        while not (found := await asyncio.to_thread(execute, dsn, _BUILDING)):
            await asyncio.sleep(0.02)
    return found[0][0]


async def older(dsn):
    """Tables as they were before the first step that begins with an index."""
    record = record_at(dsn)
    [step, *_] = [step for step in record.migrations if statements.indexes_first(step)]
    record = record_at(dsn, step.version - 1)
    await record.open("shop")
    await record.migrate()
    await record.close()
    return step


def test_p9_nobody_who_writes_waits_for_an_index(postgres_dsn):
    """While one transaction that has written is open, the index waits for it, and others write on."""

    async def go():
        step = await older(postgres_dsn)
        record = record_at(postgres_dsn)
        await record.open("shop")
        with psycopg.connect(postgres_dsn) as open_for_long:
            open_for_long.execute(_STORE.format("long").encode())
            migrating = asyncio.create_task(record.migrate())
            await until_building(postgres_dsn)
            await asyncio.to_thread(execute, postgres_dsn, f"SET lock_timeout = '20s'; {_STORE.format('short')}")
            assert not migrating.done()
            open_for_long.commit()
        assert step in await migrating
        assert execute(postgres_dsn, _INVALID) == []
        async with record.session() as session:
            assert await session.missing_indexes(sorted(record.indexes)) == []
            assert len(await session.undispatched("m", 10)) == 2
        await record.close()

    run(go())


def test_p9_an_index_that_was_interrupted_is_built_anew(postgres_dsn):
    """By the next who migrates, who would take what is left of it for the index."""

    async def go():
        await older(postgres_dsn)
        with psycopg.connect(postgres_dsn) as open_for_long:
            open_for_long.execute(_STORE.format("long").encode())
            record = record_at(postgres_dsn)
            await record.open("shop")
            migrating = asyncio.create_task(record.migrate())
            builder = await until_building(postgres_dsn)
            await asyncio.to_thread(execute, postgres_dsn, f"SELECT pg_terminate_backend({builder}, 5000)")
            with pytest.raises(psycopg.OperationalError):
                await migrating
            assert execute(postgres_dsn, _INVALID) == [('"the schema".start_by_engine',)]
        await record.migrate()
        assert execute(postgres_dsn, _INVALID) == []
        async with record.session() as session:
            assert await session.missing_indexes(sorted(record.indexes)) == []
        await record.close()

    run(go())


def test_p9_two_may_build_at_once(postgres_dsn):
    """One builds and the other waits for it, in no way that the first would have to wait for."""

    async def go():
        step = await older(postgres_dsn)
        records = [record_at(postgres_dsn) for _ in range(2)]
        for record in records:
            await record.open("shop")
        with psycopg.connect(postgres_dsn) as open_for_long:
            open_for_long.execute(_STORE.format("long").encode())
            migrating = [asyncio.create_task(record.migrate()) for record in records]
            await until_building(postgres_dsn)
            await asyncio.wait(migrating, timeout=0.5)
            open_for_long.commit()
        done = [each for steps in await asyncio.gather(*migrating) for each in steps]
        assert [each.version for each in done].count(step.version) == 1
        assert execute(postgres_dsn, _INVALID) == []
        for record in records:
            await record.close()

    run(go())


_MADE = """
CREATE TABLE shelf (a TEXT, b TEXT);
CREATE INDEX IF NOT EXISTS shelf_by_a ON shelf (a);
CREATE UNIQUE INDEX IF NOT EXISTS shelf_by_b
    ON "a schema ON b.c DROP TABLE x".shelf (b);
CREATE INDEX IF NOT EXISTS book_by_shelf ON book (shelf);
"""


@pytest.mark.parametrize(
    ("later", "left"),
    [
        ("DROP INDEX IF EXISTS a_schema.shelf_by_a;", ["book_by_shelf", "shelf_by_b"]),
        ('DROP INDEX IF EXISTS "a schema.with INDEX x".shelf_by_a;', ["book_by_shelf", "shelf_by_b"]),
        ("DROP INDEX shelf_by_a;\nCREATE INDEX IF NOT EXISTS shelf_by_a ON shelf (b);", None),
        ("CREATE INDEX IF NOT EXISTS shelf_by_c ON shelf (c);\nDROP INDEX shelf_by_c;", None),
        ("DROP TABLE shelf;\nCREATE INDEX IF NOT EXISTS shelf_by_b ON shelf (b);", ["book_by_shelf", "shelf_by_b"]),
        ("DROP TABLE IF EXISTS shelf_wider;\nDROP VIEW IF EXISTS shelf;\n-- DROP TABLE shelf;", None),
        ("", None),
    ],
)
def test_p10_what_a_later_step_drops_is_not_expected(later, left):
    """By its own name, or with its table; it would be a finding for ever, which asks for what nothing reads."""
    steps = [Migration(version=1, name="made", sql=_MADE), Migration(version=2, name="later", sql=later)]
    assert sorted(statements.indexes(steps)) == (left or ["book_by_shelf", "shelf_by_a", "shelf_by_b"])


def test_p10_the_indexes_that_are_expected_are_those_that_are_there(make_record):
    """After all steps, on either product: none is missing, and none is there that a step has made and none expects."""

    async def go():
        record = make_record()
        await record.open("shop")
        await record.migrate()
        made = {name for step in record.migrations for name in statements.indexes([step])}
        async with record.session() as session:
            missing = set(await session.missing_indexes(sorted(made)))
        await record.close()
        assert missing == made - set(record.indexes)
        assert {name.removeprefix("recordfirst_") for name in missing} == {"start_by_engine", "receipt_wakes"}

    run(go())


@pytest.fixture(params=["postgres", "sqlite"])
def make_record(request):
    if request.param == "postgres":
        return functools.partial(PostgresRecord, request.getfixturevalue("postgres_dsn"))
    return functools.partial(SqliteRecord, request.getfixturevalue("sqlite_path"))


def test_p9_a_step_that_begins_with_indexes_has_them_built_beside_the_work(postgres_dsn):
    """Though it changes columns, too: its indexes stand on what is there, and are built before."""
    steps = record_at(postgres_dsn).migrations
    first = {step.name: sorted(statements.indexes_first(step)) for step in steps if statements.indexes_first(step)}
    assert first["pending"] == ["receipt_pending", "receipt_to_wake"]
    assert first["stops_indexed"] == ["start_stopped", "start_to_run"]
    assert all(made <= set(statements.indexes(steps)) | {"start_by_engine"} for made in map(set, first.values()))


def test_p6_receipts_come_through_the_step_that_makes_room_for_what_is_pending(make_record):
    """All of them, as they were and in the order in which they began; run again, it changes nothing."""

    async def go():
        record = make_record()
        steps = record.migrations
        before = next(number for number, step in enumerate(steps) if step.name == "pending")
        record.migrations = steps[:before]
        await record.open("shop")
        await record.migrate()
        async with record.session() as session:
            for key in ("c", "a", "b"):
                await session.add_receipts([effect(key, undo="refund", frozen="{}"), wrote(f"{key}/insert")])
        record.migrations = steps
        assert await record.migrate() == list(steps[before:])
        async with record.session() as session:
            stored = await session.receipts_of("order:1")
        assert [each.key for each in stored if each.kind == "effect"] == ["c", "a", "b"]
        assert {(each.undo, each.frozen, each.pending_since_ms) for each in stored if each.kind == "effect"} == {
            ("refund", "{}", None)
        }
        assert await record.migrate() == []
        await record.close()

    run(go())
