"""What a record must do with provider events: each counts once for good, and is claimed by one at a time."""

from __future__ import annotations

import msgspec

from recordfirst.conformance.process import MakeRecord
from recordfirst.conformance.record import opened, run
from recordfirst.core.event import NewEvent
from recordfirst.events.store import EventStore
from recordfirst.execution.sealing import Sealing

CLAIM_MS = 60_000
NOW_MS = -1
"""Older than this is all that is there, though the record's clock has not gone on since."""


def told(id: str = "evt_1", **what: object) -> NewEvent:
    """An event of a payment."""
    event = NewEvent(provider="stripe", id=id, type="payment_intent.succeeded", livemode=False, body='{"id": 1}')
    return msgspec.structs.replace(event, **what)


class EventConformance:
    """Inherit from this beside :class:`ReceiptConformance`."""

    def test_p11_an_event_counts_once(self, make_record: MakeRecord) -> None:
        """Also when all but its hash was dropped; one of another provider is another."""

        async def go() -> None:
            async with opened(make_record) as record:
                store = EventStore(record, Sealing("shop", None))
                async with record.transaction() as tx:
                    assert await store.add(tx, told(markers=("shop/a",), account="acct_1", at_ms=5), "open")
                    assert not await store.add(tx, told(body="{}"), "open")
                    assert await store.add(tx, told(provider="other"), "ignored")
                async with record.session() as session:
                    [mine] = [each for each in await store.find(session, "evt_1") if each.provider == "stripe"]
                    assert (mine.livemode, mine.account, mine.happened_at_ms, mine.body) == (
                        False,
                        "acct_1",
                        5,
                        '{"id": 1}',
                    )
                    assert await store.forget(session, older_than_ms=NOW_MS) == 1  # what is open is kept
                    [event] = await store.due(session, claim_ms=CLAIM_MS, limit=10)
                    assert await store.came_to(session, event, "done", wait_ms=None, error=None)
                    assert await store.forget(session, older_than_ms=NOW_MS) == 1
                    assert not await store.again(session, event)
                    [left] = await store.find(session, event.hash)
                    assert (left.id, left.body, left.account, left.state) == (None, None, None, "done")
                async with record.transaction() as tx:
                    assert not await store.add(tx, told(), "open")

        run(go())

    def test_p11_an_event_is_claimed_by_one(self, make_record: MakeRecord) -> None:
        """For a time; who dies with it leaves it to the next, and who comes second changes nothing."""

        async def go() -> None:
            async with opened(make_record) as record:
                store = EventStore(record, Sealing("shop", None))
                async with record.transaction() as tx:
                    for n in range(3):
                        assert await store.add(tx, told(f"evt_{n}"), "open")
                async with record.session() as session:
                    assert await store.is_due(session)
                    first = await store.due(session, claim_ms=0, limit=2)
                    rest = await store.due(session, claim_ms=CLAIM_MS, limit=10)
                    assert (len(first), len(rest)) == (2, 3)  # a claim of no time is over at once
                    assert not await store.is_due(session)
                    assert await store.due(session, claim_ms=CLAIM_MS, limit=10) == []
                    stopped, waits, done = rest
                    stopped = msgspec.structs.replace(stopped, tries=8)
                    assert await store.came_to(session, stopped, "stopped", wait_ms=None, error='{"reason": "no"}')
                    assert await store.came_to(session, waits, "waiting", wait_ms=0, error=None)
                    assert await store.came_to(session, done, "done", wait_ms=None, error=None)
                    assert not await store.came_to(session, done, "open", wait_ms=0, error=None)
                    [again] = await store.due(session, claim_ms=CLAIM_MS, limit=10)
                    assert (again.hash, again.state, again.looks) == (waits.hash, "waiting", 1)
                    left = await store.left(session, older_than_ms=NOW_MS, after=None, limit=10)
                    assert {each.hash for each in left} == {stopped.hash, waits.hash}
                    page = await store.left(session, older_than_ms=NOW_MS, after=left[0].hash, limit=10)
                    assert [each.hash for each in page] == [left[1].hash]
                    late = await store.left(session, older_than_ms=CLAIM_MS, after=None, limit=10)
                    assert [(each.hash, each.tries, each.error) for each in late] == [
                        (stopped.hash, 8, '{"reason": "no"}')
                    ]
                    assert await store.again(session, stopped)
                    assert {each.hash for each in await store.due(session, claim_ms=CLAIM_MS, limit=10)} == {
                        stopped.hash
                    }

        run(go())

    def test_p11_another_apps_events_are_its_own(self, make_record: MakeRecord) -> None:
        """Two apps in one record get the same event, each once."""

        async def go() -> None:
            for app in ("shop", "till"):
                async with opened(make_record, app) as record:
                    store = EventStore(record, Sealing(app, None))
                    async with record.transaction() as tx:
                        assert await store.add(tx, told(), "open")
                    async with record.session() as session:
                        assert len(await store.newest(session, None, 10)) == 1

        run(go())
