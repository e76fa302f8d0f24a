"""P3 and P5 against Stripe: its own SDK, over HTTP, to a simulator with Stripe's documented semantics of keys."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest
from stripe import StripeClient

from recordfirst import Call, Context, Pending, WorkflowFailed, effect, inject, workflow
from recordfirst.observe import Suspected
from recordfirst.providers.stripe import Payment, payment_of
from recordfirst.testing import Faults, StripeSimulator
from tests.effects import program
from tests.effects.harness import ORDER, Order, Plug, orders, pass_time, receipt, until, until_state
from tests.effects.program import by_card, dies_at

KEY = "shop/order:1:stripe"


@contextlib.asynccontextmanager
async def simulated(shop, *workflows, faults=None, **options):
    """A simulator, and an app on it that works."""
    async with StripeSimulator(faults=faults) as sim:
        options = {"factories": program.stripe_at(sim.url), "random": lambda: 0.0} | options
        async with shop.app(*workflows, **options) as app:
            yield sim, app


async def pays(app: Any, workflow_: Any = by_card) -> Any:
    async with app.worker():
        return await (await app.start(workflow_, ORDER, id="order:1")).result()


def charges(sim: StripeSimulator) -> list[tuple[str, int, int]]:
    """Key, amount, and how many requests came with the key."""
    return [(entry.key, entry.amount_minor, entry.requests) for entry in sim.ledger().charges]


@pytest.mark.parametrize(
    ("point", "requests"), [("charge calling", 1), ("charge applied", 1), ("before succeeded", 1), ("in on_success", 1)]
)
async def test_crash_and_the_key_is_forgotten(shop, point, requests):
    """P3, trap 3: a process died, and the key is too old for Stripe: it is asked before anything is posted."""
    plug = Plug()
    async with simulated(shop, by_card, plug=plug) as (sim, app):
        await dies_at(shop, "by_card", point, sim.url)
        sim.clock.advance(25 * 3600)
        await pass_time(app, 25 * 3600)
        assert await pays(app) == "succeeded"
        assert await orders(app) == [("paid", 1)]
        assert charges(sim) == [(KEY, 1999, requests)]
    called = [point for point in plug.passed if point in ("probing", "charge calling")]
    assert called == (["probing", "charge calling"] if point == "charge calling" else ["probing"])


async def test_crash_and_the_key_is_young(shop):
    """P3: a process died after the charge; the same key again is answered from Stripe's books."""
    async with simulated(shop, by_card) as (sim, app):
        await dies_at(shop, "by_card", "charge applied", sim.url)
        assert await pays(app) == "succeeded"
        assert await orders(app) == [("paid", 1)]
        assert charges(sim) == [(KEY, 1999, 2)]


async def test_killed_while_stripe_works(shop):
    """P3: the process is killed while it waits for Stripe's answer; its successor meets a key that is in use."""
    async with simulated(shop, by_card, faults=Faults(slow=0.999, slow_s=0.25)) as (sim, app):
        process = program.process(program.run_until, shop, "by_card", "never", sim.url)

        async def asked() -> bool:
            return bool(sim.api.requests)

        await until(asked)
        process.kill()
        await asyncio.to_thread(process.join)
        process.close()
        sim.set_faults(Faults())
        assert await pays(app) == "succeeded"
        assert [(key, amount) for key, amount, _ in charges(sim)] == [(KEY, 1999)]


async def test_500_and_nothing_was_done(shop):
    """P5, trap 4: the key replays its 500 for ever: after a probe has found nothing, one call under another key."""
    async with simulated(shop, by_card) as (sim, app):
        sim.next("error_before")
        assert await pays(app) == "succeeded"
        assert charges(sim) == [(f"{KEY}~1", 1999, 1)]
        assert sim.api.requests[KEY] == 1


async def test_500_and_it_was_done(shop):
    """P5, trap 4: a 500 after the charge: the probe finds it, and nothing is posted again."""
    async with simulated(shop, by_card) as (sim, app):
        sim.next("error_after")
        assert await pays(app) == "succeeded"
        assert await orders(app) == [("paid", 1)]
        assert charges(sim) == [(KEY, 1999, 1)]


async def test_429(shop):
    """P5, trap 4: rate limited is not done: the same key, later, as often as it takes."""
    async with simulated(shop, by_card, faults=Faults(retry_after_s=0)) as (sim, app):
        sim.next("rate_limited", times=2)
        assert await pays(app) == "succeeded"
        assert charges(sim) == [(KEY, 1999, 3)]
        assert (await receipt(app, "order:1:stripe")).calls == 3


async def test_402(shop):
    """P5, trap 4: a declined card is one request and a stored decline, with on_decline's row."""
    async with simulated(shop, by_card) as (sim, app):
        sim.next("decline")
        with pytest.raises(WorkflowFailed, match="declined: Your card was declined"):
            await pays(app)
        assert await orders(app) == [("declined", 1)]
        assert charges(sim) == []
        assert sim.api.requests == {KEY: 1}


async def test_409(shop):
    """P5, trap 4: no answer in time, then a key that is in use, then the answer: one charge, one key."""
    async with simulated(shop, by_card, faults=Faults(slow_s=0.6)) as (sim, app):
        sim.next("slow")
        assert await pays(app) == "succeeded"
        [(key, amount, requests)] = charges(sim)
        assert (key, amount, requests > 2) == (KEY, 1999, True)


@pytest.mark.parametrize("fault", ["timeout_after_applying", "lost_reply", "reset_before"])
async def test_no_answer(shop, fault):
    """P5, trap 4: whatever became of a request that was not answered, the same key is sent again: one charge."""
    async with simulated(shop, by_card) as (sim, app):
        sim.next(fault)
        assert await pays(app) == "succeeded"
        assert await orders(app) == [("paid", 1)]
        assert charges(sim) == [(KEY, 1999, 2)]
    assert len(shop.seen(Suspected)) == 1


@effect(key="order:{order.id}:volatile", provider=program.STRIPE, after=program.insert_order)
async def charge_volatile(call: Call, order: Order, *, client: StripeClient = inject()) -> Payment | Pending:
    params = program.charging(order, call) | {"description": f"call {call.number}"}
    return payment_of(await client.v1.payment_intents.create_async(params, {"idempotency_key": call.key}))


@workflow
async def volatile(ctx: Context, order: Order) -> str:
    await program.insert_order(ctx, order)
    return (await charge_volatile(ctx, order)).status


async def test_key_of_another_request(shop):
    """P5: a key that Stripe knows from another request is loud, and parks: the other may have charged."""
    async with simulated(shop, volatile) as (sim, app), app.worker():
        sim.next("lost_reply")
        handle = await app.start(volatile, ORDER, id="order:1")
        parked = await until_state(app, "order:1:volatile", "unknown")
        assert "KEY CONFLICT" in str(parked.error)
        assert any("KEY CONFLICT" in event.cause for event in shop.seen(Suspected))
        paid = Payment(id="pi", status="succeeded", amount_minor=1999, currency="usd", charge="ch", created_s=1)
        await app.resolve("order:1:volatile", outcome="succeeded", result=paid)
        assert await handle.result() == "succeeded"
        assert [(entry.amount_minor, entry.requests) for entry in sim.ledger().charges] == [(1999, 2)]


@pytest.mark.parametrize("fault", [None, "lost_reply", "error_before"])
async def test_refund(shop, fault):
    """P3, trap 7: the workflow fails after the charge: one refund, under a key that is not the charge's."""
    async with simulated(shop, program.by_card_in_vain) as (sim, app):
        if fault is not None:
            sim.next(fault, on="POST /v1/refunds")
        if fault == "error_before":
            async with app.worker():
                await app.start(program.by_card_in_vain, ORDER, id="order:1")
                await until_state(app, "order:1:stripe-refund", "unknown")
                await app.resolve("order:1:stripe-refund", outcome="not done")
        with pytest.raises(WorkflowFailed, match="out of stock"):
            await pays(app, program.by_card_in_vain)
        assert len(sim.ledger().charges) == 1
        assert [(entry.amount_minor, entry.key.startswith(KEY + "-refund")) for entry in sim.ledger().refunds] == [
            (1999, True)
        ]
        assert sim.ledger().duplicates() == {}
