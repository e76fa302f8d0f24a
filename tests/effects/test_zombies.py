"""P3 when two executions of one workflow are alive: leases that are too short, or that are lost."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from resonate.connections import LocalConnection
from resonate.resonate import Resonate

from recordfirst import Call, Context, Write, effect, inject, workflow, write
from recordfirst.core.start import Finish
from recordfirst.observe import NotBegun, StaleEpoch
from recordfirst.testing import SimClock
from tests.effects.harness import Bank, Order, Plug, Shop, mark, orders, pass_time, until
from tests.effects.program import KEYED, PLAIN, insert, insert_order, post, probe_charge

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
        ended = 0
        while ended < 6 or bodies.total() == len(bodies) < len(ORDERS):  # a loaded machine begins none for a while
            await asyncio.sleep(0.05)
            clock.advance(61)
            ended += 1

    async with shop.working(workflow_, engine=engine) as app:
        ending = asyncio.create_task(leases_end())
        handles = [await app.start(workflow_, order, id=order.id) for order in ORDERS]
        results = [await handle.result() for handle in handles]
        await ending
        assert results == [f"charge of {order.id}" for order in ORDERS]
        assert await orders(app) == [("paid", 1)] * len(ORDERS)
    assert bodies.total() > len(ORDERS)
    assert Counter(amount for _, _, amount in shop.bank.requests) == Counter(order.amount_minor for order in ORDERS)


# ── a lease that is lost in the middle of a call ────────────────────────────


@effect(key="order:{order.id}:stuck", provider=KEYED, after=insert_order)
def stuck_keyed(call: Call, order: Order, *, bank: Bank = inject(), plug: Plug = inject()) -> str:
    return post(call, order, bank, plug)


@effect(key="order:{order.id}:stuck-probed", provider=PLAIN, after=insert_order, probe=probe_charge)
def stuck_probed(call: Call, order: Order, *, bank: Bank = inject(), plug: Plug = inject()) -> str:
    return post(call, order, bank, plug, keyed=False)


END_LEASE = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND application_name LIKE '%lease worker'
"""


@pytest.mark.parametrize("charge", [stuck_keyed, stuck_probed], ids=lambda charge: charge.name)
async def test_lease_lost_in_the_middle_of_a_call(postgres_dsn, tmp_path, charge):
    """P3: a worker loses its lease in the middle of a call; another takes over; then the first one's answer comes."""
    shop, workflow_ = Shop(postgres_dsn, Bank(tmp_path / "bank.db")), charging(insert_order, charge)
    called, gate = threading.Event(), threading.Event()

    def hold() -> None:
        called.set()
        gate.wait(30)

    async with (
        shop.app(workflow_, plug=Plug({"charge applied": hold})) as zombie,
        shop.app(workflow_) as successor,
        contextlib.AsyncExitStack() as workers,
    ):
        losing = await workers.enter_async_context(zombie.worker())
        await losing.working.wait()
        taking = await workers.enter_async_context(successor.worker())
        handle = await zombie.start(workflow_, ORDERS[0], id="o")
        await asyncio.to_thread(called.wait, 30)
        assert called.is_set()
        assert not taking.working.is_set()
        await pass_time(successor, 100)
        async with successor.record.write() as w:
            await w.tx.execute(END_LEASE)
        assert await (await successor.handle("o")).result() == "charge of 0"
        gate.set()
        assert await handle.result() == "charge of 0"
        assert await orders(successor) == [("paid", 1)]
        assert taking.working.is_set()
        assert not losing.working.is_set()
    assert shop.bank.applied == [("charge", "0", 100)]


class Dependency:
    """What a process waits for before it begins."""


def rendered(order: Order, *, dependency: Dependency = inject()) -> int:
    return order.amount_minor


@effect(key="order:{order.id}:rendered", provider=KEYED, after=None, freeze=rendered)
async def charge_rendered(call: Call, order: Order, *, bank: Bank = inject()) -> str:
    return await slowly(call, order, bank)


@write
async def insert_held_up(w: Write, order: Order, *, dependency: Dependency = inject()) -> None:
    await insert(w, order)


@workflow
async def charging_late(ctx: Context, order: Order) -> None:
    await charge_rendered(ctx, order)


@workflow
async def writing_late(ctx: Context, order: Order) -> None:
    await insert_held_up(ctx, order)


@pytest.mark.parametrize("late", [charging_late, writing_late], ids=["effect", "write"])
async def test_zombie_of_a_workflow_that_has_ended(shop, monkeypatch, late):
    """P3, P7: another worker took it over, failed and undid what there was: who was held up begins nothing any more."""
    monkeypatch.setattr("recordfirst.execution.execution.HELD_S", 0.01)
    held_up, goes_on = asyncio.Event(), asyncio.Event()

    async def dependency() -> Dependency:
        held_up.set()
        await goes_on.wait()
        return Dependency()

    async with shop.working(late, factories={Dependency: dependency}) as app:
        handle = await app.start(late, ORDERS[0], id="late")
        await held_up.wait()
        await ends(app, "late")
        goes_on.set()
        await until(lambda: asyncio.sleep(0, bool(shop.seen(StaleEpoch))))
        assert (await handle.status()).state == "failed"
        assert [event.workflow for event in shop.seen(NotBegun)] == ["late"]
        assert await orders(app) == []
    assert shop.bank.requests == []


async def ends(app: Any, id: str) -> None:
    """As another worker would end it, whose engine had it in this epoch."""
    async with app.runtime.record.session() as session:
        await session.finish([Finish(id=id, epoch=1, state="failed", error="{}")])
