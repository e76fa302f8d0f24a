"""The endpoint: what is signed is stored once, whatever else comes changes nothing. Real HTTP, FastAPI and uvicorn."""

from __future__ import annotations

import json
import time
from typing import Any

import aiohttp
import pytest

from recordfirst import Misuse
from recordfirst.events.store import EventStore
from recordfirst.observe import EventRefused, ForeignEvent
from recordfirst.providers.stripe import StripeEvents
from recordfirst.records.contract import Record
from recordfirst.testing.stripe.sending import signature
from tests.events.selling import SECRET, Selling, selling
from tests.events.web import PATH


def body_of(id: str = "evt_1", type: str = "customer.created", **more: Any) -> bytes:
    made = {"id": id, "object": "event", "type": type, "livemode": False, "created": 1, "data": {"object": {}}, **more}
    return json.dumps(made, indent=2).encode()


async def post(
    at: Selling, body: bytes, *, secret: str = SECRET, age_s: int = 0, header: str | None = None
) -> tuple[int, str]:
    signed = {"Stripe-Signature": signature(body, secret, int(time.time()) - age_s) if header is None else header}
    async with aiohttp.ClientSession() as session, session.post(at.url + PATH, data=body, headers=signed) as reply:
        text = await reply.text()
        return reply.status, json.loads(text)["event"] if text.startswith("{") else text


async def test_a_signed_event_is_stored_once_and_answered_200(shop):
    """P11: whatever its type is; the same again, and from elsewhere, changes nothing."""
    async with selling(shop, works=False, sends=False) as at:
        assert await post(at, body_of()) == (200, "new")
        assert await post(at, body_of()) == (200, "repeated")
        assert await post(at, body_of("evt_2", "some.type.of.the.future")) == (200, "new")
        assert await at.events() == {"evt_1": "open", "evt_2": "open"}
        async with at.app.runtime.record.session() as session:
            [stored] = await EventStore(at.app.runtime.record, at.app.runtime.sealing).find(session, "evt_1")
        assert (stored.type, stored.livemode, stored.body) == ("customer.created", False, body_of().decode())


async def test_what_is_not_signed_is_answered_400_and_not_stored(shop):
    """P11: another secret, another body, an old signature, none at all: counted, and nothing else."""
    async with selling(shop, works=False, sends=False) as at:
        assert await post(at, body_of(), secret="whsec_other") == (400, "bad signature")
        assert await post(at, body_of(), age_s=301) == (400, "bad signature")
        header = signature(body_of(), SECRET, int(time.time()))
        changed = body_of().replace(b"evt_1", b"evt_9")
        assert await post(at, changed, header=header) == (400, "bad signature")
        assert await post(at, body_of(), header="") == (400, "bad signature")
        assert await post(at, b"\xff\xfe") == (400, "bad signature")
        assert (await at.events(), at.endpoint.counts) == ({}, {"bad signature": 5})
        assert {event.said for event in shop.seen(EventRefused)} == {"bad signature"}
        assert await post(at, b"[]") == (400, "not an event")
        assert await post(at, b'{"object": "event"}') == (400, "not an event")
        assert await post(at, body_of("e" * 256)) == (400, "not an event")  # no index has room for it
        assert await post(at, body_of(), age_s=299) == (200, "new")


async def test_secrets_are_rotated(shop):
    """P11: while one secret replaces another, both are taken."""
    async with selling(shop, works=False, sends=False, secrets=("whsec_new", SECRET)) as at:
        assert await post(at, body_of(), secret="whsec_new") == (200, "new")
        assert await post(at, body_of("evt_2")) == (200, "new")
        assert await post(at, body_of("evt_3"), secret="whsec_older") == (400, "bad signature")


async def test_what_is_too_large_is_not_read(shop):
    """P11: not by its length, nor by its parts."""
    async with selling(shop, works=False, sends=False) as at:
        large = body_of(padding="x" * 1_000_001)
        assert await post(at, large) == (413, "too large")

        async def parts():
            for _ in range(20):
                yield b"x" * 100_000

        async with aiohttp.ClientSession() as session, session.post(at.url + PATH, data=parts()) as reply:
            assert reply.status == 413
        async with aiohttp.ClientSession() as session, session.get(at.url + PATH) as reply:
            assert reply.status == 405
        assert await at.events() == {}


async def test_an_event_of_the_other_mode_is_kept_and_never_applied(shop):
    """P11: a test event on a live endpoint, and the other way round: answered 200, counted, ignored."""
    async with selling(shop, sends=False, livemode=True) as at:
        assert await post(at, body_of()) == (200, "other mode")
        assert await post(at, body_of("evt_2", livemode=True)) == (200, "new")
        await at.until(at.all_taken_up)
        assert await at.events() == {"evt_1": "ignored", "evt_2": "done"}
        [seen] = shop.seen(ForeignEvent)
        assert (seen.event, at.endpoint.counts["other mode"]) == ("evt_1", 1)


async def test_without_its_record_it_answers_503(shop, monkeypatch):
    """P11: then the provider sends it again, and it is stored."""
    async with selling(shop, works=False, sends=False) as at:
        record: Record[Any] = at.app.runtime.record

        def away(*_: Any) -> Any:
            raise OSError("no way there")

        with monkeypatch.context() as patched:
            patched.setattr(type(record), "session", away)
            patched.setattr(type(record), "fault", lambda *_: "unreachable")
            assert await post(at, body_of()) == (503, "record unavailable")
        assert await post(at, body_of()) == (200, "new")


async def test_its_retention_drops_the_body_and_keeps_that_it_came(shop):
    """P11: an event counts once for good, also when nothing else is left of it."""
    async with selling(shop, sends=False) as at:
        assert await post(at, body_of()) == (200, "new")
        await at.until(at.all_taken_up)
        async with at.app.runtime.record.session() as session:
            store = EventStore(at.app.runtime.record, at.app.runtime.sealing)
            assert await store.forget(session, older_than_ms=60_000) == 0
            assert await store.forget(session, older_than_ms=0) == 1
            [left] = await store.newest(session, None, 10)
        assert (left.id, left.body, left.names, left.state) == (None, None, "{}", "done")
        assert await post(at, body_of()) == (200, "repeated")
        assert len(await at.events()) == 1


@pytest.mark.parametrize("secrets", [[], [""], ["whsec_1", " "], "whsec_1"])
def test_secrets_that_would_let_everybody_in_are_refused(secrets):
    """P8: none, an empty one, or a text in place of a list."""
    with pytest.raises(Misuse, match="secrets="):
        StripeEvents(secrets=secrets)
