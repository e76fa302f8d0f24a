"""What a record must do for the reconciler; see :mod:`recordfirst.conformance.record`."""

from __future__ import annotations

import contextlib

import msgspec

from recordfirst.conformance.process import MakeRecord
from recordfirst.conformance.record import added, effect, opened, run, start
from recordfirst.core import decide
from recordfirst.core.finding import Audit, NewFinding
from recordfirst.core.start import Finish
from recordfirst.core.timeline import Mark


def finding(subject: str, code: str = "RF-START-LOST", detail: str = "gone") -> NewFinding:
    """A finding about this subject."""
    return NewFinding(code=code, subject=subject, detail=detail)


class ReconcileConformance:
    """Findings, passes, audit rows, and what is open."""

    def test_p10_findings_are_opened_once_and_closed_never_deleted(self, make_record: MakeRecord) -> None:
        """Seen again, it is the same one; closed and seen again, it is another. Each is kept."""

        async def go() -> None:
            async with opened(make_record) as record, record.session() as session:
                [first] = await session.saw_findings([finding("a")], "one")
                [again, other] = await session.saw_findings(
                    [finding("a", detail="still gone"), finding("b"), finding("b")], "two"
                )
                assert (again.number, again.times, again.detail) == (first.number, 2, "still gone")
                assert (again.opened_at_ms, other.times) == (first.opened_at_ms, 1)
                await session.close_findings([finding("a")], "repaired")
                await session.close_findings([finding("a"), finding("nobody")], "again")
                assert [found.subject for found in await session.findings(10)] == ["b"]
                assert await session.open_finding("RF-START-LOST", "a") is None
                [anew] = await session.saw_findings([finding("a")], "three")
                assert anew.number != first.number
                assert await session.open_finding("RF-START-LOST", "a") == anew
                assert await session.open_finding("RF-START-ENDED", "a") is None
                kept = {found.number: found for found in await session.findings(10, closed=True)}
                assert len(kept) == 3  # noqa: PLR2004 - twice a, once b
                assert kept[first.number].closed_because == "repaired"
                assert kept[first.number].closed_at_ms is not None

        run(go())

    def test_p10_what_came_after_a_round_began_is_not_closed(self, make_record: MakeRecord) -> None:
        """A workflow that stops behind the page on which it would be: its finding stays."""

        async def go() -> None:
            async with opened(make_record) as record, record.session() as session:
                [before] = await session.saw_findings([finding("a")], "one")
                await session.close_unseen(["RF-START-LOST"], "two", before.seen_at_ms - 1)
                assert [found.subject for found in await session.findings(10)] == ["a"]
                await session.close_unseen(["RF-START-LOST"], "two", before.seen_at_ms + 1)
                assert await session.findings(10) == []

        run(go())

    def test_p10_what_a_whole_round_has_not_seen_is_closed(self, make_record: MakeRecord) -> None:
        """Of the codes of its pass, and of no others."""

        async def go() -> None:
            async with opened(make_record) as record, record.session() as session:
                await session.saw_findings([finding("a"), finding("b"), finding("c", "RF-EFFECT-UNKNOWN")], "one")
                await session.saw_findings([finding("b")], "two")
                await session.close_unseen(["RF-START-LOST", "RF-START-ENDED"], "two")
                assert sorted(found.subject for found in await session.findings(10)) == ["b", "c"]

        run(go())

    def test_p6_a_pass_goes_on_where_it_was(self, make_record: MakeRecord) -> None:
        """Its round and position are kept until it has finished."""

        async def go() -> None:
            async with opened(make_record) as record, record.session() as session:
                assert await session.find_pass("epochs") is None
                await session.save_pass("epochs", "r1", "order:1", finished=False)
                assert await session.find_pass("epochs") == ("r1", "order:1", None)
                await session.save_pass("epochs", "r1", None, finished=True)
                state = await session.find_pass("epochs")
                assert state is not None
                assert state.finished_at_ms is not None
                assert abs(state.finished_at_ms - await session.now_ms()) < 60_000  # noqa: PLR2004 - a minute
                assert await session.find_pass("intents") is None

        run(go())

    def test_p6_open_starts_come_in_pages(self, make_record: MakeRecord) -> None:
        """Each open one once, oldest first, whatever is closed meanwhile."""

        async def go() -> None:
            async with opened(make_record) as record, record.session() as session:
                await session.add_starts([start(id) for id in "fedcba"])
                await session.add_starts([start("z")])
                await session.finish([Finish(id="c", epoch=1, state="failed")])
                seen, after = [], None
                while page := await session.open_starts(after, 0, 2):
                    assert len(page) <= 2  # noqa: PLR2004 - the limit
                    seen += [found.id for found in page]
                    after = page[-1].id
                    await session.finish([Finish(id=after, epoch=1, state="succeeded")])
                assert sorted(seen) == ["a", "b", "d", "e", "f", "z"]
                assert seen[-1] == "z"
                assert await session.open_starts(None, await session.now_ms() + 60_000, 10) == []

        run(go())

    def test_p6_unsettled_effects_come_in_pages(self, make_record: MakeRecord) -> None:
        """Those of one state, with each attempt."""

        async def go() -> None:
            async with opened(make_record) as record, record.session() as session:
                for key in "cab":
                    await session.intend(effect(key), after=None, claim="x", claim_ms=1)
                second = msgspec.structs.replace(effect("b"), attempt=2)
                await session.intend(second, after=None, claim="x", claim_ms=1)
                seen, after = [], None
                while page := await session.unsettled("intended", after, 0, 1):
                    after = (page[-1].key, page[-1].attempt)
                    seen.append(after)
                assert sorted(seen) == [("a", 1), ("b", 1), ("b", 2), ("c", 1)]
                assert await session.unsettled("unknown", None, 0, 10) == []
                assert await session.unsettled("intended", None, await session.now_ms() + 60_000, 10) == []

        run(go())

    def test_p6_a_new_epoch_for_the_one_that_was_seen(self, make_record: MakeRecord) -> None:
        """No engine has it; what moved on, or was closed, stays as it is."""

        async def go() -> None:
            async with opened(make_record) as record, record.session() as session:
                starts = [found for found, _ in await session.add_starts([start("a"), start("b")])]
                await session.dispatched(starts, "engine")
                await session.finish([Finish(id="b", epoch=1, state="succeeded")])
                assert await session.new_epoch(starts) == ["a"]
                assert await session.new_epoch(starts) == []
                born = await session.find_start("a")
                assert born is not None
                assert (born.epoch, born.engine, born.state) == (2, None, "open")

        run(go())

    def test_p3_while_effects_are_held_no_call_is_begun(self, make_record: MakeRecord) -> None:
        """Neither by a new intent nor by an old one, by any worker; what else is stored is stored."""

        async def go() -> None:
            async with opened(make_record) as record, record.session() as session:
                await session.begin_timeline("r", None)
                old = (await session.intend(effect("old"), after=None, claim="a", claim_ms=1)).receipt
                assert old is not None
                await session.hold("RF-RECORD-BEHIND", 0)
                assert (await session.intend(effect("new"), after=None, claim="b", claim_ms=1)).receipt is None
                assert await session.change_receipt(old, decide.begin_call(old, claim="b", claim_ms=1)) is None
                assert await session.change_receipt(old, decide.unknown(old, "{}")) is not None
                line = await session.find_timeline()
                assert line is not None
                assert (line.record, line.held, line.restores) == ("r", "RF-RECORD-BEHIND", 0)

        run(go())

    def test_p3_a_record_set_back_under_a_process_begins_no_call(self, make_record: MakeRecord) -> None:
        """Nor closes a start: what this process has seen of its marks, it must have."""

        async def go() -> None:
            async with opened(make_record) as record:
                async with record.session() as session:
                    old = (await session.intend(effect("old"), after=None, claim="a", claim_ms=1)).receipt
                    assert old is not None
                    await session.add_starts([start()])
                    await session.announce_mark("e", 0, Mark(generation=2, number=3, token="a", confirmed=False))  # noqa: S106
                end = Finish(id="order:1", epoch=1, state="succeeded")
                for later in (("e", 2, 4), ("e", 3, 1), ("another", 1, 1)):
                    record.seen_mark = later
                    async with record.session() as session:
                        assert (await session.intend(effect("new"), after=None, claim="b", claim_ms=1)).receipt is None
                        assert await session.change_receipt(old, decide.begin_call(old, claim="b", claim_ms=1)) is None
                        await session.finish([end])
                        [found] = await session.starts(None, 10)
                        assert found.state == "open"
                for number, seen in enumerate((("e", 2, 3), ("e", 1, 9), None)):
                    record.seen_mark = seen
                    async with record.session() as session:
                        new = effect(f"new {number}")
                        assert (await session.intend(new, after=None, claim="b", claim_ms=1)).receipt is not None
                async with record.session() as session:
                    assert await session.change_receipt(old, decide.begin_call(old, claim="b", claim_ms=1)) is not None
                    await session.finish([end])
                    assert await session.starts("open", 10) == []

        run(go())

    def test_p3_after_a_restore_what_may_have_been_called_is_in_doubt(self, make_record: MakeRecord) -> None:
        """What is not settled, and what workflows intend that were accepted before the doubt ends; begun by nobody."""

        async def go() -> None:
            async with opened(make_record) as record, record.session() as session:
                await session.begin_timeline("r", None)
                old = (await session.intend(effect("old"), after=None, claim="a", claim_ms=1)).receipt
                assert old is not None
                never = await session.change_receipt(old, decide.withdrawn(old))
                assert never is not None
                flying = (await session.intend(effect("flying"), after=None, claim="me", claim_ms=60_000)).receipt
                assert flying is not None
                [(lost, _)] = await session.add_starts([start("order:1")])
                await session.hold("RF-RECORD-BEHIND", 0)
                async with record.transaction() as tx:
                    await tx.accept("w", 1)
                    assert await tx.new_epochs(None) == [lost.id]
                line = await session.find_timeline()
                assert line is not None
                assert line.accepted_at_ms is not None
                assert (line.held, line.restores, line.history_id) == (None, 1, "w")
                await session.hold("RF-RECORD-BEHIND", 0)  # by one who looked before that
                assert await session.find_timeline() == line
                again = (await session.find_receipt("old")).receipt
                assert again is not None
                assert (again.doubts, again.calls, again.revision) == (1, 1, never.revision + 1)
                both = (await session.find_receipt("flying")).receipt
                assert both is not None
                assert decide.withdrawn(both).doubts == 2  # noqa: PLR2004 - the call under way, and one that was lost
                landed = await session.change_receipt(both, decide.not_done(both, "{}", 0, claim="me"))
                assert landed is not None
                assert (landed.doubts, landed.key_since_ms) == (1, both.key_since_ms)
                found = (await session.intend(effect("new"), after=None, claim="b", claim_ms=1)).receipt
                [announced] = await added(session, effect("announced"))
                for receipt in [found, *await added(session, effect("x"), effect("y")), announced]:
                    assert receipt is not None
                    assert (receipt.claim, receipt.doubts, receipt.calls) == (None, 1, 1)
                    assert receipt.key_since_ms is not None
                    assert receipt.key_since_ms <= line.accepted_at_ms == receipt.last_call_at_ms
                while await session.now_ms() <= line.accepted_at_ms + 1:
                    pass
                await session.add_starts([start("later")])
                later = msgspec.structs.replace(effect("z"), workflow="later")
                fresh = (await session.intend(later, after=None, claim="b", claim_ms=1)).receipt
                assert fresh is not None
                assert (fresh.claim, fresh.key_since_ms) == ("b", fresh.created_at_ms)

        run(go())

    def test_p3_a_second_restore_forgets_nothing_of_the_first(self, make_record: MakeRecord) -> None:
        """What a workflow of that time asks for only now was called then, if it was: as long as one can still ask."""

        async def go() -> None:
            async with opened(make_record) as record, record.session() as session:

                async def restore(doubt_ms: int) -> int:
                    """Return when record and engine were last said to be consistent."""
                    begun_ms = await session.now_ms()
                    while await session.now_ms() <= begun_ms + 1:
                        pass
                    await session.alive()
                    line = await session.find_timeline()
                    assert line is not None
                    await session.hold("RF-RECORD-BEHIND", line.restores)
                    async with record.transaction() as tx:
                        await tx.accept("w", doubt_ms)
                    return line.seen_at_ms

                async def asked(key: str) -> int | None:
                    receipt = (await session.intend(effect(key), after=None, claim="b", claim_ms=1)).receipt
                    assert receipt is not None
                    return receipt.key_since_ms

                await session.begin_timeline("r", None)
                await session.add_starts([start("order:1")])
                first_ms = await restore(1)
                await restore(0)
                assert await asked("of an open one") == first_ms
                await session.finish([Finish(id="order:1", epoch=1, state="succeeded")])
                last_ms = await restore(3_600_000)
                assert await asked("when nobody is left to ask") == last_ms
                await restore(0)
                assert await asked("while what is lost may be asked for again") == last_ms

        run(go())

    def test_p6_marks_are_announced_one_after_the_other(self, make_record: MakeRecord) -> None:
        """By the worker that saw the newest; confirmed by its token; after a restore there is none."""

        async def go() -> None:
            async with opened(make_record) as record, record.session() as session:
                first = Mark(generation=1, number=1, token="a", confirmed=False)  # noqa: S106 - no password
                second = Mark(generation=1, number=2, token="b", confirmed=False)  # noqa: S106 - no password
                assert await session.find_mark("e") is None
                await session.announce_mark("e", 0, first)
                await session.announce_mark("e", 0, second)
                assert await session.find_mark("e") == first
                await session.confirm_mark("e", second)
                await session.confirm_mark("e", first)
                await session.announce_mark("e", 1, second)
                assert await session.find_mark("e") == second
                assert await session.find_mark("another") is None
                async with record.transaction() as tx:
                    await tx.accept(None, 0)
                emptied = await session.find_mark("e")
                assert emptied is not None
                assert (emptied.generation, emptied.number, emptied.confirmed) == (1, 0, False)

        run(go())

    def test_p10_who_did_what(self, make_record: MakeRecord) -> None:
        """In the transaction of what was done: rolled back with it."""

        async def go() -> None:
            async with opened(make_record) as record:
                audit = Audit(who="ann", command="retry", subject="order:1", why="fixed", detail="open")
                async with record.transaction() as tx:
                    await tx.add_audit(audit)
                with contextlib.suppress(ZeroDivisionError):
                    async with record.transaction() as tx:
                        await tx.add_audit(audit)
                        _ = 1 // 0
                async with record.session() as session:
                    [kept] = await session.audits(None, 10)
                    assert await session.audits("order:1", 10) == [kept]
                    assert await session.audits("order:2", 10) == []
                assert kept.at_ms > 0
                same = ("who", "command", "subject", "why", "detail")
                assert [getattr(kept, name) for name in same] == [getattr(audit, name) for name in same]

        run(go())
