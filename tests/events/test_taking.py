"""Events that come before the reply, twice, late, in another order, before their order, after the end: one outcome."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from stripe import StripeClient

from recordfirst import Keyring, Misuse, WorkflowFailed
from recordfirst.events import matching, taking
from recordfirst.observe import EventFailed, EventStopped
from recordfirst.testing import Delays, Faults, Sending
from tests.effects.cipher import Cipher
from tests.events.selling import Failing, look_into, note_dispute, sell, selling

THREE_D = "pm_card_threeDSecure2Required"


async def awaited(at, key: str = "order:1:charge") -> bool:
    found = await at.receipt(key)
    return found is not None and found.state == "pending"


async def test_an_event_settles_what_was_accepted_and_not_paid(shop):
    """P5, P11: 3-D Secure passes, and the order is paid at once, in the transaction of the receipt."""
    async with selling(shop) as at:
        handle = await at.app.start(sell, "1", THREE_D, id="1")
        await at.until(lambda: awaited(at))
        assert await at.paid() == [("1", 0)]
        [intent] = at.sim.api.books.intents
        at.sim.do("complete", intent)
        assert await handle.result() == intent
        assert await at.paid() == [("1", 5000)]
        await at.until(at.all_taken_up)
        assert set((await at.events()).values()) == {"done"}


async def test_an_event_that_says_no_is_a_decline(shop):
    """P5, P11: the customer does not pass 3-D Secure."""
    async with selling(shop) as at:
        handle = await at.app.start(sell, "1", THREE_D, id="1")
        await at.until(lambda: awaited(at))
        [intent] = at.sim.api.books.intents
        at.sim.do("fail", intent)
        with pytest.raises(WorkflowFailed, match="authentication"):
            await handle.result()
        assert (await at.paid(), (await at.receipt("order:1:charge")).state) == ([("1", 0)], "declined")


async def test_twice_late_and_in_another_order(shop):
    """P11: each event three times, some held back behind later ones: one row change each."""
    sending = Sending(seed=3, twice=1.0, held=0.5, held_s=0.15, delay_s=0.05)
    async with selling(shop, sending=sending) as at:
        handles = [await at.app.start(sell, str(n), THREE_D, id=str(n)) for n in range(5)]
        for n in range(5):
            await at.until(partial(awaited, at, f"order:{n}:charge"))
        for intent in list(at.sim.api.books.intents):
            at.sim.do("complete", intent)
        for handle in handles:
            await handle.result()
        await at.sim.sent_all()
        await at.until(at.all_taken_up)
        assert await at.paid() == [(str(n), 5000) for n in range(5)]
        assert at.endpoint.counts["new"] == len(at.sim.events)
        assert at.endpoint.counts["repeated"] >= len(at.sim.events)
        assert (len(at.sim.ledger().charges), len(await at.events())) == (5, len(at.sim.events))


async def test_before_the_reply(shop):
    """P11: the call is on its way when its events come, and its reply is lost: one charge, one outcome."""
    async with selling(shop, faults=Faults(slow_s=0.3, hang_s=0.5)) as at:
        at.sim.next("timeout_after_applying", on="POST /v1/payment_intents")
        handle = await at.app.start(sell, "1", "pm_card_visa", id="1")
        assert await handle.result() == next(iter(at.sim.api.books.intents))
        await at.sim.sent_all()
        await at.until(at.all_taken_up)
        assert (await at.paid(), len(at.sim.ledger().charges)) == ([("1", 5000)], 1)
        assert set((await at.events()).values()) == {"done"}


async def test_after_the_end_of_its_workflow(shop):
    """P11: what ended is not begun again, and its rows stay."""
    async with selling(shop, sends=False) as at:
        handle = await at.app.start(sell, "1", "pm_card_visa", id="1")
        await handle.result()
        at.sim.send_events_to(at.url + "/stripe/events")
        for event in at.sim.events:
            assert at.sim.webhooks is not None
            at.sim.webhooks.send(event)
        await at.sim.sent_all()
        await at.until(at.all_taken_up)
        assert (await at.paid(), len(at.sim.ledger().charges)) == ([("1", 5000)], 1)


async def test_before_its_order_exists(shop, monkeypatch):
    """P11: what names a call of ours without a receipt waits, and is matched when that comes."""
    monkeypatch.setattr(matching, "WAIT_MS", (50,))
    async with selling(shop) as at:
        options: Any = {"idempotency_key": "shop/order:1:charge"}
        params: Any = {"amount": 5000, "currency": "usd", "confirm": True, "payment_method": "pm_card_visa"}
        marked = params | {"metadata": {"recordfirst_key": "shop/order:1:charge"}}
        made = await at.client.v1.payment_intents.create_async(marked, options)  # as a record that was restored has it
        await at.sim.sent_all()

        async def waits() -> bool:
            return set((await at.events()).values()) == {"waiting"}

        await at.until(waits)
        handle = await at.app.start(sell, "1", "pm_card_visa", id="1")
        assert await handle.result() == made.id

        async def done() -> bool:
            return set((await at.events()).values()) == {"done"}

        await at.until(done)
        assert (await at.paid(), len(at.sim.ledger().charges)) == ([("1", 5000)], 1)


async def test_what_names_a_payment_alone_is_matched_by_asking(shop):
    """P11: a dispute has no marker of ours; the payment that it names does."""
    looked: list[tuple[str, str]] = []
    async with selling(shop, works=False, delays=Delays(dispute_s=0.05)) as at:
        async with at.app.worker() as worker:
            await worker.working.wait()
            await (await at.app.start(sell, "1", "pm_card_visa", id="1")).result()
        [intent] = at.sim.api.books.intents
        at.sim.do("dispute", intent)
        await at.sim.sent_all()

        async def look(receipt, event, now_ms) -> bool:
            looked.append((receipt.key, event.type))
            return True

        registered = at.app._registered
        providers = taking.providers_by_name(registered.effects)
        taker = taking.Taker(at.app.runtime, [], providers, look)
        while await taker.round(10):
            pass
        assert ("order:1:charge", "charge.dispute.created") in looked


async def test_what_is_another_programs_is_kept_and_left_alone(shop):
    """P11: events of objects that no call of ours made."""
    async with selling(shop) as at:
        params: Any = {"amount": 5000, "currency": "usd", "confirm": True, "payment_method": "pm_card_visa"}
        for metadata in ({}, {"recordfirst_key": "other/order:1:charge"}):
            await at.client.v1.payment_intents.create_async(params | {"metadata": metadata})
        await at.sim.sent_all()
        await at.until(at.all_taken_up)
        assert (len(await at.events()), set((await at.events()).values())) == (6, {"done"})


async def test_a_handler_writes_once_and_starts_workflows(shop):
    """P2, P11: its rows, its receipt and the workflow's start commit together; by what the provider has now."""
    sending = Sending(seed=1, twice=1.0, held=0.5)
    async with selling(shop, sending=sending, delays=Delays(dispute_s=0.05)) as at:
        await (await at.app.start(sell, "1", "pm_card_createDispute", id="1")).result()

        async def disputed() -> bool:
            return bool(at.sim.api.books.disputes.all._items)

        await at.until(disputed)
        [dispute] = at.sim.api.books.disputes.all
        await at.sim.sent_all()

        async def noted() -> bool:
            return len(await at.visits()) == 1

        await at.until(noted)
        assert await (await at.app.handle(f"dispute:{dispute.id}")).result() == dispute.id
        at.sim.do("lose_dispute", dispute.id)
        await at.sim.sent_all()

        async def closed() -> bool:
            return len(await at.visits()) == 2

        await at.until(closed)
        await at.until(at.all_taken_up)
        assert await at.visits() == ["charge.dispute.closed lost", "charge.dispute.created needs_response"]
        event = next(each for each in at.sim.events if each.type == "charge.dispute.created")
        receipt = await at.receipt(f"event:stripe:{event.id}/note_dispute")
        assert (receipt.kind, receipt.function, receipt.state) == ("write", "note_dispute", "succeeded")


async def test_a_handler_that_fails_is_tried_again(shop, monkeypatch):
    """P9, P11: its rows are rolled back each time, and once it succeeds they are there once."""
    monkeypatch.setattr(matching, "WAIT_MS", (20,))
    failing = Failing()
    async with selling(shop, handlers=[failing.handler]) as at:
        await (await at.app.start(sell, "1", "pm_card_visa", id="1")).result()

        async def tried() -> bool:
            return failing.runs >= 3

        await at.until(tried)
        assert await at.visits() == []
        failing.fails = False
        await at.until(at.all_taken_up)
        created = next(each for each in at.sim.events if each.type == "payment_intent.created")
        assert (await at.visits(), (await at.events())[created.id]) == ([created.id], "done")
        assert shop.seen(EventFailed)[0].event == created.id


async def test_a_handler_that_fails_too_often_is_stopped(shop, monkeypatch):
    """P9, P11: visibly, with what it said; replayed, it runs."""
    monkeypatch.setattr(matching, "WAIT_MS", (5,))
    failing = Failing()
    async with selling(shop, handlers=[failing.handler]) as at:
        await (await at.app.start(sell, "1", "pm_card_visa", id="1")).result()
        await at.sim.sent_all()
        await at.until(at.all_taken_up)
        created = next(each for each in at.sim.events if each.type == "payment_intent.created")
        assert (await at.events())[created.id] == "stopped"
        assert (failing.runs, await at.visits()) == (matching.TRIES_MOST, [])
        assert [each.event for each in shop.seen(EventStopped)] == [created.id]


async def test_what_never_arrived_is_caught_up_with(shop):
    """P7, P11: every event is lost on its way; the provider is asked for them, and what it says settles the order."""
    async with selling(shop, sending=Sending(lost=1.0)) as at:
        handle = await at.app.start(sell, "1", THREE_D, id="1")
        await at.until(lambda: awaited(at))
        [intent] = at.sim.api.books.intents
        at.sim.do("complete", intent)
        asked = at.app.operations.events
        planned = await asked.catch_up(since_s=3600, dry_run=True)
        assert (len(planned.missed), await at.events()) == (4, {})
        done = await asked.catch_up(since_s=3600, who="ann", why="the endpoint was down")
        assert (done.looked, sorted(done.missed)) == ({"stripe": 4}, sorted(planned.missed))
        assert await handle.result() == intent
        assert (await asked.catch_up(since_s=3600)).missed == []
        async with at.app.runtime.record.session() as session:
            assert [(audit.who, audit.command) for audit in await session.audits("shop", 10)] == [("ann", "events")]


async def test_a_stopped_event_is_found_and_replayed(shop, monkeypatch):
    """P9, P10: a reconcile finds it, a replay has it taken up, and the finding closes."""
    monkeypatch.setattr(matching, "WAIT_MS", (5,))
    failing = Failing()
    async with selling(shop, handlers=[failing.handler]) as at:
        await (await at.app.start(sell, "1", "pm_card_visa", id="1")).result()
        await at.sim.sent_all()
        await at.until(at.all_taken_up)
        [found] = (await at.app.reconcile(apply=True, only=["events"])).found
        created = next(each for each in at.sim.events if each.type == "payment_intent.created")
        assert (found.finding.code, found.finding.subject) == ("RF-EVENT-STOPPED", created.id)
        assert "the order is not there yet" in found.finding.detail
        failing.fails = False
        await at.app.operations.events.replay(created.id, why="fixed")
        await at.until(at.all_taken_up)
        assert (await at.visits(), (await at.events())[created.id]) == ([created.id], "done")
        await at.app.operations.events.replay(created.id)
        await at.until(at.all_taken_up)
        assert await at.visits() == [created.id]
        with pytest.raises(Misuse, match="no events"):
            await at.app.operations.events.replay("evt_none")


async def test_bodies_are_covered_and_resealed(shop):
    """P10: with an encryptor an event's body is not in clear, a handler reads it, and a new key is brought to it."""
    old, new = Cipher("old"), Cipher("new")
    async with selling(shop, encryptor=Keyring({"1": old}), handlers=[note_dispute]) as at:
        await (await at.app.start(sell, "1", "pm_card_visa", id="1")).result()
        [intent] = at.sim.api.books.intents
        at.sim.do("dispute", intent)
        await at.sim.sent_all()
        await at.until(at.all_taken_up)
        assert await at.visits() == ["charge.dispute.created needs_response"]
        assert not [each for each in await at.app.operations.events.newest() if "dispute" in (each.body or "")]
    async with shop.app(
        sell, look_into, encryptor=Keyring({"2": new, "1": old}), provide={StripeClient: at.client}
    ) as app:
        done = await app.reseal()
        assert done.resealed["event"] == len(at.sim.events)
    async with shop.app(sell, look_into, encryptor=Keyring({"2": new}), provide={StripeClient: at.client}) as app:
        [first, *_] = await app.operations.events.newest()
        assert '"evt_sim' in app.runtime.unseal(first.body or "")
