"""A step that needs a table which somebody else holds: it lets others pass, and says who it is."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from recordfirst.conformance.record import run
from recordfirst.errors import MigrationBlocked
from recordfirst.records.postgres import PostgresRecord, blocked, client
from tests.cli.conftest import CommandLine, run_here

BEFORE = 5
"""The step behind it changes ``start``, a table that is there."""


@pytest.fixture
def soon(monkeypatch):
    """Short waits, long enough to look who is in the way."""
    monkeypatch.setattr(client, "LOCK_TIMEOUT_S", 0.3)
    monkeypatch.setattr(blocked, "_LOOK_AFTER_S", 0.05)
    monkeypatch.setattr(blocked, "PAUSES_S", (0.05,) * 5)


async def migrated_to(dsn: str, version: int) -> None:
    record = PostgresRecord(dsn)
    record.migrations = record.migrations[:version]
    await record.open("shop")
    await record.migrate()
    await record.close()


async def held(dsn: str, sql: str = "LOCK TABLE recordfirst.start IN ACCESS SHARE MODE") -> psycopg.AsyncConnection:
    """Somebody else's transaction, which does not end."""
    other = await psycopg.AsyncConnection.connect(dsn, application_name="nightly report")
    await other.execute(sql.encode())
    return other


async def version(dsn: str) -> int:
    async with await psycopg.AsyncConnection.connect(dsn) as look:
        [[found]] = await (await look.execute("SELECT max(version) FROM recordfirst.migration")).fetchall()
    return int(found)


def test_who_comes_behind_passes(postgres_dsn, soon):
    """P9: while somebody holds the table, whoever comes behind the step passes; when they let go, it is run."""

    async def go():
        await migrated_to(postgres_dsn, BEFORE)
        other, record = await held(postgres_dsn), PostgresRecord(postgres_dsn)
        told = asyncio.Queue[str]()
        await record.open("shop")
        migrating = asyncio.create_task(record.migrate(told.put_nowait))
        async with await psycopg.AsyncConnection.connect(postgres_dsn, autocommit=True) as beside:
            waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'recordfirst.start'::regclass"
            while await (await beside.execute(waiting)).fetchone() == (0,):
                assert not migrating.done()
            await asyncio.wait_for(beside.execute("SELECT count(*) FROM recordfirst.start"), 20)
        said = await asyncio.wait_for(told.get(), 20)
        while "nightly" not in said:  # to look who it is took longer than the step waits
            said = await asyncio.wait_for(told.get(), 20)
        pid = other.info.backend_pid
        await other.rollback()
        done = await asyncio.wait_for(migrating, 20)
        await record.close()
        await other.close()
        return said, pid, [step.version for step in done]

    said, pid, done = run(go())
    assert f"session {pid} ('nightly report', user postgres, idle in transaction, its transaction " in said
    assert said.startswith(f"step {BEFORE + 1} (endings) waits for ")
    assert done[:2] == [6, 7]


def test_nobody_lets_go(postgres_dsn, soon):
    """P9: after some tries it ends, with an error that names who it is; what was run before stays, and nothing else."""

    async def go():
        await migrated_to(postgres_dsn, BEFORE - 1)
        other, record = await held(postgres_dsn), PostgresRecord(postgres_dsn)
        told: list[str] = []
        await record.open("shop")
        with pytest.raises(MigrationBlocked) as refused:
            await asyncio.wait_for(record.migrate(told.append), 20)
        await record.close()
        pid = other.info.backend_pid
        await other.close()
        return str(refused.value), pid, told

    said, pid, told = run(go())
    assert f"held by session {pid} ('nightly report', " in said
    assert len(told) == 5
    assert run(version(postgres_dsn)) == BEFORE


def test_prepared_transaction_has_no_session():
    """P10: one that was prepared and left is in nobody's session, and is told so."""
    assert blocked.name_of(None, "", None, None, None, None) == "a prepared transaction (see pg_prepared_xacts)"


def test_on_the_command_line(postgres_dsn, tmp_path, soon):
    """P10: the waits are told as they come, and the end is one line."""
    run(migrated_to(postgres_dsn, BEFORE))
    cli = CommandLine(postgres_dsn, tmp_path)
    with psycopg.connect(postgres_dsn) as other:
        other.execute("LOCK TABLE recordfirst.start IN ACCESS SHARE MODE")
        ended = run_here(("migrate", "--record", postgres_dsn, "--apply"), cli.env)
    *waits, last = ended.stderr.splitlines()
    assert ended.returncode == 1
    assert [wait.partition(" for ")[0] for wait in waits] == ["recordfirst: step 6 (endings) waits"] * 5
    assert last.startswith("recordfirst: step 6 (endings) of the tables in postgresql://")
