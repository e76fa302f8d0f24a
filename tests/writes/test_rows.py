"""Trap 11: SQL that changes nothing without an error is never success."""

from __future__ import annotations

import pytest

from recordfirst import Context, WorkflowStopped, changed_one, insert_or_same, workflow, write
from recordfirst.conformance.record import run


@write
async def take_order(w, id: str, amount: int) -> bool:
    return await insert_or_same(w.tx, "orders", {"id": id}, {"amount": amount})


@workflow
async def order(ctx: Context, id: str, amount: int) -> bool:
    return await take_order(ctx, id, amount)


@write
async def mark(w, where: str) -> None:
    await w.tx.execute("INSERT INTO visits (who) VALUES ('marked')")
    changed_one(await w.tx.execute(f"UPDATE orders SET amount = amount + 1 WHERE {where}"), f"orders where {where}")


@workflow
async def marking(ctx: Context, where: str) -> None:
    await mark(ctx, where)


@write
async def mark_returning(w, first_read: bool) -> None:
    cursor = await w.tx.execute("UPDATE orders SET amount = amount + 1 WHERE id = '1' RETURNING amount")
    if first_read:
        assert len(await cursor.fetchall()) == 1
    changed_one(cursor, "order 1")


@workflow
async def marking_returning(ctx: Context, first_read: bool) -> None:
    await mark_returning(ctx, first_read)


def test_a_row_of_returning_counts_when_it_is_read(shop):
    """P8: SQLite counts it only then; before, the error says so. Nothing is taken for changed that is not."""

    async def go():
        async with shop.working(order, marking_returning) as app:
            await (await app.start(order, "1", 100, id="a")).result()
            await (await app.start(marking_returning, True, id="read")).result()
            unread = await app.start(marking_returning, False, id="unread")
            if shop.url.startswith("sqlite"):
                with pytest.raises(WorkflowStopped, match=r"order 1: .*if this is SQLite, read the rows"):
                    await unread.result(if_stopped="raise")
            else:
                await unread.result()
            amount = 101 if shop.url.startswith("sqlite") else 102
            assert await shop.rows(app, "SELECT amount FROM orders") == [(amount,)]

    run(go())


def test_same_row_is_success(shop):
    """P8: an order that exists with the same values is the same order, whoever wrote it."""

    async def go():
        async with shop.working(order) as app:
            first = await app.start(order, "1", 100, id="a")
            assert await first.result() is True
            again = await app.start(order, "1", 100, id="b")
            assert await again.result() is False
            assert await shop.rows(app, "SELECT id, amount FROM orders") == [("1", 100)]

    run(go())


def test_other_amount_is_a_conflict(shop):
    """P8: the same order id with another amount is an error that names both, and leaves no receipt."""

    async def go():
        async with shop.working(order) as app:
            await (await app.start(order, "1", 100, id="a")).result()
            other = await app.start(order, "1", 999, id="b")
            with pytest.raises(WorkflowStopped, match=r"DifferentRow: orders row id='1'.*amount=100.*amount=999"):
                await other.result(if_stopped="raise")
            assert await shop.rows(app, "SELECT id, amount FROM orders") == [("1", 100)]
            async with app.runtime.record.session() as session:
                assert await session.receipts_of("b") == []

    run(go())


@pytest.mark.parametrize(("where", "changed"), [("id = 'none'", 0), ("amount > 0", 2)])
def test_not_exactly_one_row_is_a_failure(shop, where, changed):
    """P8: an UPDATE that changes none, or two, takes the whole write back."""

    async def go():
        async with shop.working(order, marking) as app:
            for id in "12":
                await (await app.start(order, id, 100, id=id)).result()
            handle = await app.start(marking, where, id="m")
            with pytest.raises(WorkflowStopped, match=f"NoRow: .*changed {changed} rows, not one"):
                await handle.result(if_stopped="raise")
            assert await shop.rows(app, "SELECT who FROM visits") == []
            assert await shop.rows(app, "SELECT amount FROM orders") == [(100,), (100,)]

    run(go())
