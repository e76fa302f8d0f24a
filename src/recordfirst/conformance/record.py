"""What a record must do with receipts, as tests. Inherit from all ten classes, and say how your record is made::

    from recordfirst.conformance.events import EventConformance
    from recordfirst.conformance.pending import PendingConformance
    from recordfirst.conformance.processes import RecordProcessConformance
    from recordfirst.conformance.projections import ProjectionConformance
    from recordfirst.conformance.reconciling import ReconcileConformance
    from recordfirst.conformance.record import ReceiptConformance
    from recordfirst.conformance.reversals import ReversalConformance
    from recordfirst.conformance.starts import StartConformance
    from recordfirst.conformance.stops import StopConformance
    from recordfirst.conformance.undoings import UndoingConformance

    class TestMyRecord(
        ReceiptConformance,
        StartConformance,
        StopConformance,
        RecordProcessConformance,
        ReconcileConformance,
        ProjectionConformance,
        PendingConformance,
        UndoingConformance,
        EventConformance,
        ReversalConformance,
    ):
        @pytest.fixture
        def make_record(self, tmp_path):
            return functools.partial(MyRecord, tmp_path / "record")

``make_record`` gives a function without arguments, which pickles: whenever it is called, here or in another process,
it returns a record, not yet open, on one and the same empty store.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import msgspec
import pytest

from recordfirst.conformance.process import MakeRecord
from recordfirst.core.receipt import After, Change, Intended, NewReceipt, Receipt, Wake
from recordfirst.core.start import NewStart
from recordfirst.records.contract import Record, Session

ODD = '{"b": "\\u0000 \\ud83d\\ude00 é", "a":  1.0, "a": 1}'
"""JSON that does not survive being parsed: an escaped NUL, a space too many, a number's form, a name twice."""


def run[T](work: Coroutine[Any, Any, T]) -> T:
    """Run an async test in a loop of its own."""
    with asyncio.Runner() as runner:
        return runner.run(asyncio.wait_for(work, 100))


@contextlib.asynccontextmanager
async def opened(make_record: MakeRecord, app: str = "shop") -> AsyncIterator[Record[Any]]:
    """A record, open for an app and with its tables."""
    record = make_record()
    await record.open(app)
    try:
        await record.migrate()
        yield record
    finally:
        await record.close()


def wrote(key: str = "order:1/insert", **what: Any) -> NewReceipt:
    """Return a write's receipt."""
    given = {"kind": "write", "state": "succeeded", "result": "1"} | what
    return effect(key, **given)


def effect(key: str = "order:1:charge", **what: Any) -> NewReceipt:
    """Return an effect's intent."""
    given = {"kind": "effect", "function": "f", "workflow": "order:1", "state": "intended"}
    return NewReceipt(**(given | {"key": key, "fingerprint": "print", "request": "{}"} | what))


def after(key: str, **what: Any) -> After:
    """Return the receipt that must be there first: that of a write, as :func:`wrote` makes one."""
    return After(**({"key": key, "kind": "write", "function": wrote().function} | what))


async def added(session: Session[Any], *receipts: NewReceipt, epoch: int | None = None) -> list[Receipt]:
    """Store receipts that are new, and return them as the record has them."""
    stored = await session.add_receipts(receipts, epoch=epoch)
    assert stored == [(receipt.key, receipt.attempt) for receipt in receipts]
    found = [(await session.find_receipt(*identity)).receipt for identity in stored]
    assert None not in found
    return [receipt for receipt in found if receipt is not None]


def start(id: str = "order:1", **what: Any) -> NewStart:
    """Return a workflow to be accepted."""
    return NewStart(**({"id": id, "workflow": "create_order", "arguments": "{}", "fingerprint": "print"} | what))


def changed(receipt: Receipt, **what: Any) -> Change:
    """Return the change that leaves a receipt as it is, but for what is named."""
    same = {name: getattr(receipt, name) for name in Change.__struct_fields__ if name in receipt.__struct_fields__}
    return Change(**(same | what))


async def intended(session: Session[Any], key: str = "order:1:charge", *, claim: str = "a") -> Receipt:
    """Store an intent that depends on no write."""
    stored = await session.intend(effect(key), after=None, claim=claim, claim_ms=60_000)
    assert stored.receipt is not None
    return stored.receipt


async def insisted(record: Record[Any], work: Any) -> Any:
    """Run ``work(session)`` in transactions until none stands in its way."""
    while True:
        try:
            async with record.transaction() as tx:
                return await work(tx)
        except Exception as error:
            if record.fault(error) != "contention":
                raise


class ReceiptConformance:
    """Receipts, and the transactions that they are stored in."""

    def test_p10_every_column_comes_back_byte_for_byte(self, make_record: MakeRecord) -> None:
        """What was stored is what is read, JSON included."""
        given = wrote(request=ODD, frozen=ODD, result=ODD, undo="refund", attempt=3)

        async def go() -> None:
            async with opened(make_record) as record, record.session() as session:
                [stored] = await added(session, given)
                assert msgspec.convert(msgspec.structs.asdict(stored), NewReceipt) == given

        run(go())

    def test_p2_a_stored_receipt_stays_as_it_was(self, make_record: MakeRecord) -> None:
        """The first result counts; only what was new is returned, in the order given."""

        async def go() -> None:
            async with opened(make_record) as record, record.session() as session:
                [first] = await added(session, wrote("b"))
                assert await session.add_receipts([wrote("b", result="2")]) == []
                stored = await session.add_receipts([wrote("z"), wrote("b", result="2"), effect("a"), effect("a")])
                assert stored == [("z", 1), ("a", 1)]
                assert (await session.find_receipt("b")).receipt == first
                assert await session.add_receipts([]) == []

        run(go())

    def test_p10_a_receipt_says_when(self, make_record: MakeRecord) -> None:
        """A success is settled when it is stored; an intent is not; the look tells the record's time."""

        async def go() -> None:
            async with opened(make_record) as record, record.session() as session:
                before_ms = await session.now_ms()
                [write, intent] = await added(session, wrote(), effect())
                seen = await session.find_receipt("nothing")
                assert (seen.receipt, intent.settled_at_ms, intent.calls, intent.doubts) == (None, None, 0, 0)
                assert write.settled_at_ms is not None
                assert before_ms <= write.created_at_ms <= write.settled_at_ms <= seen.now_ms <= before_ms + 60_000

        run(go())

    def test_p2_a_transaction_is_all_or_nothing(self, make_record: MakeRecord) -> None:
        """An exception or a cancellation takes back everything; the end of the block keeps everything."""

        async def go() -> None:
            async with opened(make_record) as record:

                async def fail(reason: type[BaseException]) -> None:
                    async with record.transaction() as tx:
                        await tx.add_receipts([wrote()])
                        await tx.add_starts([start()])
                        raise reason

                for reason in (ValueError, asyncio.CancelledError, KeyboardInterrupt):
                    with pytest.raises(reason):
                        await fail(reason)
                async with record.transaction() as tx:
                    assert (await tx.find_receipt(wrote().key)).receipt is None
                    assert await tx.find_start("order:1") is None
                    await tx.add_receipts([wrote()])
                    await tx.add_starts([start()])
                async with record.session() as session:
                    assert (await session.find_receipt(wrote().key)).receipt is not None
                    assert await session.find_start("order:1") is not None

        run(go())

    def test_p2_a_cancelled_statement_leaves_the_record_usable(self, make_record: MakeRecord) -> None:
        """Cancelled at any point, a transaction ends whole or not at all, and holds nothing."""

        async def go() -> None:
            async with opened(make_record) as record:

                async def both(number: int) -> None:
                    async with record.transaction() as tx:
                        await tx.add_receipts([wrote(f"{number}:a")])
                        await tx.add_receipts([wrote(f"{number}:b")])

                for number in range(40):
                    task = asyncio.create_task(both(number))
                    for _ in range(number):
                        await asyncio.sleep(0)
                    task.cancel()
                    await asyncio.wait([task])
                    async with record.session() as session:
                        found = [(await session.find_receipt(f"{number}:{half}")).receipt for half in "ab"]
                    assert (found[0] is None) == (found[1] is None)
                await asyncio.gather(*[both(number) for number in range(100, 140)])

        run(go())

    def test_p2_the_second_of_two_writers_waits_and_stores_nothing(self, make_record: MakeRecord) -> None:
        """Two transactions with one key: one receipt."""

        async def go() -> None:
            async with opened(make_record) as one, opened(make_record) as other:
                async with one.transaction() as tx:
                    await tx.add_receipts([wrote(result='"first"')])
                    second = asyncio.create_task(
                        insisted(other, lambda tx: tx.add_receipts([wrote(result='"second"')]))
                    )
                    await asyncio.wait([second], timeout=0.2)
                    assert not second.done()
                assert await second == []
                async with other.session() as session:
                    receipt = (await session.find_receipt(wrote().key)).receipt
                    assert receipt is not None
                    assert receipt.result == '"first"'

        run(go())

    # ── intents ─────────────────────────────────────────────────────────────

    def test_p1_an_intent_needs_the_write_that_it_depends_on(self, make_record: MakeRecord) -> None:
        """Without that receipt nothing is stored; with it, the intent is."""

        async def go() -> None:
            async with opened(make_record) as record, record.session() as session:
                await session.add_receipts([effect("not yet"), effect("other", state="succeeded"), wrote("another")])
                await session.add_receipts([wrote("refused", state="declined")])
                for missing in (
                    after("order:1/insert"),
                    after("not yet", kind="effect"),
                    after("other"),
                    after("another", function="g"),
                    after("refused"),
                ):
                    refused = await session.intend(effect(), after=missing, claim="a", claim_ms=1000)
                    assert (refused.receipt, refused.inserted) == (None, False)
                assert (await session.find_receipt(effect().key)).receipt is None
                await session.add_receipts([wrote("order:1/insert")])
                stored = await session.intend(effect(), after=after("order:1/insert"), claim="a", claim_ms=1000)
                assert stored.inserted
                assert stored.receipt is not None

        run(go())

    def test_p1_a_first_call_needs_the_write_that_it_depends_on(self, make_record: MakeRecord) -> None:
        """Of an intent that is there already: its call does not begin without that receipt, of that very step."""

        async def go() -> None:
            async with opened(make_record) as record, record.session() as session:
                [announced] = await added(session, effect())
                await session.add_receipts([effect("other", state="succeeded"), wrote("another")])
                await session.add_receipts([wrote("refused", state="declined"), wrote("order:1/insert")])
                call = changed(announced, calls=1, doubts=1, begins_call=True, claim="a", claim_for_ms=1000)
                for missing in (
                    after("never written"),
                    after("other"),
                    after("another", function="g"),
                    after("refused"),
                ):
                    assert await session.change_receipt(announced, call, after=missing) is None
                assert (await session.find_receipt(effect().key)).receipt == announced
                begun = await session.change_receipt(announced, call, after=after("order:1/insert"))
                assert begun is not None
                assert begun.calls == 1

        run(go())

    def test_p3_an_intent_begins_the_first_call(self, make_record: MakeRecord) -> None:
        """From here on the call may have happened: one call, one doubt, claimed, its key's age running."""

        async def go() -> None:
            async with opened(make_record) as record, record.session() as session:
                stored = await session.intend(effect(), after=None, claim="me", claim_ms=5000)
                receipt = stored.receipt
                assert receipt is not None
                assert (receipt.state, receipt.calls, receipt.doubts, receipt.claim) == ("intended", 1, 1, "me")
                assert receipt.claim_until_ms == receipt.created_at_ms + 5000
                assert receipt.key_since_ms == receipt.last_call_at_ms == receipt.created_at_ms
                assert receipt.settled_at_ms is None
                assert stored.now_ms >= receipt.created_at_ms
                assert (await session.find_receipt(receipt.key)).receipt == receipt

        run(go())

    def test_p3_a_known_key_is_returned_whatever_it_depends_on(self, make_record: MakeRecord) -> None:
        """The second intent changes nothing, and gets the first."""

        async def go() -> None:
            async with opened(make_record) as record, record.transaction() as tx:
                first = await intended(tx)
                again = await tx.intend(effect(), after=after("never written"), claim="b", claim_ms=1)
                assert (again.receipt, again.inserted) == (first, False)
                second = await tx.intend(effect(attempt=2), after=None, claim="b", claim_ms=1)
                assert second.inserted
                assert [receipt.attempt for receipt in await tx.receipts_by_key(effect().key)] == [1, 2]

        run(go())

    def test_p3_of_concurrent_intents_one_is_stored(self, make_record: MakeRecord) -> None:
        """However they interleave, one begins the call, and all see its receipt."""

        async def go() -> None:
            async with opened(make_record) as one, opened(make_record) as other:

                async def intend(record: Record[Any], key: str, claim: str) -> Intended:
                    return await insisted(  # type: ignore[no-any-return]
                        record, lambda tx: tx.intend(effect(key), after=None, claim=claim, claim_ms=1000)
                    )

                for number in range(15):
                    answers = await asyncio.gather(
                        *[intend(record, f"key:{number}", claim) for record, claim in ((one, "a"), (other, "b")) * 3]
                    )
                    assert [answer.inserted for answer in answers].count(True) == 1
                    assert len({answer.receipt and answer.receipt.claim for answer in answers} - {None}) == 1
                    assert all(answer.receipt for answer in answers)

        run(go())

    # ── changes ─────────────────────────────────────────────────────────────

    def test_p3_a_stale_change_lands_nowhere(self, make_record: MakeRecord) -> None:
        """A change counts for the revision that it saw, also when two come at once."""

        async def go() -> None:
            async with opened(make_record) as one, opened(make_record) as other:
                async with one.session() as session:
                    old = await intended(session)
                    new = await session.change_receipt(old, changed(old, doubts=0))
                    assert new is not None
                    assert new.revision > old.revision
                    assert await session.change_receipt(old, changed(old, doubts=7)) is None
                    assert (await session.find_receipt(old.key)).receipt == new
                results = await asyncio.gather(
                    *[
                        insisted(record, lambda tx: tx.change_receipt(new, changed(new, calls=9)))
                        for record in (one, other)
                    ]
                )
                assert sorted(result is None for result in results) == [False, True]

        run(go())

    def test_p3_a_change_sets_every_field(self, make_record: MakeRecord) -> None:
        """What a change names is what is stored; a state that is final is settled once."""

        async def go() -> None:
            async with opened(make_record) as record, record.session() as session:
                old = await intended(session)
                what = {"calls": 4, "doubts": 3, "replayed": True, "reissue": 2, "reply": ODD, "error": ODD}
                what |= {"state": "unknown", "parked_on": "promise", "undone_by": "refund", "result": ODD}
                new = await session.change_receipt(old, changed(old, **what))
                assert new is not None
                assert {name: getattr(new, name) for name in what} == what
                assert new.settled_at_ms is None
                done = await session.change_receipt(new, changed(new, state="declined"))
                assert done is not None
                assert done.settled_at_ms is not None
                later = await session.change_receipt(done, changed(done, undone_by=None, reply=None))
                assert later is not None
                assert (later.settled_at_ms, later.undone_by, later.reply) == (done.settled_at_ms, None, None)

        run(go())

    def test_p3_times_are_the_records(self, make_record: MakeRecord) -> None:
        """Claims, waits and the age of a key count from the record's now; what is not named is cleared or kept."""

        async def go() -> None:
            async with opened(make_record) as record, record.session() as session:
                first = await intended(session)
                await asyncio.sleep(0.01)
                call = changed(first, claim="b", claim_for_ms=700, begins_call=True, restart_key_age=True, wait_ms=900)
                second = await session.change_receipt(first, call)
                assert second is not None
                now_ms = second.last_call_at_ms
                assert now_ms is not None
                assert now_ms > first.created_at_ms
                assert (second.key_since_ms, second.claim_until_ms, second.next_at_ms) == (
                    now_ms, now_ms + 700, now_ms + 900,
                )  # fmt: skip
                kept = await session.change_receipt(second, changed(second, claim="b"))
                assert kept is not None
                assert (kept.claim_until_ms, kept.key_since_ms, kept.last_call_at_ms) == (now_ms + 700, now_ms, now_ms)
                assert kept.next_at_ms is None
                freed = await session.change_receipt(kept, changed(kept, claim=None))
                assert freed is not None
                assert (freed.claim, freed.claim_until_ms) == (None, None)

        run(go())

    def test_p5_a_resolved_effect_wakes_its_workflow_once(self, make_record: MakeRecord) -> None:
        """Parked and no longer unknown: listed until it is woken; what parked anew stays."""

        async def go() -> None:
            async with opened(make_record) as record, record.session() as session:
                for key in "abc":
                    receipt = await intended(session, key)
                    parked = changed(receipt, state="unknown", parked_on=f"promise {key}")
                    assert await session.change_receipt(receipt, parked)
                assert await session.wakes(10) == []
                for key in "ab":
                    [receipt] = await session.receipts_by_key(key)
                    assert await session.change_receipt(receipt, changed(receipt, state="succeeded"))
                both = [Wake(key=key, attempt=1, parked_on=f"promise {key}") for key in "ab"]
                assert await session.wakes(10) == both
                assert await session.wakes(1) == both[:1]
                stale = Wake(key="b", attempt=1, parked_on="an older promise")
                unknown = Wake(key="c", attempt=1, parked_on="promise c")
                await session.woken([both[0], stale, unknown])
                assert await session.wakes(10) == both[1:]
                [receipt] = await session.receipts_by_key("c")
                assert receipt.parked_on == "promise c"

        run(go())

    def test_p10_a_workflows_receipts_in_the_order_in_which_they_began(self, make_record: MakeRecord) -> None:
        """Of this workflow alone, and settling changes no place."""

        async def go() -> None:
            async with opened(make_record) as record, record.session() as session:
                for key in ("c", "a", "b"):
                    await session.add_receipts([effect(key)])
                await session.add_receipts([effect("d", workflow="order:2")])
                receipts = await session.receipts_of("order:1")
                assert [receipt.key for receipt in receipts] == ["c", "a", "b"]
                await session.change_receipt(receipts[0], changed(receipts[0], state="succeeded"))
                assert [receipt.key for receipt in await session.receipts_of("order:1")] == ["c", "a", "b"]

        run(go())
