"""Whose a reversal is: of which receipt, of which provider, and that it counts once."""

from __future__ import annotations

from typing import Any

import pytest
from stripe import StripeClient

from recordfirst import Call, Context, Reversal, Write, effect, inject, workflow
from recordfirst.errors import NotDone
from recordfirst.execution.reversals import Reversals
from recordfirst.providers.stripe import METADATA_KEY, Stripe
from recordfirst.reconcile.passes import providers as auditing
from tests.events.banking import TAKEN, banking, pay, pay_elsewhere, pay_part, returned, send, send_part
from tests.events.reversing import CHARGED, WORKFLOWS, reversing


async def test_two_providers_may_number_alike(shop):
    """P11: both have a transfer "1"; what takes back that of one is told to the effect of that one."""
    async with banking(shop) as at:
        await (await at.app.start(pay, "1", id="1")).result()
        await (await at.app.start(pay_elsewhere, "1", "1", id="other")).result()
        TAKEN.append(returned())
        await at.event("e1", transfer="1")
        await at.over()
        assert await at.visits() == ["1 sent returned 30"]


async def test_what_another_provider_has_by_that_number_is_not_our_refund(shop):
    """P11: the bank's refund "7" is nobody's of ours, although a call of ours has made the other's transfer "7"."""
    async with banking(shop) as at:
        await (await at.app.start(pay, "1", id="1")).result()
        await (await at.app.start(pay_elsewhere, "1", "7", id="other")).result()
        TAKEN.append(returned("7", how="refund"))
        await at.event("e1", transfer="1")
        await at.over()
        assert await at.visits() == ["1 sent refunded 30"]


async def test_what_comes_of_a_dispute_is_told_where_the_dispute_was(shop):
    """P11: one payment is taken in two parts; the later part has neither the facts of before again, nor their end."""
    async with banking(shop) as at:
        await (await at.app.start(pay_part, "1", 1, id="1")).result()
        TAKEN.append(returned("dp", how="dispute"))
        await at.event("e1", transfer="1")
        await at.over()
        await (await at.app.start(pay_part, "1", 2, id="2")).result()
        TAKEN[:] = [returned("dp", "ended", "dispute")]
        await at.event("e2", transfer="1")
        await at.over()
        assert await at.visits() == ["1 1 dispute_won", "1 1 disputed"]


@effect(key="order:{order}:dict", provider=Stripe(lag_s=0.0), after=None)
async def refund_as_stripe_says(
    call: Call, order: str, payment: str, *, stripe: StripeClient = inject()
) -> dict[str, Any]:
    params: Any = {"payment_intent": payment, "amount": 300, "metadata": {METADATA_KEY: call.marker}}
    made = await stripe.v1.refunds.create_async(params, {"idempotency_key": call.key})
    return {"id": made.id, "charge": made.charge, "amount": made.amount}


@refund_as_stripe_says.on_reversal
async def note_back(w: Write[Any], order: str, reversal: Reversal) -> None:
    await w.tx.execute(f"INSERT INTO visits (who) VALUES ('{order} back {reversal.kind} {reversal.amount_minor}')")


@workflow
async def give_back_as_said(ctx: Context, order: str, payment: str) -> str:
    return str((await refund_as_stripe_says(ctx, order, payment))["id"])


async def test_a_refund_whose_result_names_its_charge_is_a_refund(shop):
    """P11: a dispute of the payment is told to the charge, and that the refund failed to the refund."""
    async with reversing(shop, workflows=(*WORKFLOWS, give_back_as_said)) as at:
        payment = await at.buy()
        made = await (await at.app.start(give_back_as_said, "1", payment, id="back")).result()
        at.sim.do("dispute", payment, amount=400)
        at.sim.do("fail_refund", made)
        await at.taken_up()
        assert await at.visits() == ["1 back failed 300", "1 disputed 400"]


async def test_an_audit_finds_that_a_refund_by_hand_has_failed(shop, monkeypatch):
    """P6, P11: no event told it, and of the payment nothing is refunded now, as if nothing had been."""
    monkeypatch.setattr(auditing, "_SETTLING_MS", -3_000)
    async with reversing(shop, sends=False) as at:
        made = at.sim.do("refund", await at.buy(), amount=700)
        await at.app.reconcile(apply=True, only=["providers"])
        assert (await at.visits(), await at.amount()) == (["1 refunded 700"], CHARGED - 700)
        at.sim.do("fail_refund", made.id)
        await at.app.reconcile(apply=True, only=["providers"])
        assert (await at.visits(), await at.amount()) == (["1 refund_failed 700", "1 refunded 700"], CHARGED)


@pytest.mark.parametrize("order", [("1", "2"), ("2", "1")])
async def test_an_audit_finds_nothing_new_in_what_is_stored_for_another_part(shop, order):
    """P6: each fact is stored once, for one of the receipts of a payment: it is no finding that another lacks it."""
    async with banking(shop) as at:
        await (await at.app.start(pay_part, "1", int(order[0]), id="1")).result()
        TAKEN.append(returned())
        await at.event("e1", transfer="1")
        await at.over()
        await (await at.app.start(pay_part, "1", int(order[1]), id="2")).result()
        kept = Reversals(at.app.runtime, {send_part.name: send_part})
        for part in (1, 2):
            asked = await kept.compared(await at.receipt(f"order:1:part:{part}"))
            assert asked is not None
            assert (asked.comparison.new, asked.comparison.differs) == ([], [])


async def test_what_was_collected_meanwhile_gets_no_fact(shop, monkeypatch):
    """P11: its workflow is collected between the look and the store: no row is left behind that nothing collects."""
    monkeypatch.setattr("recordfirst.operations.gc._OWN_GUARD_S", 0)
    async with banking(shop) as at:
        await (await at.app.start(pay, "1", id="1")).result()
        TAKEN.append(returned())
        kept = Reversals(at.app.runtime, {send.name: send})
        receipt = await at.receipt("order:1:send")
        asked = await kept.compared(receipt)
        assert asked is not None
        assert (await at.app.collect(older_than_s=0)).collected == 1
        with pytest.raises(NotDone, match="collected meanwhile"):
            await kept.store(asked.owner, asked.comparison.new[0], "evt_1")
        async with at.app.runtime.record.session() as session:
            assert (await kept.of(session, receipt), await at.visits()) == ([], [])
