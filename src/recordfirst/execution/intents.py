"""Intents that ride in a transaction of the record's: what ``w.intend`` announces (P1, P3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from recordfirst.core.receipt import After, NewReceipt
from recordfirst.execution.conflicts import compare
from recordfirst.execution.execution import Begun, Execution
from recordfirst.execution.runtime import Runtime
from recordfirst.records.contract import Session
from recordfirst.steps.arguments import Arguments
from recordfirst.steps.effect import Effect
from recordfirst.steps.precedent import after_missing, is_done


class Intent:
    """An effect that a write has announced."""

    def __init__(self, effect: Effect[..., Any], arguments: Arguments, workflow: str) -> None:
        self.effect, self.arguments, self.workflow = effect, arguments, workflow


async def store_intents(
    runtime: Runtime,
    tx: Session[Any],
    intents: Sequence[Intent],
    execution: Execution | None,
    own: NewReceipt | None,
    *,
    callers_own: bool,
) -> dict[str, Begun]:
    """Store what ``w.intend`` announced, in the write's transaction; return the calls that begin with its commit (P1).

    Where the provider honours keys, the first call counts as begun: a crash in between repeats it under the same key,
    and the call itself needs no commit of its own before it. Elsewhere nothing is begun, since a call that nobody made
    must not be in doubt. ``own`` is the receipt that this transaction stores; rows of the caller's own
    (``callers_own``) are nobody's receipt.

    Raises:
        AfterMissing: if the receipt that an effect comes after is neither committed nor this transaction's (P1).
        DifferentRequest, DifferentFunction: if a key has a receipt of something else; the transaction rolls back (P8).
    """
    begun: dict[str, Begun] = {}
    for intent in intents:
        effect = intent.effect
        if execution is not None:
            await execution.refuse_other_key(effect, intent.arguments, tx)
        now_ms = await tx.now_ms() if effect.renders else 0
        new = await effect.new_receipt(runtime, intent.workflow, intent.arguments, now_ms)
        after = effect.precedent(intent.workflow, intent.arguments)
        # The receipt of the write that this transaction is commits together with the intent.
        after = None if after is not None and own is not None and _is_of(own, after) else after
        if effect.guarantee.key_honoured_ms is None or execution is None:
            if after is not None:
                found = (await tx.find_receipt(after.key)).receipt
                if not is_done(found, after):
                    raise after_missing(effect, after, found, callers_own=callers_own)
            if not await tx.add_receipts([new]):
                compare(runtime, effect.function, (await tx.find_receipt(new.key, new.attempt)).receipt, new)
            continue
        claim, claim_ms = runtime.new_claim(), int(effect.timeout_s * 2000)
        intended = await tx.intend(new, after=after, claim=claim, claim_ms=claim_ms, epoch=execution.epoch)
        if intended.receipt is None:
            if own is None and await execution.is_over(tx):
                continue  # what belongs to a call's outcome is stored; that the workflow was to go on is not
            await execution.release_if_barred(new.key, tx)
            assert after is not None
            raise after_missing(effect, after, (await tx.find_receipt(after.key)).receipt)
        if not intended.inserted:
            compare(runtime, effect.function, intended.receipt, new)
        # One that may have been called in a time that was lost is begun by nobody yet.
        elif intended.receipt.claim == claim:
            until_s = runtime.loop.time() + claim_ms / 2000
            begun[f"{new.key}#{new.attempt}"] = Begun(intended.receipt, claim, until_s)
    return begun


def _is_of(receipt: NewReceipt, after: After) -> bool:
    return (receipt.key, receipt.kind, receipt.function) == (after.key, after.kind, after.function)
