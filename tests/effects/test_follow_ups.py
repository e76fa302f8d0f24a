"""P3 and P5 when on_success or on_decline, which are stored with the outcome, fail: the provider's answer is kept."""

from __future__ import annotations

from typing import Any

import pytest

from recordfirst import Call, Context, Declined, WorkflowStopped, Write, changed_one, effect, inject, workflow
from tests.effects.harness import ORDER, Order, Script, mark, orders, receipt
from tests.effects.program import KEYED, PLAIN, insert_order


def deployed(*, fixed: bool, provider: Any = PLAIN) -> Any:
    """The shop's workflow, with a mistake in its follow-ups or without."""

    @effect(key="order:{order.id}:charge", provider=provider, after=insert_order, name="charge")
    async def charge(call: Call, order: Order, *, script: Script = inject()) -> str:
        return str(script.next(call))

    @charge.on_success
    async def mark_paid(w: Write, order: Order, result: str) -> None:
        await mark(w, order.id, f"paid by {result}")
        assert fixed, "a mistake"

    @charge.on_decline
    async def mark_declined(w: Write, order: Order, declined: Declined) -> None:
        await mark(w, order.id, f"{declined.reason} {declined.code}")
        assert fixed, "a mistake"

    @workflow(name="ordering")
    async def ordering(ctx: Context, order: Order) -> str:
        await insert_order(ctx, order)
        try:
            return await charge(ctx, order)
        except Declined as declined:
            return f"declined: {declined.reason}"

    return ordering


ANSWERS = [("card", "card", ("paid by card", 1)), (Declined("no", "c1"), "declined: no", ("no c1", 1))]


@pytest.mark.parametrize(("answer", "result", "row"), ANSWERS, ids=["succeeded", "declined"])
@pytest.mark.parametrize("provider", [KEYED, PLAIN], ids=lambda provider: provider.name)
async def test_reply_is_kept(shop, provider, answer, result, row):
    """P3, P5: a bug in a follow-up stops its workflow; after a deploy that fixes it, the answer is stored: one call."""
    broken, fixed, script = (
        deployed(fixed=False, provider=provider),
        deployed(fixed=True, provider=provider),
        Script(),
    )
    script.answers = [answer]
    async with shop.working(broken, provide={Script: script}) as app:
        handle = await app.start(broken, ORDER, id="o")
        for _ in range(2):
            with pytest.raises(WorkflowStopped, match="AssertionError: a mistake"):
                await handle.result(if_stopped="raise")
            stored = await receipt(app, "order:1:charge")
            assert (stored.state, stored.reply is not None) == ("intended", True)
            assert await orders(app) == [("new", 0)]
            handle = await app.retry("o")
        with pytest.raises(WorkflowStopped):
            await handle.result(if_stopped="raise")
    async with shop.working(fixed, provide={Script: script}) as app:
        assert await (await app.retry("o")).result() == result
        assert await orders(app) == [row]
        assert (await receipt(app, "order:1:charge")).reply is None
    assert len(script.calls) == 1


@effect(key="order:{order.id}:lost", provider=PLAIN, after=None)
async def charge_lost(call: Call, order: Order) -> str:
    return "card"


@charge_lost.on_success
async def mark_lost(w: Write, order: Order) -> None:
    changed_one(await w.tx.execute("UPDATE orders SET state = 'paid' WHERE id = 'none'"), "order none, to be paid")


@workflow
async def losing(ctx: Context, order: Order) -> str:
    return await charge_lost(ctx, order)


async def test_row_is_not_there(shop):
    """P8: an on_success that changes no row stops the workflow, and the receipt says why it is not settled."""
    async with shop.working(losing) as app:
        with pytest.raises(WorkflowStopped, match=r"NoRow: order none, to be paid: .*changed 0 rows"):
            await (await app.start(losing, ORDER, id="o")).result(if_stopped="raise")
        assert "mark_lost failed after the call had succeeded: NoRow" in str((await receipt(app, "order:1:lost")).error)


@effect(key="order:{order.id}:sync", provider=PLAIN, after=insert_order)
def charge_sync(call: Call, order: Order) -> str:
    return "card"


@charge_sync.on_success
def mark_sync(w: Write, order: Order, result: str) -> None:
    w.tx.execute(f"UPDATE orders SET state = '{result}', marks = marks + 1 WHERE id = '{order.id}'")


@workflow
async def syncing(ctx: Context, order: Order) -> str:
    await insert_order(ctx, order)
    return await charge_sync(ctx, order)


async def test_sync_follow_up(shop):
    """P2: a sync on_success runs in a thread, and its rows are in the transaction of the receipt all the same."""
    async with shop.working(syncing) as app:
        assert await (await app.start(syncing, ORDER, id="o")).result() == "card"
        assert await orders(app) == [("card", 1)]
