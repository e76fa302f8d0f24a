"""Effects that no run continues: overdue ones of open workflows, and those that ended workflows left in doubt.

An open workflow continues its effects itself. If one is overdue, it lost its timer, or its worker is hung, and the
workflow gets a new epoch. Or the workflow has caught what the effect raised, and sleeps: each further epoch comes after
twice the time, so that it reaches the end of its sleep. For a workflow that has ended nothing is called: the provider
is asked, and the answer stored.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from functools import partial

from recordfirst.core import codec
from recordfirst.core.finding import NewFinding
from recordfirst.core.receipt import Receipt
from recordfirst.core.start import Start
from recordfirst.errors import REFUSED_CREDENTIAL
from recordfirst.execution.late import CODE, subject_of
from recordfirst.execution.looking import look
from recordfirst.execution.verdict import reason_in
from recordfirst.reconcile.contract import PAGE, Discrepancy, Page, PassContext
from recordfirst.reconcile.passes.starts import new_epoch
from recordfirst.reconcile.probing import ask
from recordfirst.records.contract import Session

_OVERDUE_MS = 10 * 60_000
"""So much later than it said, an effect is overdue: longer than any wait in place, and than a restart of a worker."""
_MOST = 10_000
"""Findings that are looked through."""
_SAID = 100
"""Newest audit rows of an effect that are looked through."""

_ENDED = {"succeeded": "has succeeded", "failed": "has failed", "cancelled": "was cancelled"}


class Intents:
    """Effects that were begun and are not settled."""

    name = "intents"
    codes: tuple[str, ...] = ("RF-EFFECT-OVERDUE", "RF-EFFECT-ABANDONED", "RF-CREDENTIAL-REFUSED")
    full_scan = False
    dated = True

    async def pages(self, scope: PassContext, position: str | None) -> AsyncIterator[Page]:
        """Look at every intent whose call was begun."""
        refused: set[str] = set()
        async for receipts, now_ms, position_ in _pages(scope, "intended", position):
            discrepancies = []
            for receipt in receipts:
                refusal = _refusal(scope, receipt)
                if refusal is not None and refusal.subject not in refused:
                    refused.add(refusal.subject)
                    discrepancies.append(Discrepancy(refusal))
                if _is_due(receipt, now_ms):
                    async with scope.runtime.record.session() as session:
                        start = await workflow_of(session, receipt.workflow)
                    discrepancy = _judge(scope, receipt, start)
                    if discrepancy is not None:
                        discrepancies.append(discrepancy)
            yield Page(discrepancies, len(receipts), position_)


def _refusal(scope: PassContext, receipt: Receipt) -> NewFinding | None:
    """That a provider has refused the app's credential when this effect last called it. One finding for each."""
    effect, said = (
        scope.registered.effects.get(receipt.function),
        codec.decode(receipt.error) if receipt.error else None,
    )
    if effect is None or not isinstance(said, dict) or said.get("code") != REFUSED_CREDENTIAL:
        return None
    detail = f"{receipt.function} of {receipt.workflow!r} and whatever else calls it waits: {said.get('reason')}"
    return NewFinding(code="RF-CREDENTIAL-REFUSED", subject=effect.provider.name, detail=detail)


class Late:
    """Successes that came when another outcome was stored. Each was seen once, so its finding is all that is left."""

    name = "late"
    codes: tuple[str, ...] = (CODE,)
    full_scan = False
    dated = False

    async def pages(self, scope: PassContext, position: str | None) -> AsyncIterator[Page]:
        """Look at what is open of them."""
        del position
        async with scope.runtime.record.session() as session:
            found = [each for each in await session.findings(_MOST) if each.code == CODE]
        discrepancies = [
            Discrepancy(NewFinding(code=CODE, subject=each.subject, workflow=each.workflow, detail=each.detail))
            for each in found
        ]
        if discrepancies:
            yield Page(discrepancies, len(discrepancies), discrepancies[-1].finding.subject)


class Unknowns:
    """Effects of which nobody could tell what became of them."""

    name = "unknown"
    codes: tuple[str, ...] = ("RF-EFFECT-UNKNOWN",)
    full_scan = False
    dated = True

    async def pages(self, scope: PassContext, position: str | None) -> AsyncIterator[Page]:
        """Look at every unknown outcome."""
        async for receipts, _, position_ in _pages(scope, "unknown", position):
            discrepancies = []
            for receipt in receipts:
                finding = _finding("RF-EFFECT-UNKNOWN", receipt, f"{receipt.function} was called {_times(receipt)}")
                discrepancies.append(Discrepancy(finding, partial(ask, scope, finding, receipt), audits=True))
            yield Page(discrepancies, len(receipts), position_)


class Pendings:
    """Effects that a provider has had for longer than it has said, or of which it says nothing."""

    name = "pending"
    codes: tuple[str, ...] = ("RF-EFFECT-PENDING",)
    full_scan = False
    dated = True

    async def pages(self, scope: PassContext, position: str | None) -> AsyncIterator[Page]:
        """Look at all that is pending."""
        async for receipts, now_ms, position_ in _pages(scope, "pending", position):
            discrepancies = []
            for receipt in receipts:
                why = await _stays_pending(scope, receipt, now_ms)
                if why is not None:
                    finding = _finding("RF-EFFECT-PENDING", receipt, f"{receipt.function} is pending, and {why}")
                    discrepancies.append(Discrepancy(finding, partial(_look_again, scope, receipt)))
            yield Page(discrepancies, len(receipts), position_)


async def _stays_pending(scope: PassContext, receipt: Receipt, now_ms: int) -> str | None:
    """Why an operator should know of what is pending; ``None`` if it is as it was said."""
    if receipt.until_at_ms is not None and now_ms > receipt.until_at_ms + _OVERDUE_MS:
        return "what its provider offered has ended"
    if receipt.function not in scope.registered.effects:
        return "this version of the app has no effect of that name, so its workers do not look at it"
    if receipt.error is not None:
        return f"the last look at it came to nothing: {reason_in(receipt)}"
    if receipt.next_at_ms is None or now_ms > receipt.next_at_ms + _OVERDUE_MS:
        return "nobody looks at it"
    async with scope.runtime.record.session() as session:
        start = await workflow_of(session, receipt.workflow)
    if start is None or start.state != "open":
        return f"its workflow {_ENDED.get(start.state, start.state) if start is not None else 'is not in the record'}"
    return None


async def _look_again(scope: PassContext, receipt: Receipt) -> str | None:
    effect = scope.registered.effects.get(receipt.function)
    if effect is None or effect.probe is None:
        return None
    async with scope.runtime.record.session() as session:
        now_ms = await session.now_ms()
    seen = await look(scope.runtime, effect, receipt, now_ms)
    return None if seen.state == "pending" else f"the provider says: {seen.state}"


async def _pages(scope: PassContext, state: str, position: str | None) -> AsyncIterator[tuple[list[Receipt], int, str]]:
    while True:
        after = _parse(position)
        async with scope.runtime.record.session() as session:
            receipts = await session.unsettled(state, after, scope.since_ms, PAGE)
            now_ms = await session.now_ms()
        if not receipts:
            return
        position = f"{receipts[-1].attempt} {receipts[-1].key}"
        yield receipts, now_ms, position


def _parse(position: str | None) -> tuple[str, int] | None:
    if position is None:
        return None
    attempt, _, key = position.partition(" ")
    return key, int(attempt)


def _is_due(receipt: Receipt, now_ms: int) -> bool:
    """Whether something was to be done about it long ago. What was announced and not called may wait for ever."""
    if receipt.calls == 0 or (receipt.doubts == 0 and receipt.next_at_ms is None and receipt.reply is None):
        return False
    times = [receipt.next_at_ms, receipt.claim_until_ms, receipt.last_call_at_ms, receipt.created_at_ms]
    return now_ms > max(at for at in times if at is not None) + _OVERDUE_MS


def _judge(scope: PassContext, receipt: Receipt, start: Start | None) -> Discrepancy | None:
    if start is not None and start.state == "open" and not start.is_stopped:
        if start.engine is None:
            return None  # it waits for a worker, which drives its effects on: RF-START-UNTAKEN, if none comes
        finding = _finding("RF-EFFECT-OVERDUE", receipt, f"{receipt.function} was called {_times(receipt)}")
        return Discrepancy(finding, partial(_drive_on, scope, finding, start), audits=True)
    if receipt.reply is not None:
        # An operator fixes on_success and retries: nothing is stored behind the back of a workflow that has failed.
        return Discrepancy(_finding("RF-EFFECT-ABANDONED", receipt, f"{receipt.function} was answered, and not stored"))
    if receipt.doubts == 0:
        return None
    ended = (
        "is not in the record"
        if start is None
        else "is stopped"
        if start.is_stopped
        else _ENDED.get(start.state, f"is {start.state}")
    )
    finding = _finding("RF-EFFECT-ABANDONED", receipt, f"{receipt.function} may have happened; its workflow {ended}")
    return Discrepancy(finding, partial(ask, scope, finding, receipt), audits=True)


async def _drive_on(scope: PassContext, finding: NewFinding, start: Start) -> str | None:
    async with scope.runtime.record.session() as session:
        said, now_ms = await session.audits(finding.subject, _SAID), await session.now_ms()
    before = [audit.at_ms for audit in said if audit.detail.startswith(f"{finding.code}: ")]
    if before and now_ms < before[0] + _OVERDUE_MS * 2 ** (len(before) - 1):
        return None
    return await new_epoch(scope, finding, start)


def _times(receipt: Receipt) -> str:
    return f"{receipt.calls} time{'s' if receipt.calls != 1 else ''}"


def _finding(code: str, receipt: Receipt, detail: str) -> NewFinding:
    return NewFinding(code=code, subject=subject_of(receipt), workflow=receipt.workflow, detail=detail)


async def workflow_of(session: Session[object], workflow: str) -> Start | None:
    """The start that a receipt belongs to: its own, or that of the workflow whose child has written it."""
    while True:
        start = await session.find_start(workflow)
        if start is not None:
            return start
        parent = re.fullmatch(r"(.+):\d+", workflow, re.DOTALL)
        if parent is None:
            return None
        workflow = parent[1]
