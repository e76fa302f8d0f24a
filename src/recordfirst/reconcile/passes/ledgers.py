"""Ledgers against themselves and against the record's receipts: all of it, so this runs when it is named.

It adds up anew, as ``recordfirst ledger check`` does. What looks wrong is looked at twice, with time in between: what
is made meanwhile shows in one look and not in the other. Nothing is repaired: money is moved by transfers, and an
operator says which.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from recordfirst.core.finding import NewFinding
from recordfirst.ledgers.check import Checked, MismatchKind, Receipts, check
from recordfirst.ledgers.contract import Ledger
from recordfirst.reconcile.contract import Discrepancy, Page, PassContext
from recordfirst.steps.transfer import OpenAccountStep, TransferStep

_SETTLING_S = 2.0
"""Between two looks at a ledger in which something seems wrong."""

CODES: dict[MismatchKind, str] = {
    "debits differ from credits": "RF-LEDGER-UNBALANCED",
    "balance differs from transfers": "RF-LEDGER-BALANCE",
    "limit exceeded": "RF-LEDGER-LIMIT",
    "held past its timeout": "RF-LEDGER-OVERDUE",
    "receipt without transfer": "RF-TRANSFER-LOST",
    "transfer without receipt": "RF-TRANSFER-ORPHAN",
}


class Ledgers:
    """Every ledger that the app's steps use."""

    name = "ledger"
    codes: tuple[str, ...] = tuple(CODES.values())
    full_scan = True

    async def pages(self, scope: PassContext, position: str | None) -> AsyncIterator[Page]:
        """Add each ledger up; a page is one of them."""
        done = int(position or 0)
        for number, (ledger, names) in enumerate(await _ledgers_of(scope)):
            if number < done:
                continue
            seen = await _look(scope, ledger, names)
            again = seen
            if seen.findings:
                await scope.runtime.sleeper(_SETTLING_S)
                again = await _look(scope, ledger, names)
            before = {(found.kind, found.subject) for found in seen.findings}
            discrepancies = [
                Discrepancy(NewFinding(code=CODES[found.kind], subject=found.subject, detail=found.what))
                for found in again.findings
                if (found.kind, found.subject) in before
            ]
            yield Page(discrepancies, seen.looked, str(number + 1))


async def _ledgers_of(scope: PassContext) -> list[tuple[Ledger, list[str]]]:
    """Each ledger once, with the names of the transfers that go to it."""
    by_key: dict[Any, list[str]] = {}
    for name, step in sorted(scope.registered.effects.items()):
        if isinstance(step, TransferStep | OpenAccountStep):
            names = by_key.setdefault(step.function.injected["ledger"], [])
            names += [name] if isinstance(step, TransferStep) else []
    return [(await scope.runtime.injector.get(key), names) for key, names in by_key.items()]


async def _look(scope: PassContext, ledger: Ledger, names: list[str]) -> Checked:
    runtime = scope.runtime
    async with runtime.record.session() as session:
        now_ms = await session.now_ms()
    others = sorted(scope.registered.effects.keys() - set(names))
    return await check(ledger, Receipts(runtime.record, runtime.app, names, runtime.unseal, others=others), now_ms)
