"""The reconciler: runs its passes one after the other, keeps what they find, and repairs what can be repaired.

It is level-triggered and safe to run anywhere and any number of times. When it repairs, one process at a time holds it
(a lease of the record), and how far each pass has come is stored after every page, so that another goes on from there.
Without repairs it changes nothing at all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from recordfirst.core.finding import NewFinding
from recordfirst.errors import EffectsHeld, Misuse
from recordfirst.execution.patience import fault_of
from recordfirst.observe import RepairFailed
from recordfirst.providers.contract import describe
from recordfirst.reconcile.contract import PAGE, Discrepancy, Page, Pass, PassContext
from recordfirst.reconcile.dismissing import standing
from recordfirst.reconcile.passes.effects import Intents, Late, Pendings, Unknowns
from recordfirst.reconcile.passes.events import Events
from recordfirst.reconcile.passes.indexes import Indexes, must_keep
from recordfirst.reconcile.passes.invariants import Invariants
from recordfirst.reconcile.passes.ledgers import Ledgers
from recordfirst.reconcile.passes.missed_events import MissedEvents
from recordfirst.reconcile.passes.providers import Providers
from recordfirst.reconcile.passes.references import Projections, References
from recordfirst.reconcile.passes.reversals import UnhandledReversals
from recordfirst.reconcile.passes.sealed import Sealed
from recordfirst.reconcile.passes.starts import Epochs
from recordfirst.reconcile.passes.waits import Waits
from recordfirst.reconcile.restores import Timelines

PASSES: tuple[Pass, ...] = (
    Timelines(),
    Indexes(),
    Epochs(),
    Intents(),
    Unknowns(),
    Pendings(),
    Late(),
    Waits(),
    Events(),
    UnhandledReversals(),
    MissedEvents(),
    Invariants(),
    Projections(),
    References(),
    Providers(),
    Ledgers(),
    Sealed(),
)
"""In the order in which they run."""
OPEN = tuple(each for each in PASSES if not each.full_scan)
"""What costs no more than what is open: what runs where no pass is named."""

_ROWS_PER_S = 2_000
"""Most rows that are looked at in a second: a reconcile is to be felt by nobody."""


class Sighting(msgspec.Struct, frozen=True, kw_only=True):
    """What a reconcile saw."""

    finding: NewFinding
    repaired: str | None = None
    """What was done about it."""
    begun: str | None = None
    """What somebody else does about it now, so that it is still to be found until then."""
    failed: str | None = None
    """Why it could not be repaired, if that was tried."""
    is_new: bool = True
    """Whether no earlier reconcile that kept what it found has seen it."""


class Report(msgspec.Struct, kw_only=True):
    """What a reconcile came to."""

    found: list[Sighting] = []
    looked: dict[str, int] = {}
    """Rows that each pass looked at."""
    dismissed: int = 0
    """What was seen and is no longer a finding, because an operator has dismissed it."""
    accepted: str | None = None
    """What accepting a restore came to, if it was asked for."""
    notes: list[str] = []
    """What was not looked at, and why, in words."""
    engine_asked: bool = True
    """Whether the engine could be asked; one that lives in another process cannot."""

    @property
    def left(self) -> list[NewFinding]:
        """What was found and not repaired."""
        return [each.finding for each in self.found if each.repaired is None]


def passes_named(names: Sequence[str], known: Sequence[Pass] = PASSES) -> list[Pass]:
    """Return passes by name; if none is named, all that look at what is open.

    Raises:
        Misuse: if there is none of a name.
    """
    wrong = [name for name in names if name not in {each.name for each in known}]
    if wrong:
        raise Misuse(f"there is no pass {wrong[0]!r}; there are: {', '.join(each.name for each in known)}")
    return [each for each in known if (each.name in names if names else not each.full_scan)]


async def look(scope: PassContext, passes: Sequence[Pass], tell: Callable[[str, int], None]) -> Report:
    """Say what would be found now. Changes nothing."""
    report = Report(engine_asked=scope.engine is not None)
    for each in passes:
        async for page in each.pages(scope, None):
            _count(report, each, page, tell)
            report.found += [
                Sighting(finding=discrepancy.finding) for discrepancy in await _standing(scope, page, report)
            ]
            await scope.runtime.sleeper(page.looked / _ROWS_PER_S)
    return report


async def repair(
    scope: PassContext, passes: Sequence[Pass], tell: Callable[[str, int], None], *, who: str, why: str | None
) -> Report:
    """Look, keep what is found, and repair what can be. The caller holds the lease.

    Raises:
        Misuse: if the index is missing by which a finding is open once.
    """
    report, scope = Report(engine_asked=scope.engine is not None), msgspec.structs.replace(scope, who=who, why=why)
    await must_keep(scope)
    async with scope.runtime.record.session() as session:
        line = await session.find_timeline()
    if line is not None and line.held is not None:
        passes = [each for each in PASSES if each.name == Timelines.name]  # nothing else is to be touched now
    for each in passes:
        await _run(scope, each, report, tell)
    return report


async def _run(scope: PassContext, each: Pass, report: Report, tell: Callable[[str, int], None]) -> None:
    record = scope.runtime.record
    async with record.session() as session:
        # A part of everything has no position to go on from, and can close nothing as gone.
        whole = scope.since_ms == 0
        state = await session.find_pass(each.name) if whole else None
        round, position = f"{await session.now_ms()}{_BEGAN}{scope.runtime.seams.new_id()}", None
    if state is not None and state.finished_at_ms is None:
        round, position = state.round, state.position
    async for page in each.pages(scope, position):
        _count(report, each, page, tell)
        discrepancies = await _standing(scope, page, report)
        async with record.session() as session:
            kept = await session.saw_findings([discrepancy.finding for discrepancy in discrepancies], round)
        known = {(finding.code, finding.subject) for finding in kept if finding.times > 1}
        for discrepancy in discrepancies:
            done, failed = await _repaired(scope, discrepancy)
            if done is not None:
                await _done(scope, discrepancy, done)
            repaired, begun = (done, None) if discrepancy.ends else (None, done)
            is_new = (discrepancy.finding.code, discrepancy.finding.subject) not in known
            report.found.append(
                Sighting(finding=discrepancy.finding, repaired=repaired, begun=begun, failed=failed, is_new=is_new)
            )
        if whole:
            async with record.session() as session:
                await session.save_pass(each.name, round, page.position, finished=False)
        await scope.runtime.sleeper(page.looked / _ROWS_PER_S)
    if whole:
        async with record.transaction() as tx:
            await tx.close_unseen(_codes_here(each, scope), round, _began_ms(round))
            await tx.save_pass(each.name, round, None, finished=True)


_BEGAN = "-"


def _began_ms(round: str) -> int | None:
    """When a round began, by the record's clock: its name says so, and another worker may go on with it hours later."""
    began, is_there, _ = round.partition(_BEGAN)
    return int(began) if is_there and began.isdigit() else None


async def _repaired(scope: PassContext, discrepancy: Discrepancy) -> tuple[str | None, str | None]:
    """What was done, or why it failed. One that fails, in the user's ``on_success`` say, stops no other."""
    if discrepancy.repair is None:
        return None, None
    try:
        return await discrepancy.repair(), None
    except EffectsHeld:
        raise
    except Exception as error:
        if fault_of(scope.runtime.record, error) is not None:
            raise
        failed = describe(error)
        scope.runtime.observe(RepairFailed(discrepancy.finding.code, discrepancy.finding.subject, failed))
        return None, failed


async def _standing(scope: PassContext, page: Page, report: Report) -> list[Discrepancy]:
    async with scope.runtime.record.session() as session:
        discrepancies = await standing(session, page.discrepancies)
    report.dismissed += len(page.discrepancies) - len(discrepancies)
    return discrepancies


async def _done(scope: PassContext, discrepancy: Discrepancy, done: str) -> None:
    async with scope.runtime.record.transaction() as tx:
        if discrepancy.ends:
            await tx.close_findings([discrepancy.finding], f"repaired: {done}")
        if not discrepancy.audits:
            await tx.add_audit(scope.audit(discrepancy.finding, done))


def _codes_here(each: Pass, scope: PassContext) -> list[str]:
    """What this round would have seen if it were there. Without the engine, nothing is said about epochs in it."""
    return [code for code in each.codes if code not in _ONCE and (scope.engine is not None or code not in _ENGINES)]


_ENGINES = frozenset({"RF-START-LOST", "RF-START-ENDED", "RF-ENGINE-BEHIND", "RF-RECORD-BEHIND"})
"""What only an engine can show."""
_ONCE = frozenset({"RF-EFFECT-LATE"})
"""What is seen but once, by whom it happened to: only an operator closes it."""


def _count(report: Report, each: Pass, page: Page, tell: Callable[[str, int], None]) -> None:
    report.looked[each.name] = report.looked.get(each.name, 0) + page.looked
    report.notes += [note for note in page.notes if note not in report.notes]
    tell(each.name, report.looked[each.name])


__all__ = ["OPEN", "PAGE", "PASSES", "Report", "Sighting", "look", "passes_named", "repair"]
