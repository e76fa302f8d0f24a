"""A success that arrives after another outcome was stored: it changes nothing, and is never dropped silently (P3).

Kept: an event, and a finding that only an operator closes. Lost: if a worker dies between the provider's answer and
the finding, the answer is lost, as any answer would be.
"""

from __future__ import annotations

from typing import NamedTuple

from recordfirst.core import decide as d
from recordfirst.core.finding import NewFinding
from recordfirst.core.receipt import Receipt
from recordfirst.execution.outcome import Outcome
from recordfirst.execution.runtime import Runtime
from recordfirst.observe import LateOutcome, LateSuccess

CODE = "RF-EFFECT-LATE"


class LateReport(NamedTuple):
    """A final outcome, and who reports it."""

    asked: Receipt
    """What the call, or the probe, went out with."""
    outcome: Outcome
    claim: str | None
    """Of the call; ``None``: a probe reports it."""
    maybe_stored: bool
    """It may be stored already, by us: the reply to COMMIT was lost."""


async def dropped(
    runtime: Runtime, guarantee: d.Guarantee, seen: Receipt, what: d.OutcomeState, report: LateReport | None
) -> None:
    """Say that an outcome is dropped, since ``seen`` has one that stands."""
    if seen.state != what:
        runtime.observe(LateOutcome(seen.key, seen.state, what))
    if report is None or report.outcome.state != "succeeded" or seen.state not in ("succeeded", "declined"):
        return
    if seen.state == "succeeded":
        # What the probe has found, or the key stands for, is what is stored.
        if report.claim is None or d.is_same_effect(report.asked, seen, guarantee):
            return
        stored = "null" if seen.result is None else runtime.unseal(seen.result)
        if report.maybe_stored and stored == report.outcome.text:
            return
    await tell_late(runtime, seen, "a probe" if report.claim is None else f"call {report.asked.calls}")


def subject_of(receipt: Receipt) -> str:
    """What a finding about an effect is about: its key, and its attempt if it is not the first."""
    return receipt.key if receipt.attempt == 1 else f"{receipt.key}#{receipt.attempt}"


async def tell_late(runtime: Runtime, receipt: Receipt, what: str) -> None:
    """Say that ``what`` (a call, a probe) reports a success which ``receipt``, final as it is, is not about."""
    detail = f"{receipt.function} is stored as {receipt.state}, and {what} reports a success that is not that one"
    finding = NewFinding(code=CODE, subject=subject_of(receipt), workflow=receipt.workflow, detail=detail)
    async with runtime.record.session() as session:
        await session.saw_findings([finding], "as it came")
    runtime.observe(LateSuccess(receipt.key, receipt.state, what))
