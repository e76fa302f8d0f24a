"""Ledgers against themselves and against the record's receipts: all of it, so this runs when it is named.

It adds up anew, as ``recordfirst ledger check`` does. What looks wrong is looked at twice, with time in between: what
is made meanwhile shows in one look and not in the other. Nothing is repaired: money is moved by transfers, and an
operator says which.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from recordfirst.core.finding import NewFinding
from recordfirst.execution.runtime import Runtime
from recordfirst.ledgers.check import Checked, MismatchKind, Receipts, check
from recordfirst.ledgers.contract import Ledger
from recordfirst.reconcile.contract import Discrepancy, Page, PassContext
from recordfirst.steps.effect import Effect
from recordfirst.steps.registrations import Registrations
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
    dated = False

    async def pages(self, scope: PassContext, position: str | None) -> AsyncIterator[Page]:
        """Add each ledger up; a page is one of them."""
        done = int(position or 0)
        for number, provided_as in enumerate(_ledgers_of(scope.registered)):
            if number < done:
                continue
            seen = await add_up(scope.runtime, scope.registered, provided_as)
            again = seen
            if seen.findings:
                await scope.runtime.sleeper(_SETTLING_S)
                again = await add_up(scope.runtime, scope.registered, provided_as)
            before = {(found.kind, found.subject) for found in seen.findings}
            discrepancies = [
                Discrepancy(NewFinding(code=CODES[found.kind], subject=found.subject, detail=found.what))
                for found in again.findings
                if (found.kind, found.subject) in before
            ]
            yield Page(discrepancies, seen.looked, str(number + 1))


async def add_up(runtime: Runtime, registered: Registrations, provided_as: Any) -> Checked:
    """Look once at the ledger that is provided under this key, and at the receipts of the transfers that go to it.

    Raises:
        MissingDependency: if there is none.
    """
    ledger: Ledger = await runtime.injector.get(provided_as)
    steps = sorted(registered.effects.items())
    names = [name for name, step in steps if isinstance(step, TransferStep) and _key_of(step) == provided_as]
    others = sorted(registered.effects.keys() - set(names))
    async with runtime.record.session() as session:
        now_ms = await session.now_ms()
    return await check(ledger, Receipts(runtime.record, runtime.app, names, runtime.unseal, others=others), now_ms)


def _ledgers_of(registered: Registrations) -> list[Any]:
    """What each ledger that a step uses is provided under, once."""
    steps = [step for _, step in sorted(registered.effects.items())]
    return list(dict.fromkeys(_key_of(step) for step in steps if isinstance(step, TransferStep | OpenAccountStep)))


def _key_of(step: Effect[..., Any]) -> Any:
    return step.function.injected["ledger"]
