"""Probes find what happened, prove what did not, and say so when they can do neither."""

from __future__ import annotations

from collections.abc import Awaitable
from functools import partial
from typing import Any

import msgspec
import pytest

from recordfirst.errors import Declined
from recordfirst.providers.contract import Absent, CannotTell, Found, Pending, Probed
from recordfirst.providers.stripe import (
    METADATA_KEY,
    Payment,
    Refund,
    find_payment_intent,
    find_refund,
    payment_of,
    refund_of,
    search_payment_intent,
)


def find(shop: Any, marker: str = "shop/o1", **more: Any) -> Awaitable[Probed]:
    return find_payment_intent(shop.client, marker=marker, since_ms=shop.sim.clock.now_ms(), **more)


async def test_found_is_what_the_call_would_have_returned(open_shop):
    """P5: the probe's result and the call's are the same, and can be stored."""
    async with open_shop() as shop:
        payment = payment_of(await shop.pay("k"))
        assert await find(shop) == Found(payment)
        assert msgspec.json.decode(msgspec.json.encode(payment), type=Payment) == payment
        assert (payment.status, payment.amount_minor) == ("succeeded", 1999)


async def test_what_is_pending_is_looked_at_by_its_id(open_shop):
    """P5: however much there is by now; nothing was created since a day from now, so a list would find nothing."""
    async with open_shop() as shop:
        later = shop.sim.clock.now_ms() + 86_400_000
        waits, paid = await shop.pay("a", payment_method="pm_card_threeDSecureRequired"), await shop.pay("b")
        look = partial(find_payment_intent, shop.client, marker="shop/o1", since_ms=later)
        assert await look() == Absent()
        assert isinstance(await look(known={"payment_intent": waits.id}), Pending)
        assert await look(known={"payment_intent": paid.id}) == Found(payment_of(paid))
        shop.sim.do("fail", waits.id)
        with pytest.raises(Declined):
            await look(known={"payment_intent": waits.id})
        other = await find_payment_intent(shop.client, marker="shop/o2", since_ms=0, known={"payment_intent": paid.id})
        assert isinstance(other, CannotTell)
        refund = await shop.client.v1.refunds.create_async(
            {"payment_intent": paid.id, "metadata": {METADATA_KEY: "shop/r1"}}
        )
        found = await find_refund(shop.client, marker="shop/r1", since_ms=later, known={"refund": refund.id})
        assert found == Found(refund_of(refund))


async def test_absent_among_others(open_shop):
    """P3: another marker, or none, is not ours."""
    async with open_shop() as shop:
        await shop.pay("a", marker="shop/o10")
        await shop.pay("b", metadata={})
        assert await find(shop) == Absent()


async def test_a_decline_is_raised_not_found(open_shop):
    """P5: a declined payment intent is there, and is no success."""
    async with open_shop() as shop:
        await shop.failure(shop.pay("k", payment_method="pm_card_visa_chargeDeclinedInsufficientFunds"))
        with pytest.raises(Declined, match="insufficient funds") as caught:
            await find(shop)
        assert caught.value.code == "insufficient_funds"


async def test_success_counts_over_a_decline(open_shop):
    """P5: if one under the marker went through, that is what happened."""
    async with open_shop() as shop:
        paid = await shop.pay("a")
        await shop.failure(shop.pay("b", payment_method="pm_card_chargeDeclined"))
        assert await find(shop) == Found(payment_of(paid))


async def test_two_of_them_are_for_a_person(open_shop):
    """P8: charged twice is never settled in silence."""
    async with open_shop() as shop:
        first, second = await shop.pay("a"), await shop.pay("b")
        answer = await find(shop)
        assert isinstance(answer, CannotTell)
        assert first.id in answer.why
        assert second.id in answer.why


async def test_pages_to_the_end(open_shop):
    """P3: the one looked for is the oldest of many."""
    async with open_shop() as shop:
        paid = await shop.pay("k")
        for n in range(250):
            await shop.pay(f"k{n}", marker=f"other{n}")
        before = shop.sim.api.count
        assert await find(shop) == Found(payment_of(paid))
        assert shop.sim.api.count - before == 3
        assert isinstance(await find(shop, max_pages=2), CannotTell)


async def test_reads_no_more_than_the_time_since_the_intent(open_shop):
    """P3: what is older than the intent, less a margin for clocks, is not read."""
    async with open_shop() as shop:
        await shop.pay("k")
        shop.sim.clock.advance(50)
        assert isinstance(await find(shop), Found)
        shop.sim.clock.advance(50)
        assert await find(shop) == Absent()
        assert isinstance(await find(shop, margin_s=200), Found)


async def test_reads_one_customer_alone(open_shop):
    """P3: naming the customer narrows the probe to their payments."""
    async with open_shop() as shop:
        paid = await shop.pay("k", customer="cus_1")
        for n in range(120):
            await shop.pay(f"k{n}", marker="x", customer="cus_2")
        assert await find(shop, customer="cus_1", max_pages=1) == Found(payment_of(paid))
        assert await find(shop, customer="cus_3", max_pages=1) == Absent()


async def test_read_makes_the_result(open_shop):
    """P5: the effect's own result, if it wants another."""
    async with open_shop() as shop:
        paid = await shop.pay("k")
        assert await find(shop, read=lambda intent: intent.id) == Found(paid.id)


async def test_intent_that_was_never_confirmed_is_no_success(open_shop):
    """P5: the call was made and moved no money; its status is named."""
    async with open_shop() as shop:
        await shop.pay("k", confirm=False)
        found = await find(shop)
        assert isinstance(found, Pending)
        assert found.show["status"] == "requires_confirmation"


@pytest.mark.parametrize("marker", ["shop/o1", "it's", 'say "o1"', "back\\slash"])
async def test_search_sees_after_a_minute(open_shop, marker):
    """P3: search is late, which is why its provider says so; what the marker is made of does not matter."""
    async with open_shop() as shop:
        paid = await shop.pay("k", marker=marker)
        assert await search_payment_intent(shop.client, marker=marker) == Absent()
        shop.sim.clock.advance(60)
        assert await search_payment_intent(shop.client, marker=marker) == Found(payment_of(paid))


async def test_refunds(open_shop):
    """P3: a refund is found among all, or among those of its payment."""
    async with open_shop() as shop:
        paid, other = await shop.pay("k"), await shop.pay("l")
        refund = refund_of(await shop.refund(paid.id, "r", amount=500))
        assert msgspec.json.decode(msgspec.json.encode(refund), type=Refund) == refund
        look = {"marker": "shop/o1/refund", "since_ms": shop.sim.clock.now_ms()}
        assert await find_refund(shop.client, **look) == Found(refund)
        assert await find_refund(shop.client, payment_intent=paid.id, **look) == Found(refund)
        assert await find_refund(shop.client, payment_intent=other.id, **look) == Absent()


@pytest.mark.parametrize("status", ["failed", "canceled"])
async def test_refused_objects_are_declined(open_shop, monkeypatch, status):
    """P5: a refund that failed, or a payment that was canceled, is no success."""
    async with open_shop() as shop:
        paid = await shop.pay("k")
        await shop.refund(paid.id, "r")
        for timeline in (shop.sim.api.books.refunds.all, shop.sim.api.books.timeline):
            for item in timeline._items:
                item.status = status
        look = {"since_ms": shop.sim.clock.now_ms()}
        with pytest.raises(Declined) as caught:
            await find_refund(shop.client, marker="shop/o1/refund", **look)
        assert caught.value.code == status
        if status == "canceled":
            with pytest.raises(Declined, match=paid.id):
                await find(shop)


async def test_a_probe_that_fails_raises(open_shop):
    """P5: a probe that got no answer proves nothing: its error is the caller's to classify."""
    async with open_shop() as shop:
        shop.sim.next("rate_limited", on="GET")
        assert "rate limit" in str(await shop.failure(find(shop)))
