"""What a record must do with workflows that a defect stops; see :mod:`recordfirst.conformance.record`."""

from __future__ import annotations

import asyncio
from typing import Any

from recordfirst.conformance.process import MakeRecord
from recordfirst.conformance.record import ODD, added, changed, effect, insisted, opened, run, start, wrote
from recordfirst.core import decide
from recordfirst.core.start import Finish, Start
from recordfirst.records.contract import Session


async def stop(session: Session[Any], epoch: int = 1, *, id: str = "order:1", version: str = "one") -> Start:
    """Stop a start, which can be."""
    stopped = await session.stop(id, epoch, stop=ODD, version=version)
    assert stopped is not None
    return stopped


async def lock_and_stop(tx: Session[Any]) -> Start:
    """Stop it as a worker does, behind each step that is being stored."""
    await tx.lock_start("order:1")
    return await stop(tx)


async def resume(session: Session[Any], epoch: int, *, forget: bool = False) -> Start:
    """Let a stopped start go on, which can."""
    resumed = await session.resume("order:1", epoch, forget=forget)
    assert resumed is not None
    return resumed


async def ids(session: Session[Any], version: str | None, limit: int = 10) -> list[str]:
    """The stopped workflows that a version has not tried; all of them, if none is named."""
    return [found.id for found in await session.stopped(version, limit)]


async def reopen(session: Session[Any], again: str | None = None) -> Start:
    """Open a failed start again, which can be."""
    opened_again = await session.reopen("order:1", again=again)
    assert opened_again is not None
    return opened_again


class StopConformance:
    """Starts that a defect stops, and that go on."""

    def test_p9_a_stopped_workflow_is_open_and_given_to_no_engine(self, make_record: MakeRecord) -> None:
        """In a new epoch, with what stopped it, byte for byte; it counts as open, and as stopped."""

        async def go() -> None:
            async with opened(make_record) as record, record.session() as session:
                [(first, _)] = await session.add_starts([start()])
                assert (first.is_stopped, first.stop, first.stopped_in, first.tries) == (False, None, None, 0)
                await session.dispatched([first], "here")
                before_ms = await session.now_ms()
                stopped = await stop(session)
                assert await session.find_start("order:1") == stopped
                assert (stopped.state, stopped.is_stopped, stopped.is_undoing) == ("open", True, False)
                assert (stopped.epoch, stopped.min_epoch, stopped.engine) == (2, 2, None)
                assert (stopped.stop, stopped.stopped_in, stopped.error) == (ODD, " one ", None)
                assert stopped.stopped_at_ms is not None
                assert before_ms <= stopped.stopped_at_ms <= await session.now_ms()
                assert await session.undispatched("here", 10) == await session.undispatched("another", 10) == []
                assert await session.left_epochs("here", 10) == [("order:1", 2)]
                assert await session.left_epochs("another", 10) == []
                assert await session.still_open(["order:1"]) == {"order:1"}
                counts = await session.counts()
                assert (counts["start.open"], counts["start.stopped"]) == (1, 1)

        run(go())

    def test_p9_a_stop_counts_for_its_own_epoch(self, make_record: MakeRecord) -> None:
        """Of what is open and not stopped; what an earlier epoch reports late changes nothing."""

        async def go() -> None:
            async with opened(make_record) as record, record.session() as session:
                await session.add_starts([start(), start("ended")])
                await session.finish([Finish(id="ended", epoch=1, state="succeeded")])
                assert await session.stop("order:1", 2, stop="{}", version="one") is None
                stopped = await stop(session)
                late = [("order:1", 1), ("order:1", 2), ("ended", 1), ("nobody", 1)]
                assert [await session.stop(*each, stop="{}", version="late") for each in late] == [None] * len(late)
                assert await session.finish([Finish(id="order:1", epoch=1, state="failed")]) == set()
                assert await session.find_start("order:1") == stopped
                assert await ids(session, None) == ["order:1"]

        run(go())

    def test_p9_no_step_of_an_epoch_that_was_stopped_is_stored(self, make_record: MakeRecord) -> None:
        """Not a write's receipt, not an intent, not the beginning of a call. A call's outcome is."""

        async def go() -> None:
            async with opened(make_record) as record, record.session() as session:
                await session.add_starts([start()])
                [early] = await added(session, effect("early"), epoch=1)
                await stop(session)
                begin = decide.begin_call(early, claim="a", claim_ms=1)
                assert await session.change_receipt(early, begin, epoch_of=("order:1", 1)) is None
                for epoch, can in ((1, False), (2, True)):
                    intended = await session.intend(effect(f"{epoch}"), after=None, claim="a", claim_ms=1, epoch=epoch)
                    assert (intended.receipt is not None, intended.inserted) == (can, can)
                    assert bool(await session.add_receipts([wrote(f"{epoch}/write")], epoch=epoch)) == can
                done = await session.change_receipt(early, changed(early, state="succeeded"), epoch_of=("order:1", 1))
                assert done is not None
                assert done.state == "succeeded"

        run(go())

    def test_p9_a_stop_and_the_last_step_wait_for_each_other(self, make_record: MakeRecord) -> None:
        """A step that is being stored is stored before the workflow is stopped, or not at all."""

        async def go() -> None:
            async with opened(make_record) as one, opened(make_record) as other:
                async with one.session() as session:
                    await session.add_starts([start()])
                async with one.transaction() as tx:
                    assert await tx.add_receipts([wrote()], epoch=1) != []
                    stopping = asyncio.create_task(insisted(other, lock_and_stop))
                    await asyncio.wait([stopping], timeout=0.2)
                    assert not stopping.done()
                assert (await stopping).epoch == 2  # noqa: PLR2004 - the one behind it
                async with one.transaction() as tx:
                    await resume(tx, 2)
                    await tx.lock_start("order:1")
                    await stop(tx, 2)
                    late = asyncio.create_task(insisted(other, lambda tx: tx.add_receipts([wrote("late")], epoch=2)))
                    await asyncio.wait([late], timeout=0.2)
                    assert not late.done()
                assert await late == []

        run(go())

    def test_p9_a_stopped_workflow_goes_on_in_the_epoch_that_it_has(self, make_record: MakeRecord) -> None:
        """Once; any engine is given it. Which versions it has stopped in stays, unless an operator says otherwise."""

        async def go() -> None:
            async with opened(make_record) as record, record.session() as session:
                await session.add_starts([start()])
                assert await session.resume("order:1", 1, forget=True) is None
                await stop(session)
                assert [await session.resume("order:1", epoch, forget=True) for epoch in (1, 3)] == [None, None]
                resumed = await resume(session, 2)
                assert (resumed.is_stopped, resumed.stop, resumed.stopped_at_ms) == (False, None, None)
                assert (resumed.epoch, resumed.min_epoch, resumed.stopped_in) == (2, 2, " one ")
                assert await session.undispatched("here", 10) == [resumed]
                assert await session.resume("order:1", 2, forget=True) is None
                assert (await session.counts())["start.stopped"] == 0
                assert (await stop(session, 2, version="two")).stopped_in == " one two "
                await resume(session, 3)
                assert (await stop(session, 3, version="one")).stopped_in == " one two "
                assert (await resume(session, 4, forget=True)).stopped_in is None
                assert await session.finish([Finish(id="order:1", epoch=4, state="succeeded")]) == {"order:1"}

        run(go())

    def test_p9_a_version_is_shown_what_it_has_not_tried(self, make_record: MakeRecord) -> None:
        """Longest stopped first, and no more than was asked for; of this app alone."""

        async def go() -> None:
            async with opened(make_record) as record, record.session() as session:
                assert await ids(session, None) == []
                await session.add_starts([start(id) for id in ("a", "b", "c", "order:1", "runs")])
                for id, version in (("c", "one"), ("a", "two"), ("order:1", "one"), ("b", "v1")):
                    await stop(session, id=id, version=version)
                    await asyncio.sleep(0.002)
                await resume(session, 2)
                await stop(session, 2, version="two")
                assert await ids(session, None) == ["c", "a", "b", "order:1"]
                assert await ids(session, None, 2) == ["c", "a"]
                assert await ids(session, "one") == ["a", "b"]
                assert await ids(session, "two", 1) == ["c"]
                # A part of a version's name is another version.
                assert await ids(session, "v") == await ids(session, "ne") == await ids(session, None)
                async with opened(make_record, "bank") as bank, bank.session() as others:
                    assert await ids(others, None) == []
                    assert await others.stop("runs", 1, stop="{}", version="one") is None
                    assert await others.resume("c", 2, forget=True) is None

        run(go())

    def test_p9_one_that_was_failing_keeps_its_failure(self, make_record: MakeRecord) -> None:
        """It undoes the rest in its next epoch, and nothing else; a later stop without a failure changes neither."""

        async def go() -> None:
            async with opened(make_record) as record, record.session() as session:
                await session.add_starts([start()])
                stopped = await session.stop("order:1", 1, stop="{}", version="one", failure=ODD)
                assert stopped is not None
                assert (stopped.is_stopped, stopped.is_undoing, stopped.error) == (True, True, ODD)
                resumed = await resume(session, 2)
                assert (resumed.is_undoing, resumed.error) == (True, ODD)
                later = await stop(session, 2)
                assert (later.undo_only, later.error) == (True, ODD)

        run(go())

    def test_p9_an_operator_may_cancel_what_is_stopped(self, make_record: MakeRecord) -> None:
        """With undo, it is given to an engine at once, and undoes; without, it has ended. It is stopped no more."""

        async def go() -> None:
            async with opened(make_record) as record, record.session() as session:
                await session.add_starts([start(), start("b")])
                for id, undo, state in (("order:1", True, "open"), ("b", False, "cancelled")):
                    await stop(session, id=id)
                    ended = await session.end_epochs(id, undo=undo, error="{}")
                    assert ended is not None
                    assert (ended.state, ended.epoch, ended.min_epoch) == (state, 3, 3)
                    assert (ended.is_stopped, ended.is_undoing) == (False, undo)
                    assert (ended.stop, ended.stopped_at_ms, ended.stopped_in) == (None, None, None)
                assert [found.id for found in await session.undispatched("here", 10)] == ["order:1"]
                assert await ids(session, None) == []

        run(go())

    def test_p3_one_that_is_opened_again_knows_what_is_behind_it(self, make_record: MakeRecord) -> None:
        """Its attempts, as they were given last; then it does not only undo. Every version may try it again."""

        async def go() -> None:
            async with opened(make_record) as record, record.session() as session:
                [(first, _)] = await session.add_starts([start()])
                assert (first.again, first.undo_only) == (None, False)
                await session.stop("order:1", 1, stop="{}", version="one", failure=ODD)
                await resume(session, 2)
                failed = Finish(id="order:1", epoch=2, state="failed", error=ODD)
                assert await session.finish([failed]) == {"order:1"}
                kept = await reopen(session)
                assert (kept.epoch, kept.is_undoing, kept.error, kept.again) == (3, True, ODD, None)
                assert (kept.is_stopped, kept.stopped_in) == (False, None)
                await session.finish([Finish(id="order:1", epoch=3, state="failed", error=ODD)])
                anew = await reopen(session, again=ODD)
                assert (anew.epoch, anew.is_undoing, anew.error, anew.again) == (4, False, None, ODD)
                await session.finish([Finish(id="order:1", epoch=4, state="failed", error="{}")])
                same = await reopen(session)
                assert (same.epoch, same.undo_only, same.error, same.again) == (5, False, None, ODD)

        run(go())

    def test_p9_what_a_write_declines_is_settled(self, make_record: MakeRecord) -> None:
        """The declared exception of a write, stored as its outcome, byte for byte, before the body sees it."""

        async def go() -> None:
            async with opened(make_record) as record, record.session() as session:
                await session.add_starts([start()])
                given = wrote(state="declined", result=ODD, error=ODD)
                [declined] = await added(session, given, epoch=1)
                assert (declined.kind, declined.state) == ("write", "declined")
                assert (declined.result, declined.error) == (ODD, ODD)
                assert declined.settled_at_ms is not None
                beside = await added(session, wrote("b", state="declined", error="{}"), wrote("c"), epoch=1)
                assert None not in [receipt.settled_at_ms for receipt in beside]
                # An effect's receipt is its provider's word, and is counted; a write's is not.
                assert (await session.counts())["effect.declined"] == 0
                assert await session.add_receipts([wrote()], epoch=1) == []

        run(go())

    def test_p7_how_often_a_body_was_begun_again_is_counted(self, make_record: MakeRecord) -> None:
        """Of the epoch that it has, while it is open and not stopped, and no further than asked; until it waits."""

        async def go() -> None:
            async with opened(make_record) as record, record.session() as session:
                await session.add_starts([start(), start("b"), start("ended")])
                await session.finish([Finish(id="ended", epoch=1, state="succeeded")])
                assert [await session.begin_try("order:1", 1, below=3) for _ in range(4)] == [1, 2, 3, None]
                assert [found.tries for found in await session.find_starts(["order:1", "b"])] in ([3, 0], [0, 3])
                late = [("order:1", 2), ("ended", 1), ("nobody", 1)]
                assert [await session.begin_try(*each, below=9) for each in late] == [None] * len(late)
                async with opened(make_record, "bank") as bank, bank.session() as others:
                    assert await others.begin_try("order:1", 1, below=9) is None
                    await others.tries_over(["order:1"])
                await session.tries_over(["b", "nobody"])
                assert await session.begin_try("order:1", 1, below=9) == 4  # noqa: PLR2004 - one more
                await session.tries_over(["order:1"])
                assert await session.begin_try("order:1", 1, below=9) == 1
                stopped = await stop(session)
                assert await session.begin_try("order:1", stopped.epoch, below=9) is None

        run(go())
