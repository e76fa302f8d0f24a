"""What a record must do with starts; see :mod:`recordfirst.conformance.record`."""

from __future__ import annotations

import asyncio
from typing import Any

from recordfirst.conformance.process import MakeRecord
from recordfirst.conformance.record import (
    ODD,
    added,
    after,
    changed,
    effect,
    insisted,
    intended,
    opened,
    run,
    start,
    wrote,
)
from recordfirst.core import decide, identity
from recordfirst.core.receipt import Receipt
from recordfirst.core.start import Finish, Start
from recordfirst.records.contract import Session

_COUNTED = ("open", "stopped", "succeeded", "failed", "cancelled", "collected")


async def end_epochs(tx: Session[Any]) -> list[Receipt]:
    """End them, as an operator does; return what there is of the workflow by then."""
    await tx.lock_start("order:1")
    receipts = await tx.receipts_of("order:1")
    assert await tx.end_epochs("order:1", undo=True, error="{}") is not None
    return receipts


async def intend_late(tx: Session[Any]) -> Receipt | None:
    """An intent of an epoch that is being ended."""
    return (await tx.intend(effect("late call"), after=None, claim="a", claim_ms=1, epoch=2)).receipt


class StartConformance:
    """Starts."""

    def test_p7_an_accepted_workflow_is_a_row(self, make_record: MakeRecord) -> None:
        """Stored once; who comes again gets what is there, in the order asked."""

        async def go() -> None:
            async with opened(make_record) as record, record.session() as session:
                [(first, new)] = await session.add_starts([start("b", arguments=ODD)])
                assert new
                assert (first.arguments, first.state, first.epoch, first.engine) == (ODD, "open", 1, None)
                assert await session.find_start("b") == first
                assert await session.add_starts([start("b", arguments="[]")]) == [(first, False)]
                many = await session.add_starts([start("c"), start("b"), start("a"), start("c")])
                assert [(found.id, new) for found, new in many] == [
                    ("c", True), ("b", False), ("a", True), ("c", False),
                ]  # fmt: skip
                assert await session.find_start("z") is None
                assert await session.add_starts([]) == []
                await session.finish([Finish(id="c", epoch=1, state="succeeded", result="1", error=None)])
                assert await session.still_open(["a", "b", "b", "c", "z"]) == {"a", "b"}
                assert await session.still_open([]) == set()

        run(go())

    def test_p8_the_second_of_two_starters_sees_the_first(self, make_record: MakeRecord) -> None:
        """A caller that starts the same id at the same moment is told what was stored, and if it was its own."""

        async def go() -> None:
            async with opened(make_record) as one, opened(make_record) as other:
                async with one.transaction() as tx:
                    await tx.add_starts([start(fingerprint="first")])
                    second = asyncio.create_task(
                        insisted(other, lambda tx: tx.add_starts([start(fingerprint="second")]))
                    )
                    await asyncio.wait([second], timeout=0.2)
                    assert not second.done()
                [(found, new)] = await second
                assert (found.fingerprint, new) == ("first", False)

        run(go())

    def test_p6_an_engine_is_given_what_it_does_not_have(self, make_record: MakeRecord) -> None:
        """Open starts, oldest first, that this engine was not given in this epoch."""

        async def go() -> None:
            async with opened(make_record) as record, record.session() as session:
                for id in "cab":
                    await session.add_starts([start(id)])
                starts = await session.undispatched("here", 10)
                assert [found.id for found in starts] == ["c", "a", "b"]
                assert await session.undispatched("here", 2) == starts[:2]
                await session.dispatched(starts[:1], "here")
                assert await session.undispatched("here", 10) == starts[1:]
                assert len(await session.undispatched("another", 10)) == 3  # noqa: PLR2004 - a, b and c
                await session.finish([Finish(id="a", epoch=1, state="succeeded")])
                await session.dispatched(starts[1:2], "here")
                assert [found.id for found in await session.undispatched("here", 10)] == ["b"]
                closed = await session.find_start("a")
                assert closed is not None
                assert (closed.state, closed.engine) == ("succeeded", None)

        run(go())

    def test_p6_an_engine_is_given_what_others_had(self, make_record: MakeRecord) -> None:
        """They were lost, or replaced, whatever their names; oldest first, and no more than was asked for."""

        async def go() -> None:
            async with opened(make_record) as record, record.session() as session:
                engines = ["z", "", "m", None, "a", "M", "m", None]
                for number, engine in enumerate(engines):
                    [(found, _)] = await session.add_starts([start(f"{number}")])
                    if engine is not None:
                        await session.dispatched([found], engine)
                # Times may be alike within a millisecond, and then their order is any.
                all_of_them = await session.undispatched("m", 10)
                assert sorted(found.id for found in all_of_them) == ["0", "1", "3", "4", "5", "7"]
                assert all_of_them == sorted(all_of_them, key=lambda found: found.created_at_ms)
                for limit in range(7):
                    assert len(await session.undispatched("m", limit)) == min(limit, 6)
                await session.dispatched([found for found in all_of_them if found.id != "4"], "m")
                assert [found.id for found in await session.undispatched("m", 10)] == ["4"]
                assert len(await session.undispatched("", 10)) == len(engines)

        run(go())

    def test_p6_an_open_starts_epoch_moves_on_and_never_back(self, make_record: MakeRecord) -> None:
        """A start that is put back into an engine lives on in the epoch it was given; only its end counts."""

        async def go() -> None:
            async with opened(make_record) as record, record.session() as session:
                [(first, _)] = await session.add_starts([start()])
                later = Start(**{name: getattr(first, name) for name in Start.__struct_fields__} | {"epoch": 3})
                await session.dispatched([later], "new")
                await session.dispatched([first], "old")
                await session.finish([Finish(id=first.id, epoch=1, state="failed")])
                found = await session.find_start(first.id)
                assert found is not None
                assert (found.state, found.epoch, found.engine) == ("open", 3, "new")
                await session.finish([Finish(id=first.id, epoch=3, state="succeeded")])
                assert [found.id for found in await session.starts("succeeded", 10)] == [first.id]

        run(go())

    def test_p6_an_end_counts_for_its_own_epoch(self, make_record: MakeRecord) -> None:
        """A late end of an earlier epoch changes nothing, nor does a second end."""

        async def go() -> None:
            async with opened(make_record) as record, record.session() as session:
                await session.add_starts([start("a"), start("b"), start("c")])
                await session.finish(
                    [
                        Finish(id="a", epoch=1, state="succeeded", result=ODD),
                        Finish(id="b", epoch=2, state="succeeded"),
                        Finish(id="c", epoch=1, state="failed", error=ODD),
                        Finish(id="nobody", epoch=1, state="failed"),
                    ]
                )
                await session.finish([Finish(id="a", epoch=1, state="failed", error="{}")])
                found = {each.id: each for each in await session.starts(None, 10)}
                assert (found["a"].state, found["a"].result, found["a"].error) == ("succeeded", ODD, None)
                assert (found["b"].state, found["b"].finished_at_ms) == ("open", None)
                assert (found["c"].state, found["c"].error) == ("failed", ODD)
                assert found["c"].finished_at_ms is not None
                await session.finish([])

        run(go())

    def test_p7_a_failed_workflow_can_be_opened_again(self, make_record: MakeRecord) -> None:
        """In a new epoch, for any engine; nothing else can be opened."""

        async def go() -> None:
            async with opened(make_record) as record, record.session() as session:
                [(first, _), _] = await session.add_starts([start("a"), start("b")])
                await session.dispatched([first], "here")
                assert await session.reopen("a") is None
                await session.finish([
                    Finish(id="a", epoch=1, state="failed", error="{}"), Finish(id="b", epoch=1, state="succeeded"),
                ])  # fmt: skip
                again = await session.reopen("a")
                assert again is not None
                assert (again.state, again.epoch, again.engine) == ("open", 2, None)
                assert (again.result, again.error, again.finished_at_ms) == (None, None, None)
                assert [await session.reopen(id) for id in ("a", "b", "nobody")] == [None, None, None]

        run(go())

    def test_p3_no_step_of_a_life_that_is_over_is_stored(self, make_record: MakeRecord) -> None:
        """Not a write's receipt, not an intent, not the beginning of a call; of the epoch behind it, all of them."""

        async def go() -> None:
            async with opened(make_record) as record, record.session() as session:
                await session.add_starts([start()])
                [early] = await added(session, effect("early"), epoch=1)
                waits = {
                    "parked": identity.engine_id("shop", "order:1", 1) + ":charge.2",
                    "parked anew": identity.engine_id("shop", "order:1", 3) + ":charge.2",
                    "another's": identity.engine_id("shop", "order:11", 1) + ":charge.2",
                }
                for key, promise in waits.items():
                    [parked] = await added(session, effect(key, state="unknown"))
                    assert await session.change_receipt(parked, changed(parked, parked_on=promise)) is not None
                async with record.transaction() as tx:
                    assert await tx.lock_start("order:1") == await tx.find_start("order:1")
                    ended = await tx.end_epochs("order:1", undo=True, error="{}")
                    await tx.unpark("order:1")
                assert ended is not None
                assert (ended.state, ended.epoch, ended.min_epoch, ended.is_undoing) == ("open", 2, 2, True)
                begin = decide.begin_call(early, claim="a", claim_ms=1)
                for epoch, can in ((1, False), (2, True), (None, True)):
                    key = f"{epoch}"
                    intended = await session.intend(effect(key), after=None, claim="a", claim_ms=1, epoch=epoch)
                    assert (intended.receipt is not None, intended.inserted) == (can, can)
                    assert bool(await session.add_receipts([wrote(f"{key}/write")], epoch=epoch)) == can
                assert await session.change_receipt(early, begin, epoch_of=("order:1", 1)) is None
                late = await session.change_receipt(early, changed(early, error="{}"), epoch_of=("order:1", 1))
                assert late is not None
                # Another workflow may ask for the same key: it is not over.
                assert await session.change_receipt(late, begin, epoch_of=("order:2", 1)) is not None
                assert await session.left_epochs("an engine", 10) == [("order:1", 2)]
                await session.epochs_gone([("order:1", 1)])
                assert await session.left_epochs("an engine", 10) == [("order:1", 2)]
                await session.epochs_gone([("order:1", 2)])
                assert await session.left_epochs("an engine", 10) == []
                left = [receipt.parked_on for key in waits for receipt in await session.receipts_by_key(key)]
                assert left == [None, None, waits["another's"]]
                closed = await session.end_epochs("order:1", undo=False, error='"x"')
                assert closed is not None
                assert (closed.state, closed.epoch, closed.min_epoch, closed.error) == ("cancelled", 3, 3, '"x"')
                assert await session.end_epochs("order:1", undo=False, error="{}") is None
                assert [found.id for found in await session.starts("cancelled", 10)] == ["order:1"]

        run(go())

    def test_p3_whoever_ends_a_life_and_its_last_step_wait_for_each_other(self, make_record: MakeRecord) -> None:
        """A step that is being stored is stored before the epoch is over, or not at all."""

        async def go() -> None:
            async with opened(make_record) as one, opened(make_record) as other:
                async with one.session() as session:
                    await session.add_starts([start()])
                async with one.transaction() as tx:
                    assert await tx.add_receipts([wrote()], epoch=1) != []
                    ending = asyncio.create_task(insisted(other, end_epochs))
                    await asyncio.wait([ending], timeout=0.2)
                    assert not ending.done()
                assert [receipt.key for receipt in await ending] == ["order:1/insert"]
                async with one.transaction() as tx:
                    await end_epochs(tx)
                    late = [
                        asyncio.create_task(insisted(other, lambda tx: tx.add_receipts([wrote("late")], epoch=2))),
                        asyncio.create_task(insisted(other, intend_late)),
                    ]
                    await asyncio.wait(late, timeout=0.2)
                    assert not any(task.done() for task in late)
                assert await asyncio.gather(*late) == [[], None]

        run(go())

    def test_p10_starts_are_listed_newest_first(self, make_record: MakeRecord) -> None:
        """All of them, or those in one state."""

        async def go() -> None:
            async with opened(make_record) as record, record.session() as session:
                for id in "dacb":
                    await session.add_starts([start(id)])
                    await asyncio.sleep(0.002)
                await session.finish(
                    [Finish(id="a", epoch=1, state="failed"), Finish(id="b", epoch=1, state="succeeded")]
                )
                assert [found.id for found in await session.starts(None, 10)] == ["b", "c", "a", "d"]
                assert [found.id for found in await session.starts(None, 2)] == ["b", "c"]
                assert [found.id for found in await session.starts("open", 10)] == ["c", "d"]
                assert [found.id for found in await session.starts("failed", 10)] == ["a"]

        run(go())

    def test_p10_all_that_there_is_is_counted(self, make_record: MakeRecord) -> None:
        """By state, and zero where there is none."""

        async def go() -> None:
            async with opened(make_record) as record, record.session() as session:
                zero = await session.counts()
                names = [f"effect.{state}" for state in ("intended", "unknown", "pending", "declined", "succeeded")]
                names += [f"start.{state}" for state in _COUNTED]
                assert zero == dict.fromkeys(names, 0)
                await session.add_starts([start("a"), start("b"), start("c")])
                await session.finish([Finish(id="a", epoch=1, state="failed")])
                await session.add_receipts([wrote(), effect("x"), effect("y"), effect("z", state="succeeded")])
                await session.add_receipts([effect("u", state="unknown"), effect("d", state="declined")])
                assert await session.counts() == zero | {
                    "start.open": 2, "start.failed": 1, "effect.intended": 2, "effect.succeeded": 1,
                    "effect.unknown": 1, "effect.declined": 1,
                }  # fmt: skip

        run(go())

    def test_p8_apps_do_not_see_each_other(self, make_record: MakeRecord) -> None:
        """One store, two apps: the same keys and ids, and nothing in common."""

        async def go() -> None:
            async with opened(make_record, "shop") as shop, opened(make_record, "bank") as bank:
                async with shop.session() as session:
                    await session.add_starts([start("a"), start("b")])
                    await session.add_receipts([wrote("w")])
                    await intended(session, "key")
                async with bank.session() as session:
                    assert await session.find_start("a") is None
                    assert (await session.find_receipt("w")).receipt is None
                    assert (await session.intend(effect("e"), after=after("w"), claim="a", claim_ms=1)).receipt is None
                    assert (await session.intend(effect("key"), after=None, claim="a", claim_ms=1)).inserted
                    await session.finish([Finish(id="a", epoch=1, state="failed")])
                    assert await session.undispatched("here", 10) == await session.starts(None, 10) == []
                    assert len(await session.receipts_of("order:1")) == 1
                    assert [new for _, new in await session.add_starts([start("a")])] == [True]
                async with shop.session() as session:
                    assert [found.state for found in await session.starts(None, 10)] == ["open", "open"]

        run(go())
