"""P9: a step may wait for the record for as long as it takes, but not in silence."""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from recordfirst import App, Context, Read, Write, inject, read, workflow, write
from recordfirst.core.waits import CODE, wait_of
from recordfirst.observe import StepWaits
from recordfirst.worker import waits
from tests.starts.harness import Shop

SAID = re.compile(r"^\S+: (.*) has not come through for .*$")


class Gate:
    """What a read waits for."""

    def __init__(self) -> None:
        self.open = asyncio.Event()


@write
async def take(w: Write[Any]) -> str:
    await w.tx.execute("UPDATE orders SET amount = amount - 1 WHERE id = 'stock'")
    return "taken"


@read
async def look(r: Read[Any], *, gate: Gate = inject()) -> str:
    await gate.open.wait()
    return "looked"


@workflow
async def taking(ctx: Context) -> str:
    return await take(ctx)


@workflow
async def looking(ctx: Context) -> str:
    return await look(ctx)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waits, "_LONG_S", 0.3)
    monkeypatch.setattr(waits, "_EVERY_S", 0.2)


async def found(app: App) -> list[tuple[str, str]]:
    async with app.runtime.record.session() as session:
        return [(each.subject, each.detail) for each in await session.findings(9) if each.code == CODE]


async def until(is_so: Callable[[], Any]) -> None:
    async with asyncio.timeout(30):
        while not await is_so():
            await asyncio.sleep(0.05)


async def test_a_step_that_waits_is_found_until_it_comes_through(shop: Shop) -> None:
    """The finding names workflow and step; it is closed when the step has ended, and opened for no other."""
    gate = Gate()
    async with shop.working(looking, provide={Gate: gate}) as app:
        handle = await app.start(looking, id="slow")
        try:
            await until(lambda: found(app))
            told = await found(app)
        finally:
            gate.open.set()
        assert [(subject, SAID.sub(r"\1", detail)) for subject, detail in told] == [("slow", "read look")]
        assert await handle.result() == "looked"
        assert await (await app.start(looking, id="quick")).result() == "looked"

        async def closed() -> bool:
            return await found(app) == []

        await until(closed)
    assert [event.workflow for event in shop.seen(StepWaits)] == ["slow"]


async def test_a_write_behind_a_row_that_somebody_keeps_is_found(postgres_dsn: str) -> None:
    """The server says nothing while it waits; the write goes on by itself when the row is free."""
    shop = Shop(postgres_dsn)
    async with shop.working(taking) as app:
        async with app.record.write() as w:
            await w.tx.execute("INSERT INTO orders VALUES ('stock', 5)")
        async with await psycopg.AsyncConnection.connect(postgres_dsn) as other:
            await other.execute("SELECT 1 FROM orders FOR UPDATE")
            handle = await app.start(taking, id="t")
            await until(lambda: found(app))
            told = await found(app)
        assert [(subject, SAID.sub(r"\1", detail)) for subject, detail in told] == [("t", "write take")]
        assert "the record has not answered" in told[0][1]
        assert await handle.result() == "taken"


async def test_what_is_tried_again_and_again_says_how_often(postgres_dsn: str) -> None:
    """By the class of the error alone: its text may quote rows."""
    shop = Shop(postgres_dsn)
    async with shop.working(taking) as app:
        async with app.record.write() as w:
            await w.tx.execute("INSERT INTO orders VALUES ('stock', 5)")
        async with await psycopg.AsyncConnection.connect(postgres_dsn, autocommit=True) as other:
            await other.execute("""
                CREATE FUNCTION busy() RETURNS trigger LANGUAGE plpgsql AS
                $$ BEGIN RAISE lock_not_available USING MESSAGE = 'row 4242'; END $$
            """)
            await other.execute("CREATE TRIGGER busy BEFORE UPDATE ON orders FOR EACH ROW EXECUTE FUNCTION busy()")
            handle = await app.start(taking, id="t")

            async def tried() -> bool:
                return any("times, the last one ended in" in detail for _, detail in await found(app))

            await until(tried)
            told = await found(app)
            await other.execute("DROP TRIGGER busy ON orders")
        assert [detail.rpartition(".")[2].rpartition(" ")[2] for _, detail in told] == ["LockNotAvailable"]
        assert await handle.result() == "taken"


async def test_a_file_that_somebody_keeps_is_told_by_the_event(sqlite_path: Any) -> None:
    """Nothing can be stored in it, so no finding is."""
    shop = Shop(f"sqlite:///{sqlite_path}")
    async with shop.working(taking) as app:
        other = sqlite3.connect(sqlite_path, isolation_level=None)
        handle = await app.start(taking, id="t")
        other.execute("BEGIN IMMEDIATE")
        try:

            async def told() -> bool:
                return bool(shop.seen(StepWaits)) or await is_over()

            async def is_over() -> bool:
                return (await handle.status()).state != "open"

            await until(told)
        finally:
            other.execute("ROLLBACK")
            other.close()
        assert await handle.result() == "taken"


async def test_what_nobody_tells_any_longer_is_closed(shop: Shop) -> None:
    """Its worker has died, and whoever went on has come through."""
    async with shop.app(looking, provide={Gate: Gate()}) as app:
        async with app.runtime.record.session() as session:
            now_ms = await session.now_ms()
            told = [
                wait_of(id, "@read look", waited_s=150, cause="none", now_ms=at_ms)
                for id, at_ms in (("now", now_ms), ("before", now_ms - 10 * 60_000))
            ]
            await session.saw_findings(told, "as it waits")
        assert [each.finding.subject for each in (await app.reconcile(only=["waits"])).found] == ["now"]
        assert len(await found(app)) == 2
        for _ in range(2):
            await app.reconcile(only=["waits"], apply=True)
            assert [subject for subject, _ in await found(app)] == ["now"]
