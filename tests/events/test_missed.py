"""Events that never arrived are found by a reconcile that asks the provider, and taken up by its repair."""

from __future__ import annotations

import pytest

from recordfirst import Misuse, SignedEvents
from recordfirst.errors import NotDone
from recordfirst.reconcile.reconciler import PASSES
from tests.events.selling import sell, selling

ONLY = ("missed-events",)


async def sold(at) -> int:
    """A sale, half an hour ago by the provider's clock, of which no event came; return how many there were."""
    await (await at.app.start(sell, "1", "pm_card_visa", id="order:1")).result()
    for event in at.sim.events:
        event.created -= 1800
    return len(at.sim.events)


async def test_what_never_arrived_is_found_and_taken_up_once(shop):
    """P6, P11: the first look tells of each; the repair takes each up, and then there is nothing."""
    async with selling(shop, sends=False) as at:
        missed = await sold(at)
        told = await at.app.reconcile(only=ONLY)
        assert {each.finding.code for each in told.found} == {"RF-EVENT-MISSED"}
        assert {each.finding.subject for each in told.found} == {event.id for event in at.sim.events}
        assert await at.events() == {}
        repaired = await at.app.reconcile(apply=True, only=ONLY)
        assert len([each for each in repaired.found if each.repaired]) == missed
        await at.until(at.all_taken_up)
        assert (await at.app.reconcile(apply=True, only=ONLY)).found == []
        assert len(await at.events()) == missed
        assert await at.paid() == [("1", 5000)]


async def test_what_may_still_be_on_its_way_is_not_missed(shop):
    """P11: an event of a minute ago; that there is one is said."""
    async with selling(shop, sends=False) as at:
        await sold(at)
        young = at.sim.events[-1]
        young.created += 1800 - 60
        report = await at.app.reconcile(only=ONLY)
        assert young.id not in {each.finding.subject for each in report.found}
        [note] = report.notes
        assert note.startswith("missed-events: 1 more that have not arrived are younger than ten minutes")


async def test_only_what_is_asked_for_costs_a_request(shop):
    """A reconcile that names no pass asks no provider for its events."""
    async with selling(shop, sends=False) as at:
        await sold(at)
        assert (await at.app.reconcile(apply=True)).found == []


async def test_a_provider_that_does_not_list_closes_nothing(shop):
    """P11: what was found stays found."""
    async with selling(shop, sends=False, works=True) as at:
        await sold(at)
        async with at.app.runtime.record.session() as session:
            await session.saw_findings([each.finding for each in (await at.app.reconcile(only=ONLY)).found], "r1")
            before = {each.subject for each in await session.findings(100)}
        at.sim.next("error_before", on="GET /v1/events", times=10)
        with pytest.raises(NotDone, match="stripe did not list its events"):
            await at.app.reconcile(apply=True, only=ONLY)
        async with at.app.runtime.record.session() as session:
            assert {each.subject for each in await session.findings(100)} == before
        assert before


async def test_what_cannot_be_looked_at_is_said(shop):
    """P10: no events are taken in; a source cannot list; it lists for less long than is asked for."""
    async with shop.app() as app:
        [note] = (await app.reconcile(only=ONLY)).notes
        assert "the app takes in no events" in note
    async with selling(shop, sends=False) as at:
        at.app.events(SignedEvents("warehouse", secrets=["s"], header="X-Signature"))
        await sold(at)
        report = await at.app.reconcile(apply=True, only=ONLY, since_ms=1)
        assert report.notes == [
            "missed-events: warehouse: its events cannot be listed",
            "missed-events: stripe lists the events of 30 days; older ones were not seen",
        ]
        assert report.looked["missed-events"] == len(at.sim.events) > 0


async def test_a_provider_that_is_away_is_told_and_stops_no_other(shop):
    """P9, P11: what was listed before is taken up, and its audit row is there."""
    async with selling(shop, sends=False) as at:
        missed = await sold(at)
        at.sim.next("error_before", on="GET /v1/events", times=10)
        done = await at.app.operations.events.catch_up()
        assert (done.looked, done.missed, list(done.failed)) == ({}, [], ["stripe"])
        assert "stripe did not list its events: APIError" in done.failed["stripe"]
        at.sim.api.plan.orders.clear()
        done = await at.app.operations.events.catch_up(who="ann")
        assert (len(done.missed), done.failed) == (missed, {})
        assert [each.who for each in await at.app.look.audits()] == ["ann"]
        with pytest.raises(Misuse, match="stripe lists the events of 30 days"):
            await at.app.operations.events.catch_up(since_s=31 * 86_400)


def test_passes_say_which_of_them_take_a_time():
    assert {each.name for each in PASSES if each.dated} == {
        "epochs", "intents", "unknown", "pending", "providers", "missed-events",
    }  # fmt: skip
