"""P9, P12: a driver's exception may be declared as an outcome: it comes to the body as itself, on every run."""

from __future__ import annotations

import sqlite3
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from recordfirst import App, Context, Misuse, Read, WorkflowFailed, Write, read, workflow, write
from recordfirst.records.open import record_from_url
from tests.starts.harness import Shop

TAKEN = (psycopg.errors.UniqueViolation, sqlite3.IntegrityError)
seen: list[Exception] = []


class SeatLocked(psycopg.errors.LockNotAvailable):
    """Of the app's own; it is made of more than a text."""

    def __init__(self, seat: str) -> None:
        super().__init__(f"seat {seat}")


@write(fails=TAKEN)
async def take(w: Write[Any], seat: str) -> str:
    await w.tx.execute(f"INSERT INTO orders VALUES ('{seat}', 1)")
    return "taken"


@read(fails=(psycopg.errors.DivisionByZero, sqlite3.OperationalError))
async def divide(r: Read[Any]) -> str:
    # SQLite divides by zero without a word, so there another error stands for it.
    is_sqlite = isinstance(r.tx, psycopg.AsyncConnection) is False
    await r.tx.execute("SELECT nowhere FROM orders" if is_sqlite else "SELECT 1 / 0")
    return "divided"


@workflow
async def booking(ctx: Context, seat: str) -> str:
    try:
        await take(ctx, seat)
    except TAKEN as error:
        seen.append(error)
        await ctx.sleep(timedelta(milliseconds=20))  # the body runs again from the top
        return "taken before"
    return "taken"


@workflow
async def insisting(ctx: Context, seat: str) -> str:
    return await take(ctx, seat)


@workflow
async def dividing(ctx: Context) -> str:
    try:
        return await divide(ctx)
    except (psycopg.errors.DivisionByZero, sqlite3.OperationalError) as error:
        seen.append(error)
        await ctx.sleep(timedelta(milliseconds=20))
        return "cannot"


def said(error: Exception) -> tuple[Any, ...]:
    """What user code tells one such error from another by."""
    if isinstance(error, psycopg.Error):
        diag = error.diag
        return (type(error), str(error), error.sqlstate, diag.constraint_name, diag.message_detail, diag.table_name)
    assert isinstance(error, sqlite3.Error)
    return (type(error), str(error), error.sqlite_errorcode, error.sqlite_errorname)


async def test_a_violation_is_an_outcome_like_any_other(shop: Shop) -> None:
    """The body sees its class, text and fields, the same on a replay; the record has it as the write's outcome."""
    seen.clear()
    async with shop.working(booking, insisting) as app:
        async with app.record.write() as w:
            await w.tx.execute("INSERT INTO orders VALUES ('12a', 1)")
        assert await (await app.start(booking, "12a", id="b")).result(if_stopped="raise") == "taken before"
        assert len(seen) > 1
        assert len({said(error) for error in seen}) == 1
        kind, text, *fields = said(seen[0])
        assert kind in TAKEN
        assert "unique" in text.lower()
        if kind is psycopg.errors.UniqueViolation:
            assert fields == ["23505", "orders_pkey", "Key (id)=(12a) already exists.", "orders"]
        else:
            assert fields == [1555, "SQLITE_CONSTRAINT_PRIMARYKEY"]
        with pytest.raises(WorkflowFailed, match=r"(?i)unique"):
            await (await app.start(insisting, "12a", id="i")).result(if_stopped="raise")
        async with app.runtime.record.session() as session:
            receipts = [receipt for id in ("b", "i") for receipt in await session.receipts_of(id)]
        assert [(receipt.kind, receipt.state) for receipt in receipts] == [("write", "declined")] * 2


async def test_so_it_is_out_of_a_read(shop: Shop) -> None:
    """What the engine keeps of a read is rebuilt by the same rules."""
    seen.clear()
    async with shop.working(dividing) as app:
        assert await (await app.start(dividing, id="d")).result(if_stopped="raise") == "cannot"
    assert len(seen) > 1
    assert len({said(error) for error in seen}) == 1


@pytest.mark.parametrize(
    ("cls", "named"),
    [
        (psycopg.errors.LockNotAvailable, "LockNotAvailable"),
        (psycopg.errors.InsufficientPrivilege, "InsufficientPrivilege"),
        (psycopg.OperationalError, "AdminShutdown"),
        (psycopg.Error, "AdminShutdown"),
        (SeatLocked, "SeatLocked"),
    ],
)
def test_plumbing_cannot_be_declared(postgres_dsn: str, cls: type[Exception], named: str) -> None:
    """It is tried again and never comes to the body, so a declaration of it would say what is not so."""

    @write(fails=cls)
    async def lock(w: Write[Any]) -> None: ...

    @workflow
    async def locking(ctx: Context) -> None:
        await lock(ctx)

    with pytest.raises(Misuse, match=rf"fails={cls.__name__} names what passes by itself.*{named}.*raise an exception"):
        App("shop", record=record_from_url(postgres_dsn), workflows=[locking])


def test_a_class_of_outcomes_alone_can_be_declared(postgres_dsn: str) -> None:
    """Every violation of a constraint, say."""

    @workflow(fails=(psycopg.IntegrityError, psycopg.DataError, sqlite3.Error, OSError))
    async def storing(ctx: Context) -> None: ...

    App("shop", record=record_from_url(postgres_dsn), workflows=[storing])
