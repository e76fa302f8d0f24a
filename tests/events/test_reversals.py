"""What has succeeded is taken back: by others, a dispute, a bank. One row change for each, whatever comes when."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from stripe import StripeClient

from recordfirst import Call, Context, Keyring, Misuse, Pending, Provider, Reversal, Write, effect, inject, workflow
from recordfirst.core import reversal as core
from recordfirst.execution.reversals import Reversals
from recordfirst.observe import ReversalFailed, ReversalStopped
from recordfirst.providers.stripe import METADATA_KEY, PAYMENT_INTENTS, Payment, Stripe, payment_of
from recordfirst.reconcile.passes import providers as auditing
from recordfirst.testing import Delays, Faults, Sending
from tests.effects.cipher import Cipher
from tests.events.reversing import (
    CHARGED,
    WORKFLOWS,
    Bookkeeping,
    buy,
    buy_in_vain,
    charge,
    give_back,
    give_back_bare,
    note,
    refund,
    reversing,
)

KEY = "order:1:charge"


async def test_refunds_of_others_are_told_one_by_one(shop):
    """P2, P11: each in a transaction with its rows, by amount; the receipt of the charge is as it was."""
    async with reversing(shop) as at:
        payment = await at.buy()
        before = await at.receipt(KEY)
        at.sim.do("refund", payment, amount=700)
        at.sim.do("refund", payment, amount=500)
        await at.taken_up()
        assert await at.visits() == ["1 refunded 500", "1 refunded 700"]
        assert (await at.amount(), await at.receipt(KEY)) == (CHARGED - 1200, before)
        assert await at.stored() == [(KEY, 1, "refunded", 700, "note"), (KEY, 2, "refunded", 500, "note")]
        assert (await at.app.reconcile(apply=True)).found == []


async def test_twice_late_and_in_another_order(shop):
    """P11: each event three times, held back behind later ones: a dispute that was won is told as opened, then won."""
    sending = Sending(seed=3, twice=1.0, held=0.5, held_s=0.15, delay_s=0.05)
    async with reversing(shop, sending=sending) as at:
        payment = await at.buy()
        at.sim.do("refund", payment, amount=700)
        dispute = at.sim.do("dispute", payment, amount=1000)
        at.sim.do("win_dispute", dispute.id)
        await at.taken_up()
        stored = [row[2:] for row in await at.stored()]
        assert sorted(stored) == [("dispute_won", 1000, "note"), ("disputed", 1000, "note"), ("refunded", 700, "note")]
        assert stored.index(("disputed", 1000, "note")) < stored.index(("dispute_won", 1000, "note"))
        assert (len(await at.visits()), await at.amount()) == (3, CHARGED - 700)


@pytest.mark.parametrize(("deed", "kind", "left"), [("win_dispute", "won", CHARGED), ("lose_dispute", "lost", 0)])
async def test_a_dispute_and_what_becomes_of_it(shop, deed, kind, left):
    """P11: opened, then won or lost; by the dispute's own id, of which only the payment was known first."""
    async with reversing(shop) as at:
        dispute = at.sim.do("dispute", await at.buy())
        await at.taken_up()
        assert (await at.visits(), await at.amount()) == ([f"1 disputed {CHARGED}"], 0)
        async with at.app.runtime.record.session() as session:
            assert await session.referred_to(dispute.id) == [(KEY, 1)]
            assert set(await session.references_of(KEY, 1)) == {"payment_intent", "charge", "disputed"}
        at.sim.do(deed, dispute.id)
        await at.taken_up()
        assert (len(await at.visits()), await at.amount()) == (2, left)
        assert f"1 dispute_{kind} {CHARGED}" in await at.visits()


async def test_a_debit_that_the_bank_returns(shop):
    """P11: days after it had succeeded, and told by Stripe as a dispute. An inquiry moves no money, and is none."""
    async with reversing(shop, delays=Delays(dispute_s=0.05)) as at:
        at.sim.do("dispute", await at.buy("1"), reason="insufficient_funds")
        await at.buy("2", "pm_card_createDisputeInquiry")
        await at.until(lambda: _disputed(at, 2))
        await at.taken_up()
        assert (await at.visits(), await at.amount("2")) == ([f"1 returned {CHARGED}"], CHARGED)


async def _disputed(at: Any, count: int) -> bool:
    return len(list(at.sim.api.books.disputes.all)) == count


async def test_refunds_of_our_own_are_none(shop):
    """P3, P11: by their marker, by the id that their receipt has, by the key of their call; an undo's, too."""
    async with reversing(shop) as at:
        payment = await at.buy()
        await (await at.app.start(give_back, "1", 1, payment, 300, id="back")).result()
        await (await at.app.start(give_back_bare, "1", payment, 200, id="bare")).result()
        with pytest.raises(Exception, match="nothing is left"):
            await (await at.app.start(buy_in_vain, "2", "pm_card_visa", id="2")).result()
        await at.taken_up()
        assert len(list(at.sim.api.books.refunds.all)) == 3
        assert (await at.visits(), await at.stored()) == ([], [])
        assert (await at.app.reconcile(apply=True, only=["providers"])).found == []
        at.sim.do("refund", payment, amount=100)
        await at.taken_up()
        assert await at.visits() == ["1 refunded 100"]


async def test_a_refund_of_ours_whose_reply_is_lost(shop):
    """P3, P11: it left no marker, and nobody knows what became of the call: it is not taken for somebody else's. A
    dispute that comes meanwhile is told at once.
    """
    async with reversing(shop, faults=Faults(slow_s=0.3, hang_s=2.0)) as at:
        payment = await at.buy()
        await at.taken_up()
        at.sim.next("timeout_after_applying", on="POST /v1/refunds")
        handle = await at.app.start(give_back_bare, "1", payment, 200, id="bare")
        await at.until(lambda: _refunded(at))
        at.sim.do("dispute", payment, amount=100)
        await at.until(lambda: _stored(at, 1))
        assert (await at.receipt("order:1:bare")).state == "intended"
        assert await handle.result() == next(iter(at.sim.api.books.refunds.all)).id
        await at.taken_up()
        assert await at.visits() == ["1 disputed 100"]


async def _refunded(at: Any) -> bool:
    return bool(list(at.sim.api.books.refunds.all))


async def test_a_refund_of_ours_that_fails_after_it_had_succeeded(shop):
    """P11: the fact is of the refund's receipt, and stays beside it; the charge has none."""
    async with reversing(shop) as at:
        payment = await at.buy()
        made = await (await at.app.start(give_back, "1", 1, payment, 300, id="back")).result()
        before = await at.receipt("order:1:refund:1")
        at.sim.do("fail_refund", made)
        await at.taken_up()
        assert await at.visits() == ["1 refund failed 300"]
        assert await at.stored() == [("order:1:refund:1", 1, "failed", 300, "note_failed")]
        assert await at.receipt("order:1:refund:1") == before


async def test_an_undo_that_fails_after_it_had_succeeded(shop):
    """P11: it has no on_reversal, so it is a finding, and nothing is silent."""
    async with reversing(shop) as at:
        with pytest.raises(Exception, match="nothing is left"):
            await (await at.app.start(buy_in_vain, "1", "pm_card_visa", id="1")).result()
        [made] = at.sim.api.books.refunds.all
        at.sim.do("fail_refund", made.id)
        await at.taken_up()
        assert (await at.visits(), await at.stored()) == ([], [("order:1:undo", 1, "failed", CHARGED, None)])
        [found] = (await at.app.reconcile(apply=True)).found
        assert (found.finding.code, found.finding.workflow) == ("RF-REVERSAL-UNHANDLED", "1")
        assert found.finding.subject == f"order:1:undo/failed/{made.id}"
        assert "had no on_reversal" in found.finding.detail


async def test_before_the_reply(shop):
    """P11: it is disputed and refunded while its own call hangs: told once that has succeeded."""
    async with reversing(shop, faults=Faults(slow_s=0.3, hang_s=0.5)) as at:
        at.sim.next("timeout_after_applying", on="POST /v1/payment_intents")
        handle = await at.app.start(buy, "1", "pm_card_visa", id="1")
        await at.until(lambda: _has_intent(at))
        [intent] = at.sim.api.books.intents
        at.sim.do("refund", intent, amount=700)
        assert await handle.result() == intent
        await at.taken_up()
        assert (await at.visits(), await at.amount()) == (["1 refunded 700"], CHARGED - 700)


async def _has_intent(at: Any) -> bool:
    return bool(at.sim.api.books.intents)


async def test_events_that_never_came_are_found_by_an_audit(shop, monkeypatch):
    """P6, P11: refund, dispute, and our refund that failed; with --apply each is stored, with its rows, once."""
    monkeypatch.setattr(auditing, "_SETTLING_MS", -3_000)
    async with reversing(shop, sends=False) as at:
        payment = await at.buy()
        made = await (await at.app.start(give_back, "1", 1, payment, 300, id="back")).result()
        assert (await at.app.reconcile(only=["providers"])).found == []
        at.sim.do("refund", payment, amount=700)
        at.sim.do("fail_refund", made)
        at.sim.do("dispute", payment, amount=1000)
        seen = await at.app.reconcile(only=["providers"])
        assert sorted((each.finding.code, each.finding.subject) for each in seen.found) == [
            ("RF-EFFECT-REVERSED", KEY), ("RF-EFFECT-REVERSED", "order:1:refund:1"),
        ]  # fmt: skip
        assert await at.stored() == []
        await at.app.reconcile(apply=True, only=["providers"])
        assert await at.visits() == ["1 disputed 1000", "1 refund failed 300", "1 refunded 700"]
        assert await at.amount() == CHARGED - 1700
        assert (await at.app.reconcile(apply=True, only=["providers"])).found == []
        assert len(await at.stored()) == 3


async def test_a_handler_that_fails_is_tried_again(shop, monkeypatch):
    """P9, P11: its rows are rolled back, the fact stays, later ones wait for it; then each is there once."""
    monkeypatch.setattr(core, "WAIT_MS", (1_500,))
    async with reversing(shop) as at:
        payment = await at.buy()
        Bookkeeping.fails = True
        dispute = at.sim.do("dispute", payment)
        await at.until(lambda: _stored(at, 1))
        at.sim.do("win_dispute", dispute.id)
        await at.until(lambda: _stored(at, 2))
        assert (await at.visits(), {each.kind for each in shop.seen(ReversalFailed)}) == ([], {"disputed"})
        Bookkeeping.fails = False
        await at.until(lambda: _handled(at, 2))
        assert await at.stored() == [
            (KEY, 1, "disputed", CHARGED, "note"), (KEY, 2, "dispute_won", CHARGED, "note"),
        ]  # fmt: skip
        assert (await at.amount(), len(await at.visits())) == (CHARGED, 2)


async def _stored(at: Any, count: int) -> bool:
    return len(await at.stored()) >= count


async def _handled(at: Any, count: int) -> bool:
    return sum(row[-1] is not None for row in await at.stored()) == count


async def refunded_in_vain(at: Any) -> None:
    """Of 5000 that were paid 700 are refunded by somebody else, and the on_reversal fails."""
    payment = await at.buy()
    Bookkeeping.fails = True
    at.sim.do("refund", payment, amount=700)


async def test_a_handler_that_fails_too_often_is_stopped(shop, monkeypatch):
    """P9, P10: with a finding that says why, from that moment on."""
    monkeypatch.setattr(core, "WAIT_MS", (5,))
    async with reversing(shop) as at:
        await refunded_in_vain(at)

        async def stopped() -> bool:
            return bool(shop.seen(ReversalStopped))

        await at.until(stopped)
        assert (await at.visits(), await at.amount()) == ([], CHARGED)
        [kept] = await at.app.look.findings()  # at once, before any reconcile
        [found] = (await at.app.reconcile(apply=True)).found
        assert (found.finding.code, found.begun, found.is_new) == ("RF-REVERSAL-UNHANDLED", None, False)
        assert found.finding.detail.endswith("on_reversal failed 8 times: LookupError: no books today")
        assert (kept.subject, kept.detail) == (found.finding.subject, found.finding.detail)


async def test_a_stopped_handler_that_is_tried_again_stays_a_finding_until_it_has_run(shop, monkeypatch):
    """P10: an operator has it tried again, a worker does not by itself; as long as it fails, it is found."""
    monkeypatch.setattr(core, "WAIT_MS", (5,))
    async with reversing(shop) as at:
        await refunded_in_vain(at)
        await at.until(lambda: _found(at))
        monkeypatch.setattr(core, "WAIT_MS", (2_000,))
        report = await at.app.reconcile(apply=True, only=["reversals"])
        assert [(each.repaired, each.begun) for each in report.found] == [(None, "a worker tries its on_reversal")]
        assert len(report.left) == 1
        await at.until(lambda: _failed(at, 1))
        [found] = (await at.app.reconcile(apply=True)).found
        assert found.finding.detail.endswith("failed 1 times: LookupError: no books today; a worker tries it")
        assert len(await at.app.look.findings()) == 1
        Bookkeeping.fails = False
        await at.until(lambda: _handled(at, 1))
        assert (await at.visits(), await at.amount()) == (["1 refunded 700"], CHARGED - 700)
        assert ((await at.app.reconcile(apply=True)).found, await at.app.look.findings()) == ([], [])
        [closed] = await at.app.look.findings(closed=True)
        assert closed.closed_because == "handled by note"


async def _found(at: Any) -> bool:
    return bool(await at.app.look.findings())


async def _failed(at: Any, times: int) -> bool:
    return [each.tries for each in await at.app.look.unhandled()] == [times]


async def test_a_handler_that_is_being_tried_is_seen(shop, monkeypatch):
    """P10: in the counts, with its error, place and next time; asked for by name, or late, it is a finding."""
    monkeypatch.setattr(core, "WAIT_MS", (60_000,))
    async with reversing(shop) as at:
        await refunded_in_vain(at)
        await at.until(lambda: _failed(at, 1))
        seen = (await at.app.look.overview()).counts
        assert (seen["reversal.open"], seen["reversal.stopped"]) == (1, 0)
        [waits] = await at.app.look.unhandled()
        assert waits.next_at_ms is not None
        assert waits.next_at_ms - waits.seen_at_ms > 50_000
        error = at.app.look.reversal_error(waits) or {}
        assert error["reason"] == "LookupError: no books today"
        assert re.fullmatch(r".*reversing\.py:\d+, in note", error["at"])
        [told] = shop.seen(ReversalFailed)
        assert (told.cause, told.at) == (error["reason"], error["at"])
        assert (await at.app.reconcile()).found == []  # it may pass by itself
        [found] = (await at.app.reconcile(only=["reversals"])).found
        monkeypatch.setattr(core, "LATE_MS", 0)
        [late] = (await at.app.reconcile(apply=True)).found
        assert late.finding == found.finding
        assert late.finding.detail.endswith("failed 1 times: LookupError: no books today; a worker tries it")


async def test_one_that_is_dismissed_is_not_tried(shop, monkeypatch):
    """P10, P11: an operator has put the rows right by hand; a handler that waits would do it a second time."""
    monkeypatch.setattr(core, "WAIT_MS", (300,))
    monkeypatch.setattr(core, "LATE_MS", 0)
    async with reversing(shop) as at:
        payment = await at.buy()
        Bookkeeping.fails = True
        dispute = at.sim.do("dispute", payment)
        await at.until(lambda: _failed(at, 1))
        [found] = (await at.app.reconcile(apply=True)).found
        what = ("RF-REVERSAL-UNHANDLED", found.finding.subject)
        assert (await at.app.dismiss(*what, why="by hand", who="ann", dry_run=True)).changed
        assert [each.next_at_ms is None for each in await at.app.look.unhandled()] == [False]
        await at.app.dismiss(*what, why="by hand", who="ann")
        Bookkeeping.fails = False
        at.sim.do("win_dispute", dispute.id)
        await at.until(lambda: _handled(at, 2))
        assert [row[2:] for row in await at.stored()] == [
            ("disputed", CHARGED, "dismissed by ann"), ("dispute_won", CHARGED, "note"),
        ]  # fmt: skip
        assert await at.visits() == [f"1 dispute_won {CHARGED}"]
        assert ((await at.app.reconcile(apply=True)).found, await at.app.look.unhandled()) == ([], [])


async def test_where_a_handler_fails_is_logged(shop, monkeypatch, caplog):
    """P9: with the stack, when it fails first and when it is stopped."""
    monkeypatch.setattr(core, "WAIT_MS", (5,))
    async with reversing(shop) as at:
        await refunded_in_vain(at)
        await at.until(lambda: _found(at))
    logged = [each.getMessage() for each in caplog.records if "on_reversal failed for refunded" in each.getMessage()]
    assert len(logged) == 2
    assert all("in note\n" in each for each in logged)
    assert {each.at for each in shop.seen(ReversalStopped)} == {each.at for each in shop.seen(ReversalFailed)}


async def test_without_a_handler_it_is_a_finding(shop, monkeypatch):
    """P10, P11: stored, told, and dismissed; a handler of a later version does not run for what was seen to."""
    async with reversing(shop) as at:
        payment = await at.buy()
        with monkeypatch.context() as patch:
            patch.setattr(charge, "reversal", None)
            at.sim.do("refund", payment, amount=700)
            await at.taken_up()
            [kept] = await at.app.look.findings()  # at once, before any reconcile
            [found] = (await at.app.reconcile(apply=True)).found
            assert (found.finding.code, found.repaired, found.is_new) == ("RF-REVERSAL-UNHANDLED", None, False)
            assert (kept.subject, kept.detail) == (found.finding.subject, found.finding.detail)
            assert f"refunded {next(iter(at.sim.api.books.refunds.all)).id} of 700 usd" in found.finding.detail
        await at.app.dismiss("RF-REVERSAL-UNHANDLED", found.finding.subject, why="put right by hand", who="ann")
        again = await at.app.reconcile(apply=True, only=["reversals"])
        assert (again.found, await at.visits()) == ([], [])
        assert await at.stored() == [(KEY, 1, "refunded", 700, "dismissed by ann")]
        at.sim.do("refund", payment, amount=100)
        await at.taken_up()
        assert await at.visits() == ["1 refunded 100"]


async def test_a_provider_that_does_not_answer_is_asked_again(shop, monkeypatch):
    """P9, P11: the event is not done before somebody has looked."""
    monkeypatch.setattr("recordfirst.events.matching.WAIT_MS", (20,))
    async with reversing(shop) as at:
        payment = await at.buy()
        await at.taken_up()
        for _ in range(14):
            at.sim.next("error_before", on="GET /v1/refunds")
        at.sim.do("refund", payment, amount=700)
        await at.taken_up()
        assert await at.visits() == ["1 refunded 700"]


@effect(key="order:{order}:held", provider=Stripe(lag_s=0.0), after=None)
async def authorise(call: Call, order: str, *, stripe: StripeClient = inject()) -> Payment | Pending:
    params: Any = {"amount": CHARGED, "currency": "usd", "confirm": True, "payment_method": "pm_card_visa"}
    made = await stripe.v1.payment_intents.create_async(
        params | {"capture_method": "manual", "metadata": {METADATA_KEY: call.marker}}, {"idempotency_key": call.key}
    )
    return payment_of(made, authorised=True)


@effect(key="order:{order}:taken", provider=Stripe(lag_s=0.0), after=None)
async def capture(call: Call, order: str, payment: str, *, stripe: StripeClient = inject()) -> Payment | Pending:
    return payment_of(await stripe.v1.payment_intents.capture_async(payment, {}, {"idempotency_key": call.key}))


@capture.on_reversal
async def note_captured(w: Write[Any], order: str, reversal: Reversal) -> None:
    await w.tx.execute(f"INSERT INTO visits (who) VALUES ('{order} {reversal.kind} {reversal.amount_minor}')")


@workflow
async def hold_and_take(ctx: Context, order: str) -> str:
    held = await authorise(ctx, order)
    return (await capture(ctx, order, held.id)).id


async def test_of_two_receipts_of_one_payment_one_has_the_fact(shop):
    """P11: authorised by one call and captured by another; what names either is told once, to the one that listens."""
    async with reversing(shop, workflows=(hold_and_take,)) as at:
        payment = await (await at.app.start(hold_and_take, "1", id="1")).result()
        at.sim.do("dispute", payment, amount=400)
        at.sim.do("refund", await at_another(at), amount=1)
        await at.taken_up()
        assert await at.visits() == ["1 disputed 400"]
        assert await at.stored() == [("order:1:taken", 1, "disputed", 400, "note_captured")]


async def at_another(at: Any) -> str:
    """A payment that no call of the app has made."""
    params: Any = {"amount": 900, "currency": "usd", "confirm": True, "payment_method": "pm_card_visa"}
    return str((await at.client.v1.payment_intents.create_async(params)).id)


async def test_two_workers_store_it_once(shop):
    """P2, P11: both look at once: one fact, one row change."""
    async with reversing(shop, sends=False) as at:
        payment = await at.buy()
        at.sim.do("refund", payment, amount=700)
        kept = Reversals(at.app.runtime, {charge.name: charge, refund.name: refund})
        receipt = await at.receipt(KEY)
        looks = [seen for _ in range(4) if (seen := await kept.compared(receipt)) is not None]
        await asyncio.gather(*(kept.store(seen.owner, seen.comparison.new[0], "evt_1") for seen in looks))
        assert (await at.visits(), len(await at.stored())) == (["1 refunded 700"], 1)


def test_what_takes_no_reversal_is_refused():
    """P8: an on_reversal that does not take what was taken back, or something else by that name."""
    buy = effect(key="order:{order}", provider=Stripe(listing=PAYMENT_INTENTS), after=None)(_bought)
    with pytest.raises(Misuse, match="reversal: Reversal"):

        @buy.on_reversal
        async def deaf(w: Write[Any], order: str) -> None: ...

    with pytest.raises(Misuse, match="reversal: Reversal"):

        @buy.on_reversal
        async def wrong(w: Write[Any], order: str, payment: Payment) -> None: ...


def test_of_a_provider_that_tells_of_none_it_is_refused():
    """P8: nobody would ever call it, and nobody would see that."""
    bought = effect(key="order:{order}", provider=Provider(name="bank"), after=None)(_bought)
    with pytest.raises(Misuse, match="provider 'bank' has no taken_back"):
        bought.on_reversal(note)


async def _bought(call: Call, order: str) -> str:
    return order


async def test_they_are_shown_beside_their_receipt(shop):
    """P10: what was taken back, and whose code has dealt with it."""
    async with reversing(shop) as at:
        at.sim.do("refund", await at.buy(), amount=700)
        await at.taken_up()
        [seen] = await at.app.look.reversals(await at.receipt(KEY))
        assert (seen.kind, seen.amount_minor, seen.currency, seen.handled_by) == ("refunded", 700, "usd", "note")
        assert seen.found_by in await at.events()


async def test_they_are_collected_with_their_workflow(shop, monkeypatch):
    """P3: not before its handler has run, or is given up."""
    monkeypatch.setattr(core, "WAIT_MS", (2_000,))
    monkeypatch.setattr("recordfirst.operations.gc._OWN_GUARD_S", 0)
    async with reversing(shop) as at:
        await refunded_in_vain(at)
        await at.until(lambda: _stored(at, 1))
        assert (await at.app.collect(older_than_s=0)).left == {"reversal": 1}
        Bookkeeping.fails = False
        await at.until(lambda: _handled(at, 1))
        await at.taken_up()
        assert (await at.app.collect(older_than_s=0)).collected == 1
        assert await at.stored() == []


async def test_why_a_handler_failed_is_covered_and_resealed(shop, monkeypatch):
    """P10: with an encryptor the reason is not in clear, is shown, and is brought under a new key."""
    monkeypatch.setattr(core, "WAIT_MS", (5,))
    old, new = Cipher("old"), Cipher("new")
    async with reversing(shop, encryptor=Keyring({"1": old})) as at:
        Bookkeeping.fails = True
        at.sim.do("refund", await at.buy(), amount=700)

        async def stopped() -> bool:
            return bool(shop.seen(ReversalStopped))

        await at.until(stopped)
        [seen] = await at.app.look.reversals(await at.receipt(KEY))
        assert "no books" not in (seen.error or "")
        provide = {StripeClient: at.client}
        async with shop.app(*WORKFLOWS, encryptor=Keyring({"2": new, "1": old}), provide=provide) as app:
            assert (await app.reseal()).resealed["reversal"] == 1
        async with shop.app(*WORKFLOWS, encryptor=Keyring({"2": new}), provide=provide) as app:
            [found] = (await app.reconcile(only=["reversals"])).found
            assert "no books today" in found.finding.detail
