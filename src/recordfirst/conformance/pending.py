"""What a record must do with effects that are pending, and with the names that providers know them by, as tests."""

from __future__ import annotations

from recordfirst.conformance.process import MakeRecord
from recordfirst.conformance.record import changed, effect, intended, opened, run
from recordfirst.core.receipt import Receipt, Wake
from recordfirst.records.contract import Session


async def _pending(session: Session[object], key: str, wait_ms: int = 0, **what: object) -> Receipt:
    receipt = await intended(session, key)
    done = await session.change_receipt(receipt, changed(receipt, state="pending", wait_ms=wait_ms, **what))
    assert done is not None
    return done


class PendingConformance:
    """Effects that a provider has taken on and has not decided yet."""

    def test_p5_pending_has_its_times(self, make_record: MakeRecord) -> None:
        """Since when it is pending stays while it is, and when it has an outcome; until when its offer stands is as
        told.
        """

        async def go() -> None:
            async with opened(make_record) as record, record.session() as session:
                first = await _pending(session, "a", 5_000, until_at_ms=1_893_456_000_123, reply='{"state":"pending"}')
                assert first.pending_since_ms is not None
                assert first.next_at_ms == first.pending_since_ms + 5_000
                assert (first.until_at_ms, first.settled_at_ms) == (1_893_456_000_123, None)
                kept = await session.change_receipt(first, changed(first, parked_on="promise"))
                assert kept is not None
                assert (kept.next_at_ms, kept.pending_since_ms) == (first.next_at_ms, first.pending_since_ms)
                later = await session.change_receipt(kept, changed(kept, wait_ms=9_000, until_at_ms=None))
                assert later is not None
                assert later.next_at_ms is not None
                assert later.next_at_ms > first.pending_since_ms + 8_999
                assert (later.pending_since_ms, later.until_at_ms) == (first.pending_since_ms, None)
                done = await session.change_receipt(later, changed(later, state="succeeded"))
                assert done is not None
                assert (done.pending_since_ms, done.next_at_ms) == (first.pending_since_ms, None)
                assert done.settled_at_ms is not None

        run(go())

    def test_p5_called_again_it_is_pending_anew(self, make_record: MakeRecord) -> None:
        """What an operator says not to have happened is pending from when it is so again."""

        async def go() -> None:
            async with opened(make_record) as record, record.session() as session:
                first = await _pending(session, "a")
                again = await session.change_receipt(first, changed(first, state="intended"))
                assert again is not None
                assert (again.pending_since_ms, again.next_at_ms) == (None, None)

        run(go())

    def test_p5_what_is_due_is_listed_in_order(self, make_record: MakeRecord) -> None:
        """Only what is pending, and whose time has come, first due first; but for the effects that are named."""

        async def go() -> None:
            async with opened(make_record) as record, record.session() as session:
                await _pending(session, "later", 600_000)
                for key in ("b", "a"):
                    await _pending(session, key)
                waits = await intended(session, "intended")
                assert await session.change_receipt(waits, changed(waits, wait_ms=0))
                assert [each.key for each in await session.due([], 10)] == ["b", "a"]
                assert [each.key for each in await session.due([], 1)] == ["b"]
                assert [each.key for each in await session.due(["g", "ff"], 10)] == ["b", "a"]
                assert await session.due(["g", "f"], 10) == []
                [one, _] = await session.due([], 10)
                assert await session.change_receipt(one, changed(one, wait_ms=60_000))
                assert [each.key for each in await session.due([], 10)] == ["a"]

        run(go())

    def test_p5_pending_sleeps_until_it_is_settled(self, make_record: MakeRecord) -> None:
        """Its workflow is parked, and is woken by its outcome alone."""

        async def go() -> None:
            async with opened(make_record) as record, record.session() as session:
                receipt = await _pending(session, "a", parked_on="promise")
                assert await session.wakes(10) == []
                wake = Wake(key="a", attempt=1, parked_on="promise")
                await session.woken([wake])
                found = (await session.find_receipt("a")).receipt
                assert found == receipt
                assert await session.change_receipt(receipt, changed(receipt, state="declined"))
                assert await session.wakes(10) == [wake]
                await session.woken([wake])
                assert await session.wakes(10) == []

        run(go())

    def test_p10_pending_is_listed_and_counted(self, make_record: MakeRecord) -> None:
        """Among what is not settled, and by its state."""

        async def go() -> None:
            async with opened(make_record) as record, record.session() as session:
                await _pending(session, "a")
                assert [each.key for each in await session.unsettled("pending", None, 0, 10)] == ["a"]
                assert (await session.counts())["effect.pending"] == 1

        run(go())

    def test_p6_what_was_pending_when_time_was_lost_is_in_doubt(self, make_record: MakeRecord) -> None:
        """It may have been called again in the time that a restore took away."""

        async def go() -> None:
            async with opened(make_record) as record, record.session() as session:
                await session.begin_timeline("record", None)
                receipt = await _pending(session, "a")
                await session.hold("RF-RECORD-BEHIND", 0)
                async with record.transaction() as tx:
                    await tx.accept(None, 0)
                found = (await session.find_receipt("a")).receipt
                assert found is not None
                assert (found.state, found.doubts) == ("pending", receipt.doubts + 1)

        run(go())

    def test_p10_an_effect_is_found_by_what_the_provider_calls_it(self, make_record: MakeRecord) -> None:
        """By any of its names; told twice, it is there once; an id that two effects share gives both."""

        async def go() -> None:
            async with opened(make_record) as record:
                async with record.session() as session:
                    for key in "ab":
                        await session.add_receipts([effect(key)])
                    names = {"payment_intent": "pi_1", "charge": "ch_1"}
                    for _ in range(2):
                        await session.refer("a", 1, names)
                    await session.refer("a", 1, {})
                    assert await session.references_of("a", 1) == names
                    assert await session.references_of("a", 2) == {}
                    for id in names.values():
                        assert await session.referred_to(id) == [("a", 1)]
                    await session.refer("b", 2, {"charge": "ch_1"})
                    assert await session.referred_to("ch_1") == [("a", 1), ("b", 2)]
                    assert await session.referred_to("pi_2") == []
                async with opened(make_record, app="another") as other, other.session() as session:
                    assert await session.referred_to("ch_1") == []

        run(go())
