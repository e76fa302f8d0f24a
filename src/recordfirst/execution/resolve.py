"""Resolving: an operator supplies an effect's outcome. The record is written first, then the workflow woken (P5, P6).

If an effect succeeded and its result could not be stored, an operator supplies the result. Then ``on_success`` runs,
and a retry goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from recordfirst.core import codec
from recordfirst.core import decide as d
from recordfirst.core.finding import Audit
from recordfirst.core.receipt import Change, Receipt
from recordfirst.core.stops import stop_of
from recordfirst.errors import Declined, Misuse
from recordfirst.execution.flush import run_hook
from recordfirst.execution.outcome import Outcome, after_outcome, declined_as, references_in
from recordfirst.execution.runtime import Runtime
from recordfirst.records.contract import Session
from recordfirst.steps.effect import Effect

type OperatorAnswer = tuple[Literal["succeeded", "declined", "not done"], Any, str | None]
"""The outcome, with the result or the reason."""
_SAID = 100
"""Audit rows of one key that are looked at."""


async def resolve(
    runtime: Runtime,
    effects: Mapping[str, Effect[..., Any]],
    receipts: Sequence[Receipt],
    key: str,
    answer: OperatorAnswer,
    attempt: int | None,
    *,
    said_by: tuple[str, str | None],
    dry_run: bool = False,
) -> Receipt:
    """Store what an operator said, with ``on_success`` or ``on_decline`` in the same transaction; see
    ``App.resolve``.
    """
    receipt = _one(receipts, key, attempt)
    outcome, result, reason = answer
    effect = effects.get(receipt.function)
    if effect is None:
        raise Misuse(f"key {key!r} belongs to effect {receipt.function!r}, which this app does not have")
    effect.function.thaw(runtime.unseal(receipt.request))
    final: Outcome | None = None
    match outcome:
        case "succeeded":
            what = f"the result of {effect.function!r}"
            value = codec.shape(result, effect.function.returns, what)
            final = Outcome("succeeded", codec.encode(value, what), value)
        case "declined":
            final = declined_as(key, Declined(codec.told(reason or "declined, as an operator said")))

    detail = f"attempt {receipt.attempt}: {outcome}"
    if not _may_be_said(receipt, final):
        return await _said_before(runtime, receipt, final, detail)
    if dry_run:
        return receipt

    who, why = said_by
    audit = Audit(who=who, command="resolve", subject=key, why=why, detail=detail)
    changed = await settle(runtime, effect, receipt, final, lambda r: _may_be_said(r, final), audit)
    if not _says(runtime, changed, final):
        raise Misuse(f"effect {key!r} is {changed.state} by now, as somebody else said; nothing was changed")
    return changed


async def settle(
    runtime: Runtime,
    effect: Effect[..., Any],
    receipt: Receipt,
    final: Outcome | None,
    may: Callable[[Receipt], bool],
    audit: Audit | None,
    change_of: Callable[[Receipt], Change] | None = None,
) -> Receipt:
    """Store an outcome from outside of the workflow, with its follow-up in the same transaction; return the receipt.

    ``None``: it was not done. ``may``: whether the receipt as it is by now is one that this may be said of; if not, it
    is returned as it is. ``change_of``: what it becomes, where the outcome alone does not say it.
    """
    arguments = effect.function.thaw(runtime.unseal(receipt.request))
    hook = effect.follow_up_of(final.state) if final is not None else None

    async def store() -> Receipt:
        async with runtime.record.transaction() as tx:
            seen, changed = receipt, None
            while changed is None:
                if not may(seen):
                    return seen
                await _must_not_be_undone_meanwhile(tx, seen)
                change = change_of(seen) if change_of is not None else _answered(runtime, seen, final)
                changed = await tx.change_receipt(seen, change)
                if changed is None:
                    # It parks anew, say; or somebody else answered; or we did, and the reply to COMMIT was lost.
                    found = (await tx.find_receipt(receipt.key, receipt.attempt)).receipt
                    assert found is not None
                    seen = found
            if final is not None:
                await tx.refer(receipt.key, receipt.attempt, references_in(effect, final))
            # What was refused while another call is in doubt is not declined yet.
            if hook is not None and final is not None and changed.state == final.state:
                await run_hook(runtime, tx, hook, arguments, final.value, workflow=receipt.workflow)
            if audit is not None:
                await tx.add_audit(audit)
            await _let_go_on(tx, receipt)
            await runtime.record.notify(tx)
            return changed

    changed: Receipt = await runtime.patiently(f"resolving {receipt.key!r}", store, release=False)
    runtime.nudge()
    return changed


async def _let_go_on(tx: Session[Any], receipt: Receipt) -> None:
    """A workflow that was stopped for want of this answer goes on."""
    start = await tx.find_start(receipt.workflow)
    if start is not None and start.is_stopped and codec.decode(start.stop or "{}").get("key") == receipt.key:
        await tx.resume(start.id, start.epoch, forget=True)
        await tx.close_findings([stop_of(start)], "its effect was resolved")


def _may_be_said(receipt: Receipt, final: Outcome | None) -> bool:
    """Whether an operator's answer is wanted: nobody knows what came of it, or nobody has said yet; or it happened, and
    its result is missing.
    """
    return receipt.state in ("unknown", "pending") or (
        final is not None and final.state == "succeeded" and _lacks_result(receipt)
    )


def _lacks_result(receipt: Receipt) -> bool:
    return receipt.state == "succeeded" and receipt.result is None and receipt.undone_by is None


async def _must_not_be_undone_meanwhile(tx: Session[Any], receipt: Receipt) -> None:
    """An epoch that fails for want of the result takes the effect back, and on_success must not come on top of that."""
    if receipt.state != "succeeded" or receipt.undo is None:
        return
    start = await tx.find_start(receipt.workflow)
    if start is not None and start.state == "open" and not start.is_stopped:
        raise Misuse(
            f"workflow {receipt.workflow!r} is open, and may be undoing {receipt.key!r}, which succeeded without a "
            "result: say it when the workflow has ended, and retry it then; nothing was changed"
        )


def _answered(runtime: Runtime, receipt: Receipt, final: Outcome | None) -> Change:
    if final is None:
        return d.resolved_not_done(receipt)
    # Where only the result was missing, a call that is in doubt besides is not spoken of.
    doubts = receipt.doubts if receipt.state == "succeeded" else 0
    return after_outcome(receipt, final, runtime.seal, doubts=doubts)


def _says(runtime: Runtime, receipt: Receipt, final: Outcome | None) -> bool:
    """Whether a receipt says what was to be said, whatever has said it."""
    if final is None:
        return receipt.state == "intended"
    if final.state != receipt.state:
        return False
    if final.state == "declined":
        return receipt.error == final.text
    return receipt.result is not None and runtime.unseal(receipt.result) == final.text


def _one(receipts: Sequence[Receipt], key: str, attempt: int | None) -> Receipt:
    effects = [r for r in receipts if r.kind == "effect" and attempt in (None, r.attempt)]
    if not effects:
        named = f"no effect has the key {key!r}" + (f" and attempt {attempt}" if attempt else "")
        raise Misuse(f"{named}; those whose outcome is unknown are listed by: recordfirst effects")
    return effects[-1]


async def _said_before(runtime: Runtime, receipt: Receipt, final: Outcome | None, detail: str) -> Receipt:
    """Return a receipt that is not unknown if an operator has said the same before: then there is nothing to do."""
    async with runtime.record.session() as session:
        said = [(audit.command, audit.detail) for audit in await session.audits(receipt.key, _SAID)]
    if ("resolve", detail) in said and (final is None or _says(runtime, receipt, final)):
        return receipt
    what = f"effect {receipt.key!r} (attempt {receipt.attempt})"
    if _lacks_result(receipt):
        raise Misuse(f"{what} is succeeded, and only its result is missing: say it with --succeeded JSON")
    raise Misuse(f"{what} is {receipt.state}; only an outcome that is unknown or pending can be resolved")
