"""An operator has dealt with a finding that will not go away: it is not reported again as long as it says the same.

The audit row of the operator keeps what was dismissed, with the reason. It applies to one code, subject and detail, so
another amount, or another id at the provider, is a finding again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from recordfirst.core import codec
from recordfirst.core.finding import KINDS, Audit, NewFinding
from recordfirst.core.reversal import UNHANDLED
from recordfirst.core.text import masked
from recordfirst.errors import Misuse
from recordfirst.execution.reversals import Reversals
from recordfirst.execution.runtime import Runtime
from recordfirst.reconcile.contract import Discrepancy
from recordfirst.records.contract import Session

_COMMAND = "dismiss"
_SAID = 100
"""Newest audit rows of a subject that are looked through."""


async def standing(session: Session[Any], discrepancies: Sequence[Discrepancy]) -> list[Discrepancy]:
    """Return those that no person has dismissed."""
    return [discrepancy for discrepancy in discrepancies if not await _is_dismissed(session, discrepancy.finding)]


async def _is_dismissed(session: Session[Any], finding: NewFinding) -> bool:
    kind = KINDS.get(finding.code)
    if kind is None or not kind.dismissible:
        return False
    said = await session.audits(finding.subject, _SAID)
    return any((each.command, each.detail) == (_COMMAND, _told(finding)) for each in said)


def _told(finding: NewFinding) -> str:
    return masked(codec.told(f"{finding.code}: {finding.detail}"))


class Dismissal(msgspec.Struct, frozen=True, kw_only=True):
    """What was dismissed, or would be."""

    code: str
    subject: str
    detail: str
    """What the finding says; once it says something else, it is found again."""
    changed: bool = True
    """``False``: it had been dismissed before, and nothing was changed."""


async def dismiss(runtime: Runtime, code: str, subject: str, *, said_by: tuple[str, str], dry_run: bool) -> Dismissal:
    """Store what an operator said; see ``App.dismiss``."""
    who, why = said_by
    _check(code, why)

    async def store() -> Dismissal:
        async with runtime.record.transaction() as tx:
            finding = await tx.open_finding(code, subject)
            if finding is not None:
                if not dry_run:
                    if code == UNHANDLED and not await Reversals(runtime, {}).dismiss(tx, subject, who):
                        raise Misuse(
                            f"its on_reversal has dealt with {subject!r} meanwhile: nothing is left to dismiss"
                        )
                    await tx.close_findings([finding], f"dismissed: {why}")
                    detail = _told(finding)
                    await tx.add_audit(Audit(who=who, command=_COMMAND, subject=subject, why=why, detail=detail))
                return Dismissal(code=code, subject=subject, detail=finding.detail)
            for said in await tx.audits(subject, _SAID):
                if said.command == _COMMAND and said.detail.startswith(f"{code}: "):
                    detail = said.detail.removeprefix(f"{code}: ")
                    return Dismissal(code=code, subject=subject, detail=detail, changed=False)
        raise Misuse(
            f"no finding {code} about {subject!r} is open; `recordfirst findings` lists what is, and "
            "`recordfirst reconcile --apply` keeps what is found"
        )

    done: Dismissal = await runtime.patiently(f"dismissing {code} of {subject!r}", store, release=False)
    return done


def _check(code: str, why: str) -> None:
    kind = KINDS.get(code)
    if kind is None or not kind.dismissible:
        may = ", ".join(each.code for each in KINDS.values() if each.dismissible)
        what = (
            f"there is no finding {code!r}" if kind is None else f"{code} cannot be dismissed, since it can be cleared"
        )
        raise Misuse(f"{what}; what can be dismissed: {may}")
    if not why.strip():
        raise Misuse(f"say why {code} is dismissed: how it was seen to")
