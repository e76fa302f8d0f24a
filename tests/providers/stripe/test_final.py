"""A payment that Stripe has and that is not final is no success: not by the call, not by the probe (P5)."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import Any

import pytest
import stripe
from stripe import StripeClient

from recordfirst import Call, Context, Pending, Write, effect, inject, workflow, write
from recordfirst.errors import Declined
from recordfirst.providers.contract import Found, Probed
from recordfirst.providers.stripe import (
    METADATA_KEY,
    Payment,
    Stripe,
    find_payment_intent,
    payment_of,
    refund_of,
    search_payment_intent,
    stripe_client,
)
from recordfirst.testing import StripeSimulator
from tests.starts.harness import Shop

INTENT_STATUSES = (
    "requires_payment_method", "requires_confirmation", "requires_action", "processing", "requires_capture", "canceled",
    "succeeded", "one that Stripe adds some day",
)  # fmt: skip
REFUND_STATUSES = (
    "pending",
    "requires_action",
    "succeeded",
    "failed",
    "canceled",
    None,
    "one that Stripe adds some day",
)


def _intent(status: str, **more: Any) -> stripe.PaymentIntent:
    fields = {"id": "pi_1", "object": "payment_intent", "status": status, "amount": 5, "currency": "usd", "created": 1}
    return stripe.PaymentIntent.construct_from({**fields, **more}, "key")  # type: ignore[no-untyped-call]


def _outcome(read: Any, item: Any) -> str:
    try:
        found = read(item)
    except Declined:
        return "Declined"
    return "pending" if isinstance(found, Pending) else "success"


def test_a_payment_has_succeeded_or_has_not() -> None:
    """P5: only what is listed as final is, and what Stripe adds is not."""
    outcomes = {status: _outcome(payment_of, _intent(status)) for status in INTENT_STATUSES}
    assert {status for status, outcome in outcomes.items() if outcome == "success"} == {"succeeded"}
    assert set(outcomes.values()) == {"success", "Declined", "pending"}
    assert {status for status, outcome in outcomes.items() if outcome == "Declined"} == {"canceled"}
    refused = _intent("requires_payment_method", last_payment_error={"code": "card_declined", "message": "no"})
    assert _outcome(payment_of, refused) == "Declined"


def test_an_authorisation_is_a_success_where_it_was_asked_for() -> None:
    """P5: and there, too, nothing else than it is."""
    outcomes = {status: _outcome(partial(payment_of, authorised=True), _intent(status)) for status in INTENT_STATUSES}
    assert {s for s, outcome in outcomes.items() if outcome == "success"} == {"succeeded", "requires_capture"}


def test_a_refund_has_succeeded_or_has_not() -> None:
    """P5: one that has failed, or may yet, is not money back."""
    fields = {"id": "re_1", "object": "refund", "amount": 5, "currency": "usd", "created": 1, "payment_intent": "pi_1"}
    made = {
        status: stripe.Refund.construct_from({**fields, "status": status}, "key")  # type: ignore[no-untyped-call]
        for status in REFUND_STATUSES
    }
    outcomes = {status: _outcome(refund_of, each) for status, each in made.items()}
    assert {status for status, outcome in outcomes.items() if outcome == "success"} == {"succeeded"}
    assert {status for status, outcome in outcomes.items() if outcome == "Declined"} == {"failed", "canceled"}
    accepted = {status: _outcome(partial(refund_of, accepted=True), each) for status, each in made.items()}
    assert {status for status, outcome in accepted.items() if outcome == "success"} == {"succeeded", "pending", None}


WAITING = [
    ({"payment_method": "pm_card_authenticationRequired"}, "requires_action"),
    ({"payment_method": "pm_card_threeDSecure2Required"}, "requires_action"),
    ({"payment_method": "pm_usBankAccount_processing"}, "processing"),
    ({"capture_method": "manual"}, "requires_capture"),
    ({"confirm": False}, "requires_confirmation"),
]


@pytest.mark.parametrize(("params", "status"), WAITING)
async def test_what_waits_is_found_when_it_is_final(open_shop: Any, params: Any, status: str) -> None:
    """P5: it is pending until then; no money has moved, and both ways of looking say so."""
    async with open_shop() as shop:
        intent = await shop.pay("k", **params)
        assert (intent.status, intent.amount_received, shop.sim.ledger().charges) == (status, 0, [])
        pending = payment_of(intent)
        assert isinstance(pending, Pending)
        assert (pending.references["payment_intent"], pending.show["status"]) == (intent.id, status)
        shop.sim.clock.advance(3600)
        look = partial(find_payment_intent, shop.client, marker="shop/o1", since_ms=shop.sim.clock.now_ms() - 3_600_000)
        search = partial(search_payment_intent, shop.client, marker="shop/o1")
        for ask in (look, search):
            answer = await ask()
            assert answer == pending
            assert isinstance(await ask(authorised=True), Found) is (status == "requires_capture")
            assert await ask(read=lambda found: found.id) == pending, "whatever it is read as"
        if status == "requires_confirmation":
            return
        shop.sim.complete(intent.id)
        for ask in (look, search):
            found = await ask()
            assert isinstance(found, Found)
            assert found.result.status == "succeeded"


async def test_who_asks_for_no_action_gets_a_decline(open_shop: Any) -> None:
    """P5: as Stripe answers ``error_on_requires_action``."""
    async with open_shop() as shop:
        params = {"payment_method": "pm_card_authenticationRequired", "error_on_requires_action": True}
        error = await shop.failure(shop.pay("k", **params))
        verdict = Stripe().classify(error)
        assert isinstance(verdict, Declined)
        assert verdict.code == "authentication_required"


WAYS = {
    "ann": '{"payment_method": "pm_card_authenticationRequired"}',
    "bob": '{"payment_method": "pm_usBankAccount_processing"}',
    "cy": '{"payment_method": "pm_card_visa", "capture_method": "manual"}',
}
"""How each pays: with 3-D Secure, by a bank debit, by an authorisation that nobody has captured."""


@write
async def insert_order(w: Write[Any], who: str) -> None: ...


async def find_charge(call: Call, who: str, *, client: StripeClient = inject()) -> Probed:
    return await find_payment_intent(client, marker=call.marker, since_ms=call.since_ms)


@effect(key="{who}:charge", provider=Stripe(lag_s=0), after=insert_order, probe=find_charge)
async def charge(call: Call, who: str, *, client: StripeClient = inject()) -> Payment | Pending:
    params: Any = {"amount": 1999, "currency": "usd", "confirm": True, "metadata": {METADATA_KEY: call.marker}}
    params |= json.loads(WAYS[who])
    return payment_of(await client.v1.payment_intents.create_async(params, {"idempotency_key": call.key}))


paid: list[str] = []


@charge.on_success
async def mark_paid(w: Write[Any], who: str, payment: Payment) -> None:
    paid.append(payment.status)


@charge.on_pending
async def mark_awaited(w: Write[Any], who: str, pending: Pending) -> None:
    paid.append(f"awaits {pending.show['status']}")


@workflow
async def buy(ctx: Context, who: str) -> str:
    await insert_order(ctx, who)
    return (await charge(ctx, who)).id


@pytest.mark.parametrize(
    ("who", "status"), [("ann", "requires_action"), ("bob", "processing"), ("cy", "requires_capture")]
)
async def test_an_order_is_paid_when_its_payment_is_final(record_url: str, who: str, status: str) -> None:
    """P5, P7, P10: until then it sleeps, its row says what it waits for, one request was sent; a look finds it paid."""
    paid.clear()
    shop = Shop(record_url)
    async with (
        StripeSimulator() as sim,
        stripe_client("sk_test_x", base_url=sim.url) as client,
        shop.working(buy, provide={StripeClient: client}) as app,
    ):
        handle = await app.start(buy, who, id=who)
        async with asyncio.timeout(20):
            while await _state(app, who) != "pending":
                await asyncio.sleep(0.05)
        [intent] = sim.api.books.intents
        assert (await app.reconcile(apply=True)).found == []
        assert (paid, sim.ledger().charges, sum(sim.api.requests.values())) == ([f"awaits {status}"], [], 1)
        [seen] = await app.operations.look(reference=intent)
        assert (seen.state, paid) == ("pending", [f"awaits {status}"])
        sim.complete(intent)
        [seen] = await app.operations.look(marker=f"shop/{who}:charge")
        assert seen.state == "succeeded"
        assert await handle.result() == intent
        assert paid == [f"awaits {status}", "succeeded"]
        assert (len(sim.ledger().charges), sum(sim.api.requests.values())) == (1, 1)
        assert await app.operations.look(reference="pi_of_somebody_else") == []
        assert [each.state for each in await app.operations.look(f"{who}:charge")] == ["succeeded"]


async def _state(app: Any, who: str) -> str | None:
    async with app.runtime.record.session() as session:
        receipt = (await session.find_receipt(f"{who}:charge")).receipt
        return None if receipt is None else receipt.state
