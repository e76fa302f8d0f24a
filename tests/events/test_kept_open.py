"""An event stays open until what it is about has an outcome, and was looked at then."""

from __future__ import annotations

from recordfirst.core.receipt import NewReceipt
from recordfirst.events import matching
from tests.events.banking import TAKEN, banking, pay_in_doubt, returned
from tests.events.reversing import CHARGED, buy, reversing

KEY = "order:1:charge"


async def test_an_event_is_not_done_before_its_outcome_is_known(shop, monkeypatch):
    """P11: nothing can tell what became of the call, until an operator says; what the event tells is seen to then."""
    monkeypatch.setattr(matching, "WAIT_MS", (20,))
    async with banking(shop) as at:
        await at.app.start(pay_in_doubt, "1", id="1")
        TAKEN.append(returned())
        await at.event("e1", marker="shop/order:1:doubtful")
        await at.looks("e1", matching.LOOKS_MOST + 1)
        assert await at.states() == {"e1": "open"}
        await at.app.resolve("order:1:doubtful", outcome="succeeded", result="1")
        await at.over()
        assert await at.visits() == ["1 returned"]


async def test_an_event_about_a_call_that_the_record_has_lost_waits(shop, monkeypatch):
    """P7, P11: what is intended and was never called, by the record, and has an event: a restore has lost the call."""
    monkeypatch.setattr(matching, "WAIT_MS", (20,))
    async with banking(shop) as at:
        intent = NewReceipt(
            kind="effect", key="order:1:send", workflow="1", function="send", state="intended", fingerprint="f",
            request='{"order": "1"}',
        )  # fmt: skip
        async with at.app.runtime.record.transaction() as tx:
            await tx.add_receipts([intent])
        await at.event("e1", marker="shop/order:1:send")
        await at.looks("e1", 2)
        assert await at.states() == {"e1": "waiting"}


async def test_a_probe_that_does_not_answer_leaves_the_event_open(shop, monkeypatch):
    """P9, P11: a payment is pending, passes and is disputed, and Stripe is away as the events come."""
    monkeypatch.setattr(matching, "WAIT_MS", (200,))
    async with reversing(shop) as at:
        await at.app.start(buy, "1", "pm_card_threeDSecure2Required", id="1")

        async def pending() -> bool:
            found = await at.receipt(KEY)
            return found is not None and found.state == "pending"

        await at.until(pending)
        await at.taken_up()
        for _ in range(12):
            at.sim.next("error_before", on="GET /v1/payment_intents")
        [intent] = at.sim.api.books.intents
        at.sim.do("complete", intent)
        at.sim.do("dispute", intent, amount=400)
        await at.taken_up()
        assert (await at.visits(), await at.amount()) == (["1 disputed 400"], CHARGED - 400)
