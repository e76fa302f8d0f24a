"""Asks the provider about an effect that no workflow continues, and stores the answer.

Nothing is called. The probe's answer is stored as an operator's would be, with ``on_success`` or ``on_decline`` in the
same transaction; a parked workflow then goes on.
"""

from __future__ import annotations

from typing import Any, Literal

from recordfirst.core import codec
from recordfirst.core import decide as d
from recordfirst.core.finding import NewFinding
from recordfirst.core.receipt import Change, Receipt
from recordfirst.errors import Declined, Misuse
from recordfirst.execution import probing
from recordfirst.execution.late import tell_late
from recordfirst.execution.outcome import outcome_of, pending_change
from recordfirst.execution.probing import Early, Failed
from recordfirst.execution.resolve import resolve, settle
from recordfirst.execution.verdict import reason_after
from recordfirst.providers.contract import Absent, CannotTell, Found, Pending
from recordfirst.reconcile.contract import PassContext
from recordfirst.steps.effect import Effect

_MOVED_ON = "it has moved on"
_IS_UNKNOWN = "its outcome is unknown now"
_IS_PENDING = "its provider has it, and has not decided"


async def ask(  # noqa: PLR0911 - one line per answer of a probe
    scope: PassContext, finding: NewFinding, receipt: Receipt
) -> str | None:
    """Ask the probe and store its answer; return what was stored, ``None`` if nothing was."""
    effect = scope.registered.effects.get(receipt.function)
    if effect is None or effect.probe is None:
        return await _leave(scope, finding, receipt, "no probe can tell")
    guarantee = effect.guarantee
    async with scope.runtime.record.session() as session:
        now_ms = await session.now_ms()
    if now_ms < max(receipt.last_call_at_ms or 0, receipt.claim_until_ms or 0) + guarantee.lag_ms:
        return None
    match await probing.ask(effect, scope.runtime, receipt, now_ms):
        case Found(result):
            return await _answer(scope, finding, receipt, "succeeded", result)
        case Declined() as declined:
            return await _answer(scope, finding, receipt, "declined", declined)
        case Absent():
            return await _answer(scope, finding, receipt, "not done", None)
        case Early():
            return None
        case Pending() as found:
            return await _pending(scope, finding, effect, receipt, found, now_ms)
        case CannotTell(why):
            return await _leave(scope, finding, receipt, f"the probe cannot tell: {why}")
        case Failed(why):
            return await _leave(scope, finding, receipt, f"probing failed: {why}")


async def _answer(
    scope: PassContext,
    finding: NewFinding,
    receipt: Receipt,
    outcome: Literal["succeeded", "declined", "not done"],
    value: Any,
) -> str | None:
    seen = await _unknown(scope, finding, receipt, "a reconcile has asked the provider, and was to store the answer")
    if seen is None:
        return _MOVED_ON
    effect = scope.registered.effects[receipt.function]
    result = reason = None
    if outcome == "succeeded":
        result = codec.decode(codec.encode(value, f"the result of {effect.function!r}"))
    elif outcome == "declined":
        reason = value.reason
    try:
        answer = (outcome, result, reason)
        await resolve(
            scope.runtime,
            scope.registered.effects,
            [seen],
            receipt.key,
            answer,
            receipt.attempt,
            said_by=(scope.who, scope.why),
        )
    except Misuse:
        async with scope.runtime.record.session() as session:
            now = (await session.find_receipt(receipt.key, receipt.attempt)).receipt
        if now is not None and now.state == "unknown":
            raise  # nobody was faster: it is on_success, or on_decline, that fails
        if now is not None and now.state == "declined" and outcome == "succeeded":
            await tell_late(scope.runtime, now, "a probe")
        return _MOVED_ON
    return f"the provider says: {outcome}"


async def _pending(
    scope: PassContext, finding: NewFinding, effect: Effect[..., Any], receipt: Receipt, found: Pending, now_ms: int
) -> str | None:
    """The provider has it, and will say more: from here on it is looked at as what is pending."""
    runtime, outcome = scope.runtime, outcome_of(found)

    def became(seen: Receipt) -> Change:
        return pending_change(seen, outcome, runtime.seal, effect.guarantee, now_ms, None)

    said = scope.audit(finding, _IS_PENDING)
    changed = await settle(runtime, effect, receipt, outcome, lambda r: r.revision == receipt.revision, said, became)
    return _IS_PENDING if changed.state == "pending" else _MOVED_ON


async def _leave(scope: PassContext, finding: NewFinding, receipt: Receipt, why: str) -> str | None:
    """Leave it to an operator, as an unknown outcome."""
    seen = await _unknown(scope, finding, receipt, why)
    if seen is None:
        return _MOVED_ON
    return None if seen is receipt else _IS_UNKNOWN


async def _unknown(scope: PassContext, finding: NewFinding, receipt: Receipt, why: str) -> Receipt | None:
    """Let the receipt be unknown, which an intent that nobody drives is; ``None`` if it has changed."""
    if receipt.state == "unknown":
        return receipt
    change = d.unknown(receipt, reason_after(receipt, why))
    async with scope.runtime.record.transaction() as tx:
        changed = await tx.change_receipt(receipt, change)
        if changed is not None:
            await tx.add_audit(scope.audit(finding, _IS_UNKNOWN))
        return changed
