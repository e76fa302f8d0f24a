"""What a worker asks again and again costs what it is told, however much is suspended (P9)."""

from __future__ import annotations

import json
import re
import sqlite3
from contextlib import closing

import psycopg
import pytest

from recordfirst.conformance.record import opened, run
from recordfirst.records import statements
from recordfirst.records.postgres import PostgresRecord
from recordfirst.records.sqlite import SqliteRecord
from tests.records.test_postgres import execute, plan_nodes

ASLEEP = 20_000
LIMIT = 10
GIVEN = {"app": "shop", "engine": "m", "limit": LIMIT}
POLLS = ["undispatched", "wakes", "left_epochs", "find_timeline"]
NAMED = ["dispatched", "finish", "new_epoch", "still_open", "epochs_gone", "find_starts", "end_epochs", "woken"]
"""Statements that are told which rows are meant."""

_STARTS = """
INSERT INTO {start} (app, id, workflow, arguments, fingerprint, engine, {created})
SELECT '{app}', {name} || n, 'w', '{{}}', 'f', {engine}, {at} FROM {numbers}
"""
_EFFECTS = """
INSERT INTO {receipt} (app, key, kind, function, workflow, state, fingerprint, request, {created}, parked_on)
SELECT 'shop', {prefix} || n, 'effect', 'f', 'w' || n, {state}, 'f', '{{}}', {at}, 'p' || n FROM {numbers}
"""


def sqlite_numbers(count):
    return f"(WITH RECURSIVE t (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < {count}) SELECT n FROM t)"


SQLITE = {
    "start": "recordfirst_start",
    "receipt": "recordfirst_receipt",
    "created": "created_at_ms",
    "at": "1000000 + n",
    "numbers": sqlite_numbers,
}
POSTGRES = {
    "start": "recordfirst.start",
    "receipt": "recordfirst.receipt",
    "created": "created_at",
    "at": "to_timestamp(1000 + n)",
    "numbers": lambda count: f"generate_series(1, {count}) AS t (n)",
}


def starts(product, count, engine, app="shop"):
    """SQL that stores so many starts that an engine has, or none (``None``)."""
    given = "NULL" if engine is None else f"'{engine}'"
    more = {"numbers": product["numbers"](count), "engine": given, "name": f"'{engine or ''}-'", "app": app}
    return _STARTS.format(**product | more)


def effects(product, count, state, prefix):
    """SQL that stores so many effects on which a workflow is parked, or was when they were resolved."""
    more = {"numbers": product["numbers"](count), "state": f"'{state}'", "prefix": f"'{prefix}'"}
    return _EFFECTS.format(**product | more)


@pytest.fixture
def on_sqlite(sqlite_path):
    """A connection to a record."""

    async def migrate():
        async with opened(lambda: SqliteRecord(sqlite_path)):
            pass

    run(migrate())
    with closing(sqlite3.connect(sqlite_path, isolation_level=None)) as connection:
        yield connection


@pytest.fixture
def on_postgres(postgres_dsn):
    """Where a record is."""

    async def migrate():
        async with opened(lambda: PostgresRecord(postgres_dsn)):
            pass

    run(migrate())
    return postgres_dsn


def instructions(connection, name, **more):
    """How many instructions SQLite carries out for a statement, and what it gives; nothing of it stays."""
    sql = getattr(statements.load("recordfirst.records.sqlite"), name)
    given = dict.fromkeys(re.findall(r":(\w+)", sql)) | GIVEN | more
    count = 0

    def tick():
        nonlocal count
        count += 1

    connection.execute("BEGIN")
    connection.set_progress_handler(tick, 1)
    rows = connection.execute(sql, given).fetchall()
    connection.set_progress_handler(None, 1)
    connection.execute("ROLLBACK")
    assert count > 0
    return count, len(rows)


@pytest.mark.parametrize("name", POLLS)
def test_p9_what_is_asleep_costs_sqlite_nothing(on_sqlite, name):
    """As many of its own instructions, to the last one, with none suspended and with many, another app's among them."""
    for engine in (None, "a", "z"):
        on_sqlite.execute(starts(SQLITE, 3, engine))
    nothing = instructions(on_sqlite, name)
    on_sqlite.execute(starts(SQLITE, ASLEEP, "m"))
    on_sqlite.execute(starts(SQLITE, ASLEEP, "b", "another app"))
    on_sqlite.execute(effects(SQLITE, ASLEEP, "unknown", "k"))
    assert instructions(on_sqlite, name) == nothing
    assert nothing[1] == (9 if name == "undispatched" else 0)


@pytest.mark.parametrize("name", NAMED)
def test_p9_to_change_some_costs_sqlite_what_they_are(on_sqlite, name):
    """However much else is open, or to be woken: to the row by its key, and by nothing that all of them have."""
    rows = [
        {"id": f"-{n}", "epoch": 1, "min_epoch": 1, "engine": "m", "state": "succeeded"}
        | {"key": f"few-{n}", "attempt": 1, "parked_on": f"p{n}"}
        for n in (1, 2, 3)
    ]
    given = {"rows": json.dumps(rows), "id": "-1", "undo": False}
    on_sqlite.execute(starts(SQLITE, 5, None))
    on_sqlite.execute("UPDATE recordfirst_start SET min_epoch = 1, left_in = ''")
    on_sqlite.execute(effects(SQLITE, 5, "intended", "few-"))
    few = instructions(on_sqlite, name, **given)
    on_sqlite.execute(starts(SQLITE, ASLEEP, "m"))
    on_sqlite.execute("UPDATE recordfirst_start SET min_epoch = 1, left_in = ''")
    on_sqlite.execute(effects(SQLITE, ASLEEP, "intended", "k"))
    assert instructions(on_sqlite, name, **given) == few


@pytest.mark.parametrize("engine", [None, "a", "z"])
def test_p9_a_backlog_costs_sqlite_what_is_taken_of_it(on_sqlite, engine):
    """Also after an engine was lost, with all that it had."""
    on_sqlite.execute(starts(SQLITE, LIMIT, engine))
    few, _ = instructions(on_sqlite, "undispatched")
    on_sqlite.execute("DELETE FROM recordfirst_start")
    on_sqlite.execute(starts(SQLITE, ASLEEP, engine))
    many, rows = instructions(on_sqlite, "undispatched")
    assert rows == LIMIT
    assert many <= few + 2


def read(dsn, name):
    """Rows and pages that Postgres reads for a statement, with the plan that it makes for these very parameters."""
    sql = getattr(statements.load("recordfirst.records.postgres"), name)
    with psycopg.connect(dsn, autocommit=True) as connection:
        cursor = connection.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {sql}".encode(), GIVEN)
        [(plan,)] = cursor.fetchall()
    nodes = list(plan_nodes(plan[0]["Plan"]))
    scans = [node for node in nodes if "Relation Name" in node or "Index Name" in node]
    assert scans
    rows = sum(node["Actual Rows"] + node.get("Rows Removed by Filter", 0) for node in scans)
    return rows, nodes[0]["Shared Hit Blocks"] + nodes[0]["Shared Read Blocks"]


@pytest.mark.parametrize("name", POLLS)
def test_p9_what_is_asleep_costs_postgres_nothing(on_postgres, name):
    """No row of it is read, and no page but on the way through the index."""
    for engine in (None, "a", "z"):
        execute(on_postgres, starts(POSTGRES, 3, engine))
    execute(on_postgres, starts(POSTGRES, ASLEEP, "m"))
    execute(on_postgres, starts(POSTGRES, ASLEEP, "b", "another app"))
    execute(on_postgres, effects(POSTGRES, ASLEEP, "unknown", "k"))
    execute(on_postgres, "VACUUM ANALYZE recordfirst.start, recordfirst.receipt")
    rows, pages = read(on_postgres, name)
    assert rows == (9 if name == "undispatched" else 0)
    assert pages <= 40


@pytest.mark.parametrize("engine", [None, "a", "z"])
def test_p9_a_backlog_costs_postgres_what_is_taken_of_it(on_postgres, engine):
    """Also after an engine was lost, with all that it had."""
    execute(on_postgres, starts(POSTGRES, ASLEEP, engine))
    execute(on_postgres, "VACUUM ANALYZE recordfirst.start")
    rows, pages = read(on_postgres, "undispatched")
    assert rows == LIMIT
    assert pages <= 40
