"""Thin events hold no object, so what they are about is asked for. With the snapshot event of a fact they are one."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any, get_args

import aiohttp
import pytest
import stripe
from stripe import StripeClient

from recordfirst import Misuse, ProviderEvent, Write, on_event
from recordfirst.core.event import EventNames
from recordfirst.providers.stripe import Stripe, StripeEvents
from recordfirst.testing import Sending
from recordfirst.testing.stripe.objects import StripeEvent
from recordfirst.testing.stripe.sending import signature, thin
from tests.events.reversing import CHARGED, reversing
from tests.events.selling import SECRET, sell, selling
from tests.events.test_taking import THREE_D, awaited
from tests.events.web import PATH

THIN = Sending(thin=True)
KEY = "order:1:charge"


def body_of(**more: Any) -> bytes:
    """As https://docs.stripe.com/event-destinations#thin-payload has it."""
    made: dict[str, Any] = {
        "id": "evt_test_thin",
        "object": "v2.core.event",
        "type": "v1.charge.dispute.created",
        "livemode": False,
        "created": "2026-11-30T06:20:52.246Z",
        "context": None,
        "reason": {"type": "request", "request": {"id": "req_1", "idempotency_key": "shop/order%3A1"}},
        "related_object": {"id": "du_1", "type": "dispute", "url": "/v1/disputes/du_1"},
    }
    return json.dumps(made | more, indent=2).encode()


def read(body: bytes) -> Any:
    signed = {"stripe-signature": signature(body, SECRET, int(time.time()))}
    return StripeEvents(secrets=[SECRET], livemode=False).read(body, signed)


def test_it_is_read_as_the_sdk_reads_it():
    """P11: its time, the key of the request that caused it, the account; compared with the SDK's own class."""
    body = body_of(context="org_1/acct_2")
    ours = read(body)
    client = StripeClient("sk_test_x")
    theirs: Any = client.parse_event_notification(body, signature(body, SECRET, int(time.time())), SECRET)
    assert (ours.id, ours.type, ours.livemode) == (theirs.id, theirs.type.removeprefix("v1."), theirs.livemode)
    assert ours.keys == (theirs.reason.request.idempotency_key,)
    assert ours.references == (theirs.related_object.id,)
    assert str(theirs.context).split("/")[-1] == ours.account == "acct_2"
    assert ours.at_ms == 1_796_019_652_246


def test_what_it_lacks_is_no_error():
    """P11: a destination's ping is about no object, and a reason need not be a request."""
    ping = read(body_of(type="v2.core.event_destination.ping", related_object=None, reason=None, created="soon"))
    assert (ping.references, ping.keys, ping.at_ms, ping.account) == ((), (), None, None)
    assert read(body_of(reason={"type": "other"})).keys == ()


async def test_it_settles_what_was_accepted_and_not_paid(shop):
    """P5, P11: no more is known of it than the id of the payment."""
    async with selling(shop, sending=THIN) as at:
        handle = await at.app.start(sell, "1", THREE_D, id="1")
        await at.until(lambda: awaited(at))
        [intent] = at.sim.api.books.intents
        at.sim.do("complete", intent)
        assert await handle.result() == intent
        assert await at.paid() == [("1", 5000)]
        await at.until(at.all_taken_up)


@pytest.mark.parametrize("what", ["refund", "dispute"])
async def test_it_tells_what_was_taken_back(shop, what):
    """P11: a refund by hand and a dispute name themselves alone, so Stripe is asked of which payment they are."""
    async with reversing(shop, sending=THIN) as at:
        at.sim.do(what, await at.buy(), amount=700)
        kind = {"refund": "refunded", "dispute": "disputed"}[what]
        await at.taken_up()
        assert await at.stored() == [(KEY, 1, kind, 700, "note")]
        assert await at.amount() == CHARGED - 700


@pytest.mark.parametrize("first", ["thin", "snapshot"])
@pytest.mark.parametrize("named", ["v1.charge.dispute.created", "charge.dispute.created"])
@pytest.mark.parametrize("provider", [Stripe, "stripe"], ids=["class", "name"])
async def test_with_its_snapshot_event_it_is_one(shop, first, named, provider):
    """P11: while one kind of destination replaces the other both come, under two ids; a handler runs once."""

    @on_event(provider, named)
    async def note(w: Write[Any], event: ProviderEvent) -> None:
        await w.tx.execute(f"INSERT INTO visits (who) VALUES ('{event.type} {event.id}')")

    snapshot = StripeEvent(
        id="evt_1",
        created=1,
        data=b'{"object": {"id": "du_1", "object": "dispute"}}',  # type: ignore[arg-type] # msgspec.Raw is bytes
        request={"id": None, "idempotency_key": None},
        type="charge.dispute.created",
    )
    told = [thin(snapshot), json.loads(json.dumps({"data": {"object": {"id": "du_1"}}}))]
    told[1] |= {"id": "evt_1", "object": "event", "type": snapshot.type, "created": 1, "livemode": False}
    async with selling(shop, sends=False, handlers=[note]) as at:
        answers = [await post(at, body) for body in (told if first == "thin" else told[::-1])]
        await at.until(at.all_taken_up)
        assert answers == ["new", "repeated"]
        assert await at.events() == {"evt_1": "done"}
        assert await at.visits() == ["charge.dispute.created evt_1"]


@pytest.mark.parametrize("provider", [Stripe, Stripe(), "stripe"], ids=["class", "instance", "name"])
@pytest.mark.parametrize(
    ("type", "why"),
    [
        ("v2.charge.refunded", "did you mean 'charge.refunded'?"),
        ("v1.v1.charge.refunded", "no name of an event"),
        ("V1.charge.refunded", "no name of an event"),
        ("charge.*", "no name of an event"),
        ("*", "no name of an event"),
        ("charge", "no name of an event"),
        (" charge.refunded", "no name of an event"),
    ],
)
def test_a_type_that_never_arrives_is_refused(provider, type, why):
    """P8: no event would ever be given to the handler, and nothing would say so."""
    with pytest.raises(Misuse, match=re.escape(why)) as refused:
        on_event(provider, "charge.refunded", type)
    assert repr(type) in str(refused.value)


@pytest.mark.parametrize("type", ["payout.paid", "v2.core.account[identity].updated", "charge.of_tomorrow.made"])
def test_a_type_that_may_arrive_is_taken(type):
    """P11: also one that this version of the SDK does not know."""

    @on_event("stripe", type)
    async def note(w: Write[Any], event: ProviderEvent) -> None: ...

    assert note.takes("stripe", type)


def test_every_type_of_the_sdk_is_taken():
    """P11: by both names of it, if it has two."""
    snapshots = get_args(stripe.Event.__annotations__["type"])
    assert len(snapshots) > 200
    assert {Stripe().event_type(f"{v1}{each}") for v1 in ("", "v1.") for each in snapshots} == set(snapshots)
    files = Path(stripe.events.__file__).parent.glob("_v*_event.py")
    thin_ones = [found for each in files for found in re.findall(r'LOOKUP_TYPE = "(.*)"', each.read_text())]
    assert len(thin_ones) > 200
    assert all(Stripe().event_type(each) == each.removeprefix("v1.") for each in thin_ones)


def test_a_name_that_is_no_providers_of_ours_takes_types_as_they_are():
    """P11: the events of a source of one's own are named by its own rules."""

    @on_event("warehouse", "v1.parcel", "*")
    async def note(w: Write[Any], event: ProviderEvent) -> None: ...

    assert note.takes("warehouse", "v1.parcel")
    assert not note.takes("warehouse", "parcel")


async def post(at: Any, event: dict[str, Any]) -> str:
    body = json.dumps(event, indent=2).encode()
    headers = {"Stripe-Signature": signature(body, SECRET, int(time.time()))}
    async with (
        aiohttp.ClientSession() as session,
        session.post(at.url + PATH, data=body, headers=headers) as r,
    ):
        return str((await r.json())["event"])


async def test_a_provider_that_knows_nothing_says_nothing():
    """P11: the default names nothing, so an event about an unknown object is no receipt's."""
    assert await Stripe().names_under(_client, "cus_1") == EventNames()


async def _client(_: Any) -> StripeClient:
    return StripeClient("sk_test_x")
