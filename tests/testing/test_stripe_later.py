"""What Stripe accepts and does not pay at once, and what changes later: the official client, over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import stripe

from recordfirst.providers.stripe import stripe_client
from recordfirst.testing import Delays, SimClock, StripeSimulator

DAY_S = 24 * 3600


@asynccontextmanager
async def opened(**options: Any) -> AsyncIterator[tuple[StripeSimulator, stripe.StripeClient]]:
    clock = SimClock(start_ms=1_800_000_000_000, monotonic_ms=lambda: 0)
    async with StripeSimulator(clock=clock, **options) as sim, stripe_client("sk_test_x", base_url=sim.url) as client:
        yield sim, client


async def pay(client: stripe.StripeClient, method: str = "pm_card_visa", **more: Any) -> stripe.PaymentIntent:
    params: Any = {"amount": 5000, "currency": "usd", "confirm": True, "payment_method": method, **more}
    return await client.v1.payment_intents.create_async(params)


async def look(client: stripe.StripeClient, intent: stripe.PaymentIntent) -> stripe.PaymentIntent:
    return await client.v1.payment_intents.retrieve_async(intent.id)


def types(sim: StripeSimulator) -> list[str]:
    return [event.type for event in sim.events]


def money(sim: StripeSimulator) -> dict[str, int]:
    return {kind: total["usd"] for kind, total in sim.ledger().totals().items() if total["count"]}


async def test_three_d_secure_is_confirmed():
    """P5: the answer is 200 and no money; the customer confirms later."""
    async with opened() as (sim, client):
        intent = await pay(client, "pm_card_threeDSecure2Required", return_url="https://shop.example/back")
        assert (intent.status, intent.amount_received, money(sim)) == ("requires_action", 0, {})
        assert intent.client_secret
        assert intent.next_action is not None
        assert intent.next_action.type == "redirect_to_url"
        assert intent.next_action.redirect_to_url is not None
        assert intent.next_action.redirect_to_url.return_url == "https://shop.example/back"
        sim.clock.advance(30 * DAY_S)
        assert (await look(client, intent)).status == "requires_action"
        sim.do("complete", intent.id)
        assert ((await look(client, intent)).status, money(sim)) == ("succeeded", {"charge": 5000})
        assert types(sim) == [
            *("payment_intent.created", "payment_intent.requires_action"),
            *("charge.succeeded", "payment_intent.succeeded"),
        ]


async def test_three_d_secure_fails():
    """P5: the customer does not pass it, or does and the card is declined; another card may follow."""
    async with opened() as (sim, client):
        given_up = await pay(client, "pm_card_threeDSecureRequired")
        sim.do("fail", given_up.id)
        poor = await pay(client, "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds")
        sim.do("complete", poor.id)
        codes = []
        for intent in (given_up, poor):
            seen = await look(client, intent)
            assert (seen.status, seen.next_action) == ("requires_payment_method", None)
            assert seen.last_payment_error is not None
            codes.append(seen.last_payment_error.code)
        assert codes == ["payment_intent_authentication_failure", "card_declined"]
        assert types(sim)[2:4] == ["charge.failed", "payment_intent.payment_failed"]
        again = await client.v1.payment_intents.confirm_async(poor.id, {"payment_method": "pm_card_visa"})
        assert (again.status, money(sim)["charge"]) == ("succeeded", 5000)


@pytest.mark.parametrize(
    ("method", "status", "code"),
    [
        ("pm_usBankAccount_success", "succeeded", None),
        ("pm_usBankAccount_insufficientFunds", "requires_payment_method", "insufficient_funds"),
        ("pm_usBankAccount_accountClosed", "requires_payment_method", "account_closed"),
        ("pm_usBankAccount_processing", "processing", None),
    ],
)
async def test_a_bank_debit_takes_days(method, status, code):
    """P5: processing for four days, and then paid, or not; one kind for ever."""
    async with opened() as (sim, client):
        intent = await pay(client, method)
        sim.clock.advance(4 * DAY_S - 1)
        seen = await look(client, intent)
        assert (seen.status, seen.payment_method_types, money(sim)) == ("processing", ["us_bank_account"], {})
        sim.clock.advance(1)
        seen = await look(client, intent)
        error = seen.last_payment_error
        assert (seen.status, error and error.code) == (status, code)
        assert ("charge" in money(sim)) == (status == "succeeded")
        assert isinstance(seen.latest_charge, str)
        charge = await client.v1.charges.retrieve_async(seen.latest_charge)
        kinds = {"succeeded": "succeeded", "processing": "pending", "requires_payment_method": "failed"}
        assert charge.status == kinds[status]


async def test_manual_capture_in_part_and_its_expiry():
    """P5: held is not taken; a part is captured once; what nobody captures is canceled after seven days."""
    async with opened() as (sim, client):
        held = await pay(client, capture_method="manual")
        left = await pay(client, capture_method="manual")
        given_back = await pay(client, capture_method="manual")
        assert (held.status, held.amount_capturable, money(sim)) == ("requires_capture", 5000, {})
        with pytest.raises(stripe.InvalidRequestError, match="exceeds"):
            await client.v1.payment_intents.capture_async(held.id, {"amount_to_capture": 5001})
        taken = await client.v1.payment_intents.capture_async(held.id, {"amount_to_capture": 3000})
        assert (taken.status, taken.amount_received, taken.amount_capturable) == ("succeeded", 3000, 0)
        canceled = await client.v1.payment_intents.cancel_async(given_back.id, {"cancellation_reason": "abandoned"})
        assert (canceled.status, canceled.cancellation_reason) == ("canceled", "abandoned")
        sim.clock.advance(7 * DAY_S)
        expired = await look(client, left)
        assert (expired.status, expired.cancellation_reason) == ("canceled", "automatic")
        with pytest.raises(stripe.InvalidRequestError) as caught:
            await client.v1.payment_intents.capture_async(left.id)
        assert caught.value.code == "payment_intent_unexpected_state"
        assert money(sim) == {"charge": 3000}
        assert types(sim)[-2:] == ["charge.expired", "payment_intent.canceled"]
        refund = await client.v1.refunds.create_async({"payment_intent": held.id})
        assert refund.amount == 3000


async def test_refunds_in_part_pending_and_failed():
    """P5: a refund that is pending succeeds or fails later; one that succeeded comes back; the charge says so."""
    async with opened() as (sim, client):
        plain, slow, closed = [
            await pay(client, method) for method in ("pm_card_visa", "pm_card_pendingRefund", "pm_card_refundFail")
        ]
        part = await client.v1.refunds.create_async({"payment_intent": plain.id, "amount": 1000})
        pending = await client.v1.refunds.create_async({"payment_intent": slow.id})
        fails = await client.v1.refunds.create_async({"payment_intent": closed.id})
        assert [each.status for each in (part, pending, fails)] == ["succeeded", "pending", "succeeded"]
        by_hand = sim.do("refund", plain.id, amount=500)
        charge = await client.v1.charges.retrieve_async(str(plain.latest_charge))
        assert (charge.amount_refunded, charge.refunded, by_hand.metadata) == (1500, False, {})
        sim.clock.advance(5 * DAY_S)
        seen = [await client.v1.refunds.retrieve_async(each.id) for each in (part, pending, fails)]
        assert [each.status for each in seen] == ["succeeded", "succeeded", "failed"]
        assert seen[2].failure_reason == "expired_or_canceled_card"
        assert money(sim) == {"charge": 15000, "refund": 11500, "refund_failed": 5000}
        charge = await client.v1.charges.retrieve_async(str(closed.latest_charge))
        assert (charge.amount_refunded, charge.refunded) == (0, False)


async def test_a_refund_can_be_stopped_while_it_is_pending():
    """P5: canceled, its money is the account's again."""
    async with opened() as (sim, client):
        intent = await pay(client, "pm_card_pendingRefund")
        refund = await client.v1.refunds.create_async({"payment_intent": intent.id})
        assert (await client.v1.refunds.cancel_async(refund.id)).status == "canceled"
        with pytest.raises(stripe.InvalidRequestError, match="canceled"):
            await client.v1.refunds.cancel_async(refund.id)
        sim.clock.advance(30 * DAY_S)
        assert (await client.v1.refunds.retrieve_async(refund.id)).status == "canceled"
        assert (await client.v1.refunds.create_async({"payment_intent": intent.id})).amount == 5000


async def test_disputes_are_opened_won_and_lost():
    """P5: the bank takes the money back; evidence wins it again, or loses it for good; an inquiry takes nothing."""
    async with opened() as (sim, client):
        won = await pay(client, "pm_card_createDispute")
        lost = await pay(client, "pm_card_createDisputeProductNotReceived")
        asked = await pay(client, "pm_card_createDisputeInquiry")
        sim.clock.advance(60)
        disputes = {each.payment_intent: each for each in (await client.v1.disputes.list_async()).data}
        statuses = [disputes[each.id].status for each in (won, lost, asked)]
        assert statuses == ["needs_response", "needs_response", "warning_needs_response"]
        assert [disputes[each.id].reason for each in (won, lost)] == ["fraudulent", "product_not_received"]
        assert (await client.v1.charges.retrieve_async(str(won.latest_charge))).disputed
        with pytest.raises(stripe.InvalidRequestError) as caught:
            await client.v1.refunds.create_async({"payment_intent": won.id})
        assert caught.value.code == "charge_disputed"
        text: Any = {"evidence": {"uncategorized_text": "winning_evidence"}}
        sent = await client.v1.disputes.update_async(disputes[won.id].id, text)
        assert sent.status == "under_review"
        await client.v1.disputes.close_async(disputes[lost.id].id)
        sim.clock.advance(60)
        ended = [(await client.v1.disputes.retrieve_async(disputes[each.id].id)).status for each in (won, lost)]
        assert ended == ["won", "lost"]
        assert money(sim) == {"charge": 15000, "dispute": 10000, "dispute_won": 5000}
        assert types(sim).count("charge.dispute.funds_withdrawn") == 2
        assert types(sim).count("charge.dispute.funds_reinstated") == 1
        assert types(sim).count("charge.dispute.closed") == 2
        assert (await client.v1.refunds.create_async({"payment_intent": asked.id})).status == "succeeded"


async def test_payouts_arrive_and_come_back():
    """P5: a payout is paid in two days, and may fail after that; one that has not left can be stopped."""
    async with opened() as (sim, client):
        sent = await client.v1.payouts.create_async({"amount": 900, "currency": "usd", "metadata": {"to": "rent"}})
        stopped = await client.v1.payouts.create_async({"amount": 100, "currency": "usd"})
        assert (await client.v1.payouts.cancel_async(stopped.id)).status == "canceled"
        sim.clock.advance(2 * DAY_S)
        assert (await client.v1.payouts.retrieve_async(sent.id)).status == "paid"
        sim.do("fail_payout", sent.id, reason="account_frozen")
        seen = await client.v1.payouts.retrieve_async(sent.id)
        assert (seen.status, seen.failure_code) == ("failed", "account_frozen")
        assert seen.metadata is not None
        assert seen.metadata["to"] == "rent"
        assert types(sim) == ["payout.created", "payout.created", "payout.canceled", "payout.paid", "payout.failed"]


async def test_what_comes_by_itself_comes_at_its_own_time():
    """P8: whenever one looks, things have happened in order, each when it was due."""
    shown = []
    for steps in (1, 50):
        async with opened(delays=Delays(dispute_s=30 * DAY_S)) as (sim, client):
            bank = await pay(client, "pm_usBankAccount_dispute")
            held = await pay(client, capture_method="manual")
            for _ in range(steps):
                sim.clock.advance(40 * DAY_S / steps)
                await look(client, bank)
            assert (await look(client, held)).status == "canceled"
            listed = [each async for each in (await client.v1.events.list_async()).auto_paging_iter()]
            shown.append([(each.type, each.created) for each in sim.events])
            # Thirty days are kept.
            assert [each.type for each in listed] == ["charge.dispute.funds_withdrawn", "charge.dispute.created"]
    assert shown[0] == shown[1]
    assert [at - 1_800_000_000 for _, at in shown[0]][-2:] == [34 * DAY_S] * 2


async def test_events_are_listed_by_type_and_page():
    """P10: every event, newest first, with the object as it was then, and what asked for it."""
    async with opened() as (sim, client):
        params: Any = {"amount": 5000, "currency": "usd", "confirm": True, "payment_method": "pm_card_visa"}
        options: Any = {"idempotency_key": "shop/order:1"}
        intent = await client.v1.payment_intents.create_async(params | {"metadata": {"order": "1"}}, options)
        await client.v1.refunds.create_async({"payment_intent": intent.id})
        pages: Any = await client.v1.events.list_async({"limit": 2})
        every = [event async for event in pages.auto_paging_iter()]
        assert [event.id for event in every] == [event.id for event in reversed(sim.events)]
        succeeded = (await client.v1.events.list_async({"type": "payment_intent.*"})).data[0]
        assert (succeeded.type, succeeded.data.object["status"]) == ("payment_intent.succeeded", "succeeded")
        assert succeeded.request is not None
        assert (succeeded.request.idempotency_key, succeeded.livemode) == ("shop/order:1", False)
        some = await client.v1.events.list_async({"types": ["charge.refunded", "refund.created"]})
        assert {event.type for event in some.data} == {"charge.refunded", "refund.created"}
        assert (await client.v1.events.retrieve_async(succeeded.id)).data.object["metadata"]["order"] == "1"
        expanded = await client.v1.payment_intents.retrieve_async(intent.id, {"expand": ["latest_charge"]})
        assert isinstance(expanded.latest_charge, stripe.Charge)
        assert expanded.latest_charge.refunded


async def test_connected_accounts_and_live_mode_show_in_events():
    """P8: an event says whose it is, and whether it is a test."""
    async with (
        StripeSimulator(livemode=True) as sim,
        stripe_client("sk_live_x", base_url=sim.url, stripe_account="acct_1") as client,
    ):
        await pay(client)
        [*events] = (await client.v1.events.list_async()).data
        assert {(event.account, event.livemode) for event in events} == {("acct_1", True)}
