"""Notices the loss or rewind of either side, holds effects, and repairs.

A worker compares record and engine before its first workflow runs, and leaves a new mark every ten seconds. If the
engine is behind, its open workflows begin a new epoch without an operator: the record knows what was done. If the
record is behind, or another copy than before serves it, no worker works and no effect begins until an operator has
accepted the restore: outside there may be effects that the record does not know. After that, an effect that may have
been called in the lost time is called under its old key while the provider honours it, or probed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from functools import partial
from typing import Any, NoReturn

import msgspec

from recordfirst.core import identity
from recordfirst.core import timeline as t
from recordfirst.core.finding import Audit, NewFinding
from recordfirst.engine.contract import Engine
from recordfirst.errors import EffectsHeld, RecordfirstError
from recordfirst.execution.runtime import Runtime
from recordfirst.reconcile.contract import Discrepancy, Page, PassContext
from recordfirst.records.contract import Session

DOUBT_MS = 24 * 3_600_000
"""For how long after a restore a workflow that is started may be one that was lost, and is asked for again."""
_FORGETFUL = "memory"
"""For engines that keep nothing, marks are counted too: the process that works remembers them."""


class Timelines:
    """Record and engine against each other's marks."""

    name = "timeline"
    codes: tuple[str, ...] = ("RF-RECORD-BEHIND", "RF-RECORD-MOVED", "RF-ENGINE-BEHIND")
    full_scan = False
    dated = False

    async def pages(self, scope: PassContext, position: str | None) -> AsyncIterator[Page]:
        """Look once."""
        del position
        finding = await look(scope.runtime, scope.engine)
        if finding is None:
            return
        discrepancy = Discrepancy(finding)
        if finding.code == "RF-ENGINE-BEHIND" and scope.engine is not None:
            repair = partial(put_right, scope.runtime, scope.engine, partial(scope.audit, finding))
            discrepancy = Discrepancy(finding, repair, audits=True)
        yield Page([discrepancy], 1, "")


async def look(runtime: Runtime, engine: Engine | None) -> NewFinding | None:
    """Say what is wrong with the record's or this engine's history; changes nothing."""
    async with runtime.record.session() as session:
        line = await session.find_timeline()
        history_id = await session.history_id()
    if line is None:
        line = t.Timeline(
            record="", history_id=history_id, restores=0, held=None, held_at_ms=None, seen_at_ms=0, accepted_at_ms=None,
            doubted_until_ms=None,
        )  # fmt: skip
    if line.held is not None:
        return _record_finding(runtime, line.held, "effects are held since it was noticed")
    if _has_moved(line, history_id):
        return _record_finding(runtime, "RF-RECORD-MOVED", f"it was {line.history_id}, and is {history_id}")
    less = await _has_less(runtime)
    if less is not None or engine is None or not engine.lasting:
        return less
    match await _judge(runtime, engine, line):
        case "record behind":
            return _record_finding(runtime, "RF-RECORD-BEHIND", f"{engine.identity} has marks of a later record")
        case "engine behind":
            detail = "it does not have the newest mark that the record has confirmed"
            return NewFinding(code="RF-ENGINE-BEHIND", subject=engine.identity, detail=detail)
    return None


def _has_moved(line: t.Timeline, history_id: str | None) -> bool:
    """A role that may not ask, now or when the timeline was begun, sees nothing wrong in that."""
    return None not in (line.history_id, history_id) and line.history_id != history_id


async def _has_less(runtime: Runtime) -> NewFinding | None:
    """Compare the record with what is kept beside it; what cannot be read says nothing."""
    try:
        kept = msgspec.json.decode(runtime.record.kept_mark() or "", type=t.Kept)
    except msgspec.DecodeError:
        return None
    async with runtime.record.session() as session:
        mark = await session.find_mark(kept.engine)
    if not t.has_less(mark, kept):
        return None
    detail = f"beside it is kept that it had mark {kept.number} for {kept.engine}; it has an earlier or another one"
    return _record_finding(runtime, "RF-RECORD-BEHIND", detail)


def _record_finding(runtime: Runtime, code: str, detail: str) -> NewFinding:
    return NewFinding(code=code, subject=runtime.app, detail=detail)


async def _judge(runtime: Runtime, engine: Engine, line: t.Timeline) -> t.TimelineVerdict:
    """Judge by the mark that stands in the record before the engine is asked, and still after that.

    Another worker may leave its mark meanwhile: the engine then has one that the record, as it was read, has not.
    """
    mark = await _mark(runtime, engine)
    while True:
        verdict = await _judge_by(runtime, engine, line, mark)
        stands = await _mark(runtime, engine)
        if stands == mark:
            return verdict
        mark = stands


async def _mark(runtime: Runtime, engine: Engine) -> t.Mark | None:
    async with runtime.record.session() as session:
        return await session.find_mark(engine.identity)


async def _judge_by(runtime: Runtime, engine: Engine, line: t.Timeline, mark: t.Mark | None) -> t.TimelineVerdict:
    seen = mark or t.Mark(generation=0, number=0, token="", confirmed=False)
    own = await engine.noted(_note(runtime, seen.generation, seen.number)) if seen.number else None
    before = await engine.noted(_note(runtime, seen.generation, seen.number - 1)) if seen.number > 1 else None
    next_ = await engine.noted(_note(runtime, seen.generation, seen.number + 1)) if seen.number else None
    another = await engine.noted(_note(runtime, seen.generation + 1, 1))
    behind = next_ is not None or another is not None
    if seen.number and not behind and not t.next_tells(seen.number, own):
        behind = await _has_later(runtime, engine, seen)
    return t.judge(mark, restored=line.restores > 0, own=own, before=before, behind=behind)


async def _has_later(runtime: Runtime, engine: Engine, mark: t.Mark) -> bool:
    for number in t.later(mark.number):
        if await engine.noted(_note(runtime, mark.generation, number)) is not None:
            return True
    return False


async def unneeded_marks(runtime: Runtime, engine: Engine, engine_ids: Iterable[str]) -> list[str]:
    """Which of what an engine has are marks that no longer tell anything."""
    marks = {each: parsed for each in engine_ids if (parsed := identity.parse_mark_id(runtime.app, each)) is not None}
    if not marks:
        return []
    newest = await _mark(runtime, engine)
    return [each for each, (generation, number) in marks.items() if not t.is_needed(newest, generation, number)]


def _note(runtime: Runtime, generation: int, number: int) -> str:
    return identity.mark_id(runtime.app, generation, number)


async def check(runtime: Runtime, engine: Engine) -> t.Timeline:
    """Before a worker works: notice, and put the engine right.

    Raises:
        EffectsHeld: if the record is behind or was moved; nobody is to work until an operator has accepted that.
    """
    async with runtime.record.session() as session:
        if await session.find_timeline() is None:
            await session.begin_timeline(runtime.seams.new_id(), await session.history_id())
        line = await session.find_timeline()
    finding = await look(runtime, engine)
    if finding is not None and finding.code != "RF-ENGINE-BEHIND":
        async with runtime.record.session() as session:
            await _hold(runtime, session, line, finding.code, finding.detail, "start-up")
    if finding is not None:
        async with runtime.record.session() as session:
            await session.saw_findings([finding], "start-up")
        code, subject = finding.code, finding.subject

        def audit(done: str) -> Audit:
            return Audit(who="worker", command="reconcile", subject=subject, detail=f"{code}: {done}")

        done = await put_right(runtime, engine, audit)
        async with runtime.record.session() as session:
            await session.close_findings([finding], f"repaired: {done}")
    await leave_mark(runtime, engine)
    async with runtime.record.session() as session:
        line = await session.find_timeline()
    assert line is not None
    return line


async def put_right(runtime: Runtime, engine: Engine, audit: Callable[[str], Audit]) -> str:
    """The engine has lost what it was given: all that is open there begins a new epoch."""

    async def store() -> str:
        async with runtime.record.transaction() as tx:
            mark = await tx.find_mark(engine.identity)
            if mark is not None:
                # The next mark, in the same transaction: a second worker finds nothing to put right.
                await tx.announce_mark(engine.identity, mark.number, _next(runtime, mark))
            done = f"{len(await tx.new_epochs(engine.identity))} open workflows began a new epoch"
            await tx.add_audit(audit(done))
            await runtime.record.notify(tx)
            return done

    done: str = await runtime.patiently("engine behind", store, release=False)
    await leave_mark(runtime, engine, announced=True)
    return done


async def glance(runtime: Runtime) -> None:
    """Look whether work may go on: nothing is held, no restore was accepted, and the record is the one it was.

    Raises:
        EffectsHeld: if work must end, because effects are held, or the record was restored or moved while we worked.
        RecordfirstError: if a restore was accepted elsewhere, so that the work must begin anew.
    """
    async with runtime.record.session() as session:
        line, history_id = await session.find_timeline(), await session.history_id()
        if line is not None and line.held is not None:
            raise EffectsHeld(runtime.app, line.held, "noticed while this worker worked")
        if line is not None and line.restores > runtime.restores:
            raise RecordfirstError("a restore of the record was accepted; work begins anew")
        if line is not None and _has_moved(line, history_id):
            await _hold(
                runtime, session, line, "RF-RECORD-MOVED", f"it was {line.history_id}, and is {history_id}", "glance"
            )
        if line is None or await runtime.held(session) is not None:
            await _hold(runtime, session, line, "RF-RECORD-BEHIND", "it was restored while a worker worked", "glance")


async def _hold(
    runtime: Runtime, session: Session[Any], line: t.Timeline | None, code: str, detail: str, round: str
) -> NoReturn:
    """Hold for what was seen on this timeline."""
    if line is not None:
        await session.hold(code, line.restores)
    await session.saw_findings([_record_finding(runtime, code, detail)], round)
    raise EffectsHeld(runtime.app, code, detail)


async def leave_mark(runtime: Runtime, engine: Engine, *, announced: bool = False) -> None:
    """Announce the next mark, or finish the one that is announced, and say that record and engine are consistent.

    Raises:
        EffectsHeld: if the engine has another note under that number: a later record has left it.
    """
    name = engine.identity if engine.lasting else _FORGETFUL
    async with runtime.record.session() as session:
        line, mark = await session.find_timeline(), await session.find_mark(name)
        if mark is None or mark.number == 0:
            first = t.Mark(
                generation=await _new_generation(runtime, engine, mark),
                number=1,
                token=runtime.seams.new_id(),
                confirmed=False,
            )
            await session.announce_mark(name, 0, first)
        elif mark.confirmed and not announced:
            await session.announce_mark(name, mark.number, _next(runtime, mark))
        mark = await session.find_mark(name)
        assert mark is not None
        kept = (
            await engine.note(_note(runtime, mark.generation, mark.number), mark.token)
            if engine.lasting
            else mark.token
        )
        if kept != mark.token:
            detail = f"{engine.identity} has another mark {mark.number}"
            await _hold(runtime, session, line, "RF-RECORD-BEHIND", detail, "mark")
        beside = t.Kept(engine=name, generation=mark.generation, number=mark.number, token=mark.token)
        runtime.record.keep_mark(msgspec.json.encode(beside).decode())
        await session.confirm_mark(name, mark)
        await session.alive()
    runtime.record.seen_mark = (name, mark.generation, mark.number)
    for number in t.leave_at(mark.number) if engine.lasting else ():
        note = _note(runtime, mark.generation, number)
        await engine.settle(note)  # a server's own collection takes what is settled
        engine.forget(note)


def _next(runtime: Runtime, mark: t.Mark) -> t.Mark:
    return t.Mark(generation=mark.generation, number=mark.number + 1, token=runtime.seams.new_id(), confirmed=False)


async def _new_generation(runtime: Runtime, engine: Engine, mark: t.Mark | None) -> int:
    """The first generation that the engine has no mark of."""
    generation = (mark.generation if mark is not None else 0) + 1
    while engine.lasting and await engine.noted(_note(runtime, generation, 1)) is not None:
        generation += 1
    return generation


async def accept_restore(runtime: Runtime, *, doubt_ms: int, who: str, why: str | None) -> str:
    """An operator accepts, or says, that the record was restored: all that is open begins a new epoch, and what may
    have been called in the time that was lost is in doubt. Also where nothing has noticed: an operator may know more.
    """

    async def store() -> str:
        async with runtime.record.transaction() as tx:
            await tx.begin_timeline(runtime.seams.new_id(), await tx.history_id())
            line = await tx.find_timeline()
            assert line is not None
            held = line.held or _SAID
            await tx.accept(await tx.history_id(), doubt_ms)
            born = await tx.new_epochs(None)
            done = f"accepted; {len(born)} open workflows began a new epoch"
            finding = _record_finding(runtime, held, "")
            await tx.close_findings([finding], f"repaired: {done}")
            detail = f"{held}: {done}"
            await tx.add_audit(Audit(who=who, command="accept restore", subject=runtime.app, why=why, detail=detail))
            await runtime.record.notify(tx)
            return done

    runtime.record.keep_mark(None)  # if we die now, what is held is held by the record's own word
    done: str = await runtime.patiently("accepting a restore", store, release=False)
    return done


_SAID = "RF-RECORD-BEHIND"
"""What an operator says who accepts a restore that nothing has noticed."""
