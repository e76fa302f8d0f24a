"""P1: what comes after a step comes after that very step, done; no other receipt under its key will do."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from recordfirst import AfterMissing, Call, Context, WorkflowStopped, Write, effect, inject, workflow, write
from tests.effects.harness import Bank, Order, rows
from tests.effects.program import KEYED, PLAIN, insert

ORDER = Order("1", 1999)


class OutOfStock(Exception):  # noqa: N818 - an outcome, as users name it
    """The write's own word."""


@write(key="order:{order.id}", fails=OutOfStock)
async def reserve(w: Write, order: Order) -> None:
    await insert(w, order)
    raise OutOfStock(order.id)


@effect(key="order:{order.id}:charge", provider=KEYED, after=reserve)
async def charge(call: Call, order: Order, *, bank: Bank = inject()) -> str:
    return bank.post("charge", order, key=call.key, marker=call.marker)


@effect(key="order:{order.id}:plain", provider=PLAIN, after=reserve)
async def charge_plain(call: Call, order: Order, *, bank: Bank = inject()) -> str:
    return bank.post("charge", order, key=None, marker=call.marker)


@write(key="order:{order.id}:paid", after=reserve)
async def paid(w: Write, order: Order) -> None:
    await insert(w, order)


@write(key="order:{id}")
async def note(w: Write, id: str) -> None:
    """Its key is the other write's, in other words."""


@write(key="order:{order.id}")
async def announce(w: Write, order: Order) -> None:
    """The same, and it announces in its transaction what comes after the other."""
    w.intend(charge, order)


@write(key="order:{order.id}")
async def announce_plain(w: Write, order: Order) -> None:
    w.intend(charge_plain, order)


async def first(ctx: Context, order: Order, what: str) -> None:
    """Something else under the key; or the step itself, which says no."""
    if what == "another":
        await note(ctx, order.id)
        return
    with contextlib.suppress(OutOfStock):
        await reserve(ctx, order)


@workflow(steps=(note, reserve))
async def keyed(ctx: Context, order: Order, what: str) -> None:
    await first(ctx, order, what)
    await charge(ctx, order)


@workflow(steps=(note, reserve))
async def plain(ctx: Context, order: Order, what: str) -> None:
    await first(ctx, order, what)
    await charge_plain(ctx, order)


@workflow(steps=(note, reserve))
async def written(ctx: Context, order: Order, what: str) -> None:
    await first(ctx, order, what)
    await paid(ctx, order)


async def refused(shop: Any, work: Any, *args: Any) -> None:
    """The workflow stops, nobody is called, and no row is there."""
    async with shop.working(work) as app:
        with pytest.raises(WorkflowStopped, match=r"AfterMissing: .*runs after reserve, .*'order:1'"):
            await (await app.start(work, ORDER, *args, id="a")).result(if_stopped="raise")
        assert (shop.bank.requests, await rows(app, "SELECT id FROM orders")) == ([], [])


@pytest.mark.parametrize("what", ["another", "declined"])
@pytest.mark.parametrize("work", [keyed, plain, written], ids=lambda each: each.name)
async def test_another_receipt_under_the_key_is_not_the_write(shop, work, what):
    """P1: neither that of another step with its key, nor its own if it has declined."""
    await refused(shop, work, what)


@pytest.mark.parametrize("step", [announce, announce_plain], ids=lambda each: each.name)
async def test_a_write_with_its_key_does_not_announce_for_it(shop, step):
    """P1: by that key alone the receipt of this transaction would be the one that is waited for."""

    @workflow(steps=(step,))
    async def announcing(ctx: Context, order: Order) -> None:
        await step(ctx, order)

    await refused(shop, announcing)


@pytest.mark.parametrize("step", [charge, charge_plain], ids=lambda each: each.name)
async def test_another_receipt_does_not_let_the_caller_announce(shop, step):
    """P1: in a transaction of the caller's own, too."""
    async with shop.app(keyed, plain, written) as app:
        new = await step.new_receipt(app.runtime, "a", {"order": ORDER}, 0)
        async with app.runtime.record.session() as session:
            other = type(new)(
                **{name: getattr(new, name) for name in new.__struct_fields__}
                | {"key": "order:1", "kind": "write", "function": "note", "state": "succeeded"}
            )
            await session.add_receipts([other])
        with pytest.raises(AfterMissing, match="is of write note"):
            async with app.record.write() as w:
                w.start(keyed, ORDER, "another", id="a")
                w.intend(step, ORDER)
