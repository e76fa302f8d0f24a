"""Reversals that nobody has dealt with: their effect has no ``on_reversal``, or that is stopped, or late (P11).

A stopped handler is tried again if this pass is asked for by name, which no worker does: an operator may be putting the
rows right by hand, and dismisses the finding then. A worker tries it, and what is found stays so until rows are there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

from recordfirst.core.receipt import Receipt
from recordfirst.core.reversal import UNHANDLED, StoredReversal
from recordfirst.execution.reversals import Reversals
from recordfirst.reconcile.contract import PAGE, Discrepancy, Page, PassContext


class UnhandledReversals:
    """What is stored without its handler. It costs what there is of these."""

    name = "reversals"
    codes: tuple[str, ...] = (UNHANDLED,)
    full_scan = False
    dated = False

    async def pages(self, scope: PassContext, position: str | None) -> AsyncIterator[Page]:
        """Look at what nobody has dealt with. Asked for by name, also at what was found a moment ago."""
        kept, named = Reversals(scope.runtime, scope.registered.effects), self.name in scope.named
        while True:
            async with scope.runtime.record.session() as session:
                page = await kept.unhandled(session, position or "", PAGE)
                if not page:
                    return
                now_ms, found = await session.now_ms(), []
                for each in page:
                    # What is found stays found until rows are there, also while its handler is tried again.
                    if named or each.is_late(now_ms) or await session.open_finding(UNHANDLED, each.subject) is not None:
                        receipt = (await session.find_receipt(each.key, each.attempt)).receipt
                        found.append(_seen(scope, kept, each, receipt))
            position = page[-1].hash
            yield Page(found, len(page), position)


def _seen(scope: PassContext, kept: Reversals, stored: StoredReversal, receipt: Receipt | None) -> Discrepancy:
    effect = scope.registered.effects.get(receipt.function) if receipt is not None else None
    has_handler = effect is not None and effect.reversal is not None
    finding = stored.finding(receipt.workflow if receipt is not None else None, kept.reason_of(stored))
    may = has_handler and UnhandledReversals.name in scope.named
    return Discrepancy(finding, partial(_again, scope, kept, stored) if may else None, ends=False)


async def _again(scope: PassContext, kept: Reversals, stored: StoredReversal) -> str | None:
    async with scope.runtime.record.transaction() as tx:
        again = await kept.again(tx, stored)
        await scope.runtime.record.notify(tx)
    return "a worker tries its on_reversal" if again else None
