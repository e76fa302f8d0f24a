"""Events that never arrived are found by a reconcile that asks the provider, and taken up by its repair."""

from __future__ import annotations

import pytest

from recordfirst.errors import NotDone
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
    """P11: an event of a minute ago."""
    async with selling(shop, sends=False) as at:
        await sold(at)
        young = at.sim.events[-1]
        young.created += 1800 - 60
        assert young.id not in {each.finding.subject for each in (await at.app.reconcile(only=ONLY)).found}


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
