"""Resonate in the record's own database: what a transaction of the record asks of it commits with that transaction."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

import recordfirst.engine
from recordfirst import App, Context, Misuse, WorkflowFailed, inject, workflow, write
from recordfirst.conformance.record import run
from recordfirst.observe import Failed, StaleStep
from recordfirst.records.hosting import hosted
from recordfirst.records.open import record_from_url
from recordfirst.records.sqlite import SqliteRecord
from tests.engine.live import Live, live_engine


class World:
    """Where a step can be held up."""

    def __init__(self) -> None:
        self.entered, self.go_on = asyncio.Event(), asyncio.Event()


@write
async def held(w, who: str, *, world: World = inject()) -> str:
    await w.tx.execute("INSERT INTO visits (who) VALUES (%s)", (who,))
    if not world.entered.is_set():
        world.entered.set()
        await world.go_on.wait()
    return who


@workflow
async def holding(ctx: Context, who: str) -> str:
    return await held(ctx, who)


@write
async def starts_another(w, who: str) -> None:
    w.start(short, who, id=f"{who}/child")


@workflow
async def short(ctx: Context, who: str) -> str:
    await ctx.sleep(timedelta(0))
    return who


@workflow
async def parent(ctx: Context, who: str) -> None:
    await starts_another(ctx, who)


@pytest.fixture
def live(postgres_dsn) -> Live:
    return live_engine("resonate-pg", postgres_dsn)


@pytest.fixture(autouse=True)
def _quiet(caplog):
    """The SDK logs a task that is given back with its whole traceback."""
    caplog.set_level(logging.CRITICAL, logger="resonate")


def promises(live: Live) -> dict[str, str]:
    """State by id, without the app's name."""
    found = live.rows("SELECT id, state FROM resonate.promises")
    return {id.removeprefix(live.name): state for id, state in found}


def test_start_and_its_promise_commit_together(live):
    """P7: the row and the engine's promise, or neither; and then nobody has anything left to hand over."""

    async def go():
        async with live.app(short) as app:
            with pytest.raises(ZeroDivisionError):
                async with app.record.write() as w:
                    w.start(short, "lost", id="lost")
                    raise ZeroDivisionError
            async with app.record.write() as w:
                w.start(short, "ann", id="ann")
                w.start(short, "ben", id="ben")
                assert promises(live) == {}
            assert promises(live) == {"~ann": "pending", "~ben": "pending"}
            await app.start(short, "cid", id="cid")
            await app.start(short, "cid", id="cid")
            assert live.rows("SELECT id, engine, epoch FROM recordfirst.start ORDER BY id") == [
                (id, "resonate-pg", 1) for id in ("ann", "ben", "cid")
            ]
            async with live.working(short):
                assert [await (await app.handle(id)).result() for id in ("ann", "ben", "cid")] == ["ann", "ben", "cid"]
        assert live.events == []

    run(go())


def test_start_in_a_write_and_the_write_commit_together(live):
    """P2, P7: with the write's receipt and its settled step."""

    async def go():
        async with live.working(parent, short) as app:
            await (await app.start(parent, "ann", id="p")).result()
            assert await (await app.handle("ann/child")).result() == "ann"
            steps = [state for id, state in promises(live).items() if id.startswith("~p:")]
            assert steps == ["resolved"]

    run(go())


def test_write_whose_task_was_taken_away_is_rolled_back(live):
    """P2, trap 15: a stale version is answered without an error, and must not commit."""

    async def go():
        world = World()
        async with live.working(holding, provide={World: world}) as app:
            handle = await app.start(holding, "ann", id="h")
            await world.entered.wait()
            # The lease lapses, and nobody has taken the task yet.
            live.rows("UPDATE resonate.tasks SET timeout_at = 0")
            live.rows("SELECT resonate.process_timeouts()")
            live.rows("DELETE FROM resonate.outbox")
            world.go_on.set()
            while not live.events:
                await asyncio.sleep(0.01)
            assert [event for event in live.events if not isinstance(event, Failed)] == [StaleStep("h/held")]
            assert live.rows("SELECT count(*) FROM visits") == live.rows("SELECT count(*) FROM recordfirst.receipt")
            assert await handle.result() == "ann"
            assert live.rows("SELECT who FROM visits") == [("ann",)]

    run(go())


def test_write_whose_step_has_expired_is_rolled_back(live):
    """P2, trap 15: an expired step is answered with success, and must not commit."""

    async def go():
        world = World()
        async with live.working(holding, provide={World: world}) as app:
            handle = await app.start(holding, "ann", id="h")
            await world.entered.wait()
            live.rows("UPDATE resonate.promises SET timeout_at = created_at + 1 WHERE id LIKE '%~h:%'")
            world.go_on.set()
            with pytest.raises(WorkflowFailed):
                await handle.result()
            assert [event for event in live.events if not isinstance(event, Failed)] == [StaleStep("h/held")]
            assert live.rows("SELECT who FROM visits") == live.rows("SELECT key FROM recordfirst.receipt") == []

    run(go())


def test_heartbeats_do_not_wait_for_a_write(live):
    """P9, trap 15: the step is settled by the last statement, so that a long write does not cost its lease."""

    async def go():
        world = World()
        async with live.working(holding, provide={World: world}) as app:
            handle = await app.start(holding, "ann", id="h")
            await world.entered.wait()
            [(before, pid, version)] = live.rows("SELECT timeout_at, pid, version FROM resonate.tasks")
            beat = f"""{{"kind": "task.heartbeat", "data": {{"pid": "{pid}",
                        "tasks": [{{"id": "{live.name}~h", "version": {version}}}]}}}}"""
            await asyncio.sleep(0.01)
            live.rows("SET statement_timeout = 2000; SELECT resonate.resonate_rpc('" + beat + "')")
            [(after,)] = live.rows("SELECT timeout_at FROM resonate.tasks")
            assert after > before
            world.go_on.set()
            assert await handle.result() == "ann"

    run(go())


@pytest.fixture
def clerk(live) -> Iterator[str]:
    """A role that may what docs/how-to/run-on-resonate-pg.md grants, and no more."""
    role = f"clerk_{live.name.removeprefix('shop-')}"
    live.rows(f"CREATE ROLE {role} LOGIN")
    live.rows(f"GRANT USAGE ON SCHEMA recordfirst TO {role}")
    live.rows(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA recordfirst TO {role}")
    live.rows(f"GRANT INSERT ON visits TO {role}")
    yield role
    live.rows(f"DROP OWNED BY {role}")
    live.rows(f"DROP ROLE {role}")


def as_role(live: Live, role: str) -> str:
    return live.dsn.replace("postgres:@", f"{role}@").replace("postgres@", f"{role}@")


def test_least_rights(live, clerk, caplog):
    """P7: without the right to fire timers they are left to pg_cron, and that is said; all else works, joined."""
    dsn = as_role(live, clerk)
    assert clerk in dsn
    live.rows(f"GRANT resonate_worker TO {clerk}")
    caplog.handler.setLevel(logging.WARNING)

    async def go():
        world = World()
        world.entered.set()
        app = App(live.name, record=record_from_url(dsn), workflows=[holding], engine=dsn)
        app.provide(world)
        async with app.worker() as worker:
            assert app.runtime.joined is not None
            await worker.working.wait()
            assert await (await app.start(holding, "ann", id="h")).result() == "ann"
            while "left to pg_cron" not in caplog.text:
                await asyncio.sleep(0.01)

    run(go())


def test_record_that_may_not_ask_the_engine(live, clerk):
    """P7: then nothing is joined, and the dispatcher does after the commit what could have been done in it."""

    async def go():
        world = World()
        world.entered.set()
        app = App(live.name, record=record_from_url(as_role(live, clerk)), workflows=[holding], engine=live.dsn)
        app.provide(world)
        async with app.worker() as worker:
            assert app.runtime.joined is None
            await worker.working.wait()
            assert await (await app.start(holding, "ann", id="h")).result() == "ann"
        assert live.rows("SELECT engine FROM recordfirst.start") == [("resonate-pg",)]

    run(go())


def test_engine_in_another_database(live, postgres_url):
    """P6: nothing is joined, and it has another identity: what was given to one is strange to the other."""

    async def go():
        record = record_from_url(live.dsn)
        await record.open("shop")
        try:
            host = hosted(record)
            assert host is not None
            assert await host.shares(live.dsn)
            assert not await host.shares(postgres_url)
        finally:
            await record.close()

    run(go())


def test_rights_and_tables_that_are_missing(live, clerk):
    """P8: the worker ends, and says what the operator has to do."""

    async def ended(record: str, engine: str) -> None:
        app = App(live.name, record=record_from_url(record), workflows=[short], engine=engine)
        async with app.worker() as worker:
            await asyncio.wait([worker.task], timeout=20)

    with pytest.raises(Misuse, match=f"GRANT resonate_worker TO {clerk}"):
        run(ended(live.dsn, as_role(live, clerk)))
    live.rows("DROP SCHEMA resonate CASCADE")
    with pytest.raises(Misuse, match=r"there is no schema resonate .* apply resonate.sql"):
        run(ended(live.dsn, live.dsn))


def test_extra_that_is_missing(monkeypatch, sqlite_path):
    """P8: a wheel that is not there is named with the extra that brings it."""
    monkeypatch.setitem(sys.modules, "resonate_pg", None)
    monkeypatch.delitem(sys.modules, "recordfirst.engine.postgres", raising=False)
    monkeypatch.delattr(recordfirst.engine, "postgres", raising=False)
    record = SqliteRecord(sqlite_path)

    async def go() -> Any:
        await record.open("shop")
        await record.migrate()
        await record.close()
        async with App("shop", record=record, workflows=[short], engine="postgresql:///engine"):
            pass

    with pytest.raises(ImportError, match=r"recordfirst\[resonate-pg\]"):
        run(go())
