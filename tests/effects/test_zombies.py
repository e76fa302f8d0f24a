"""Trap 30: a lease that is too short for the load starts every body again, while the first still runs."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from resonate.connections import LocalConnection
from resonate.resonate import Resonate

from recordfirst import Call, Context, Write, effect, inject, workflow, write
from recordfirst.testing import SimClock
from tests.effects.harness import Bank, Order, mark, orders
from tests.effects.program import KEYED, PLAIN, insert, insert_order, probe_charge

ORDERS = [Order(str(number), 100 + number) for number in range(24)]
bodies: Counter[str] = Counter()


async def slowly(call: Call, order: Order, bank: Bank) -> str:
    done = bank.post("charge", order, key=None, marker=call.marker)  # no key: each request is a charge
    await asyncio.sleep(0.02)
    return done


@effect(key="order:{order.id}:keyed", provider=KEYED, after=insert_order)
async def charge_keyed(call: Call, order: Order, *, bank: Bank = inject()) -> str:
    return await slowly(call, order, bank)


@effect(key="order:{order.id}:plain", provider=PLAIN, after=insert_order)
async def charge_plain(call: Call, order: Order, *, bank: Bank = inject()) -> str:
    return await slowly(call, order, bank)


@effect(key="order:{order.id}:probed", provider=PLAIN, after=insert_order, probe=probe_charge)
async def charge_probed(call: Call, order: Order, *, bank: Bank = inject()) -> str:
    return await slowly(call, order, bank)


@write
async def insert_and_announce(w: Write, order: Order) -> None:
    await insert(w, order)
    w.intend(charge_announced, order)


@effect(key="order:{order.id}:announced", provider=KEYED, after=insert_and_announce)
async def charge_announced(call: Call, order: Order, *, bank: Bank = inject()) -> str:
    return await slowly(call, order, bank)


async def mark_paid(w: Write, order: Order) -> None:
    await mark(w, order.id, "paid")


def charging(insert: Any, charge: Any) -> Any:
    charge.on_success(mark_paid)

    @workflow(steps=(insert, charge))
    async def zombie(ctx: Context, order: Order) -> str:
        bodies[order.id] += 1
        await insert(ctx, order)
        result: str = await charge(ctx, order)
        return result

    return zombie


WAYS = [
    (insert_order, charge_keyed),
    (insert_and_announce, charge_announced),
    (insert_order, charge_probed),
    (insert_order, charge_plain),
]


@pytest.mark.parametrize(("insert", "charge"), WAYS, ids=[charge.name for _, charge in WAYS])
async def test_bodies_start_twice(shop, insert, charge):
    """P3, trap 30: leases end while bodies wait or run, so they start again; each effect is called once."""
    workflow_, clock = charging(insert, charge), SimClock()
    bodies.clear()
    engine = Resonate(
        network=LocalConnection(clock=clock.now_ms, tick_interval=0.01),
        clock=clock.now_ms,
        ttl=timedelta(seconds=60),
        max_concurrent_tasks=8,
        env={},
        autostart=False,
    )

    async def leases_end() -> None:
        for _ in range(6):
            await asyncio.sleep(0.05)
            clock.advance(61)

    async with shop.working(workflow_, engine=engine) as app:
        ending = asyncio.create_task(leases_end())
        handles = [await app.start(workflow_, order, id=order.id) for order in ORDERS]
        results = [await handle.result() for handle in handles]
        await ending
        assert results == [f"charge of {order.id}" for order in ORDERS]
        assert await orders(app) == [("paid", 1)] * len(ORDERS)
    assert bodies.total() > len(ORDERS)
    assert Counter(amount for _, _, amount in shop.bank.requests) == Counter(order.amount_minor for order in ORDERS)
