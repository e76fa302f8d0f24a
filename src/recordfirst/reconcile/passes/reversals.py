"""Reversals that nobody has handled: their effect has no ``on_reversal``, or that is stopped (P11).

A handler is tried again if this pass is asked for by name, which no worker does: an operator may be putting the rows
right by hand, and dismisses the finding then.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

from recordfirst.core import codec
from recordfirst.core.finding import NewFinding
from recordfirst.core.receipt import Receipt
from recordfirst.core.reversal import StoredReversal
from recordfirst.execution.reversals import Reversals
from recordfirst.reconcile.contract import PAGE, Discrepancy, Page, PassContext

UNHANDLED = "RF-REVERSAL-UNHANDLED"


class UnhandledReversals:
    """What is stored without its handler. It costs what there is of these."""

    name = "reversals"
    codes: tuple[str, ...] = (UNHANDLED,)
    full_scan = False

    async def pages(self, scope: PassContext, position: str | None) -> AsyncIterator[Page]:
        """Look at what has no handler, or a stopped one."""
        kept = Reversals(scope.runtime, scope.registered.effects)
        while True:
            async with scope.runtime.record.session() as session:
                page = await kept.unhandled(session, position or "", PAGE)
                receipts = [(await session.find_receipt(each.key, each.attempt)).receipt for each in page]
            if not page:
                return
            position = page[-1].hash
            found = [_seen(scope, kept, each, receipt) for each, receipt in zip(page, receipts, strict=True)]
            yield Page(found, len(page), position)


def _seen(scope: PassContext, kept: Reversals, stored: StoredReversal, receipt: Receipt | None) -> Discrepancy:
    effect = scope.registered.effects.get(receipt.function) if receipt is not None else None
    has_handler = effect is not None and effect.reversal is not None
    why = "the app had no on_reversal for it"  # the same when it has one by now: what was dismissed stays so
    if stored.tries and stored.error is not None:
        why = f"on_reversal failed {stored.tries} times: {codec.decode(stored.error).get('reason')}"
    finding = NewFinding(
        code=UNHANDLED,
        subject=stored.subject,
        workflow=receipt.workflow if receipt is not None else None,
        detail=f"{stored.told}, found by {stored.found_by}: {why}",
    )
    may = has_handler and UnhandledReversals.name in scope.named
    return Discrepancy(finding, partial(_again, scope, kept, stored) if may else None)


async def _again(scope: PassContext, kept: Reversals, stored: StoredReversal) -> str | None:
    async with scope.runtime.record.transaction() as tx:
        again = await kept.again(tx, stored)
        await scope.runtime.record.notify(tx)
    return "its on_reversal is tried again" if again else None
