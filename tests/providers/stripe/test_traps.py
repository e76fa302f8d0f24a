"""Traps 3, 4, 7 and 8, as far as they are Stripe's: the real SDK against the simulator."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

import pytest
import stripe

from recordfirst.errors import Declined, NotDone, Unknown
from recordfirst.providers.contract import Absent, Found, Probed
from recordfirst.providers.stripe import METADATA_KEY, Stripe, find_payment_intent
from recordfirst.testing.stripe import ledger

DAY_S = 24 * 3600


def probe(shop: Any) -> Awaitable[Probed]:
    return find_payment_intent(shop.client, marker="shop/o1", since_ms=shop.sim.clock.now_ms() - DAY_S * 2000)


@pytest.mark.parametrize("fault", ["lost_reply", "timeout_after_applying"])
async def test_lost_answer_comes_back_with_the_same_key(open_shop, fault):
    """P3: an answer that was lost is unknown; the same key brings it, and there is one charge."""
    async with open_shop(timeout_s=0.2) as shop:
        shop.sim.next(fault)
        verdict = Stripe().classify(await shop.failure(shop.pay("k")))
        assert isinstance(verdict, Unknown)
        assert not verdict.replayed
        assert (await shop.pay("k")).status == "succeeded"
        assert len(shop.sim.ledger().charges) == 1


async def test_running_request_answers_not_done_until_it_ended(open_shop):
    """P5: we gave up and Stripe did not: the same key gets 409, later, until it gets the result."""
    async with open_shop(timeout_s=0.2) as shop:
        shop.sim.next("slow")
        verdicts = [Stripe().classify(await shop.failure(shop.pay("k")))]
        paid = None
        while paid is None:
            try:
                paid = await shop.pay("k")
            except stripe.StripeError as error:
                verdicts.append(Stripe().classify(error))
        assert paid.status == "succeeded"
        assert isinstance(verdicts[0], Unknown)
        assert {type(verdict) for verdict in verdicts[1:]} <= {NotDone}
        assert len(shop.sim.ledger().charges) == 1


async def test_reset_before_is_repeated_with_the_same_key(open_shop):
    """P3: whether the request arrived cannot be told; with the same key it need not."""
    async with open_shop() as shop:
        shop.sim.next("reset_before")
        assert isinstance(Stripe().classify(await shop.failure(shop.pay("k"))), Unknown)
        await shop.pay("k")
        assert len(shop.sim.ledger().charges) == 1


async def test_forgotten_key_charges_again_and_a_probe_does_not(open_shop):
    """P3: past 24 hours the same key is a second charge; the probe finds the first."""
    async with open_shop() as shop:
        shop.sim.next("lost_reply")
        await shop.failure(shop.pay("k"))
        shop.sim.clock.advance(DAY_S)
        assert isinstance(await probe(shop), Found)
        await shop.pay("k")
        assert list(shop.sim.ledger().duplicates()) == ["shop/o1"]


@pytest.mark.parametrize(("fault", "answer"), [("error_before", Absent), ("error_after", Found)])
async def test_500_replays_for_ever_and_a_probe_tells(open_shop, fault, answer):
    """P5: asking again only repeats the 500; whether it was applied, the probe knows."""
    async with open_shop() as shop:
        shop.sim.next(fault)
        for _ in range(3):
            verdict = Stripe().classify(await shop.failure(shop.pay("k")))
            assert isinstance(verdict, Unknown)
            assert verdict.replayed
        assert isinstance(await probe(shop), answer)
        assert len(shop.sim.ledger().charges) == (answer is Found)


async def test_rate_limit_is_not_done_and_the_key_still_good(open_shop):
    """P5: 429: same key, after the time that Stripe asks for."""
    async with open_shop() as shop:
        shop.sim.next("rate_limited")
        verdict = Stripe().classify(await shop.failure(shop.pay("k")))
        assert isinstance(verdict, NotDone)
        assert verdict.retry_after_ms == 1000
        assert (await shop.pay("k")).status == "succeeded"


@pytest.mark.parametrize("scripted", [True, False])
async def test_decline_is_final_under_its_key(open_shop, scripted):
    """P5: 402 is declined and replays; a new attempt has a new key."""
    async with open_shop() as shop:
        card = {} if scripted else {"payment_method": "pm_card_chargeDeclinedInsufficientFunds"}
        if scripted:
            shop.sim.next("decline")
        verdicts = [Stripe().classify(await shop.failure(shop.pay("k", **card))) for _ in range(2)]
        code = "generic_decline" if scripted else "insufficient_funds"
        assert [verdict.code for verdict in verdicts if isinstance(verdict, Declined)] == [code, code]
        assert (await shop.pay("k#2")).status == "succeeded"
        assert len(shop.sim.ledger().declines) == 1


async def test_refund_cannot_take_the_key_of_its_charge(open_shop):
    """P8: one key for charge and refund is refused, loudly, and nothing is refunded."""
    async with open_shop() as shop:
        paid = await shop.pay("order:1")
        verdict = Stripe().classify(await shop.failure(shop.refund(paid.id, "order:1")))
        assert isinstance(verdict, Unknown)
        assert "KEY CONFLICT" in verdict.reason
        assert shop.sim.ledger().refunds == []
        assert (await shop.refund(paid.id, "order:1:refund")).status == "succeeded"


async def test_another_amount_under_the_same_key_is_refused(open_shop):
    """P8: one key means one request."""
    async with open_shop() as shop:
        await shop.pay("k", amount=1999)
        verdict = Stripe().classify(await shop.failure(shop.pay("k", amount=2000)))
        assert isinstance(verdict, Unknown)
        assert verdict.replayed
        assert shop.sim.ledger().totals()["charge"] == {"count": 1, "usd": 1999}


async def test_without_a_key_each_call_is_a_charge(open_shop):
    """P3: the SDK makes up a key per call, so a retry above it charges twice; with ours it does not."""
    async with open_shop() as shop:
        await shop.pay(None, marker="none")
        await shop.pay(None, marker="none")
        await shop.pay("k", marker="ours")
        await shop.pay("k", marker="ours")
        charges = shop.sim.ledger().charges_by()
        assert {marker: len(entries) for marker, entries in charges.items()} == {"none": 2, "ours": 1}


async def test_the_sdk_does_not_retry(open_shop):
    """P3: one call is one request, whatever it comes to."""
    async with open_shop() as shop:
        for n, fault in enumerate(("reset_before", "error_before", "rate_limited", "lost_reply")):
            shop.sim.next(fault)
            await shop.failure(shop.pay(f"k{n}"))
        assert shop.sim.api.requests == {f"k{n}": 1 for n in range(4)}


async def test_what_stripe_will_never_take_is_declined(open_shop):
    """P5: an amount below the minimum and an unknown card are refused for good, with Stripe's code."""
    async with open_shop() as shop:
        small = Stripe().classify(await shop.failure(shop.pay("a", amount=49)))
        card = Stripe().classify(await shop.failure(shop.pay("b", payment_method="pm_none")))
        twice = await shop.pay("c")
        await shop.refund(twice.id, "r1")
        refunded = Stripe().classify(await shop.failure(shop.refund(twice.id, "r2")))
        codes = [verdict.code for verdict in (small, card, refunded) if isinstance(verdict, Declined)]
        assert codes == ["amount_too_small", "resource_missing", "charge_already_refunded"]


def test_the_sdk_is_one_we_know():
    """P3: the tests above hold for this major version, and provider and simulator name the marker alike."""
    assert stripe.VERSION.split(".")[0] == "16"
    assert ledger.METADATA_KEY == METADATA_KEY
