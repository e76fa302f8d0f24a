"""Asking the provider about an effect that no workflow drives, and storing what it says.

Nothing is called. What the probe found is stored as a person's answer would be, with ``on_success`` or ``on_decline``
in the same transaction; a parked workflow then goes on.
"""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from recordfirst.core import codec
from recordfirst.core import decide as d
from recordfirst.core.finding import NewFinding
from recordfirst.core.receipt import Receipt
from recordfirst.core.text import masked
from recordfirst.effect import Effect
from recordfirst.errors import Declined, Misuse
from recordfirst.providers.contract import Absent, CannotTell, Found, describe
from recordfirst.reconcile.contract import Scope
from recordfirst.resolve import resolve
from recordfirst.step import follow_up_arguments

_MOVED_ON = "it has moved on"
_IS_UNKNOWN = "its outcome is unknown now"


async def ask(scope: Scope, finding: NewFinding, receipt: Receipt) -> str | None:
    """Ask the probe and store its answer; return what was stored, ``None`` if nothing was."""
    effect = scope.effects.get(receipt.function)
    if effect is None or effect.probe is None:
        return await _leave(scope, finding, receipt, "no probe can tell")
    async with scope.runtime.record.session() as session:
        now_ms = await session.now_ms()
    last_ms = max(receipt.last_call_at_ms or 0, receipt.claim_until_ms or 0)
    if now_ms < last_ms + effect.guarantee.lag_ms:
        return None
    outcome, value = await _asked(scope, effect, receipt)
    if outcome == "unknown":
        return await _leave(scope, finding, receipt, value)
    return await _answer(scope, finding, receipt, outcome, value)


async def _asked(
    scope: Scope, effect: Effect[..., Any], receipt: Receipt
) -> tuple[Literal["succeeded", "declined", "not done", "unknown"], Any]:
    try:
        answer = await _probe(scope, effect, receipt)
    except Declined as declined:
        return "declined", declined
    except Exception as error:  # noqa: BLE001 - a probe that fails tells nothing, and is asked again in a later round
        return "unknown", f"probing failed: {describe(error)}"
    match answer:
        case Found(result):
            return "succeeded", result
        case Absent():
            return "not done", None
        case CannotTell(why):
            return "unknown", f"the probe cannot tell: {why}"
    return "unknown", f"the probe returned {type(answer).__name__}"


async def _probe(scope: Scope, effect: Effect[..., Any], receipt: Receipt) -> Any:
    runtime, function = scope.runtime, effect.probe
    assert function is not None
    arguments = effect.function.fit(codec.decode(runtime.unseal(receipt.request)))
    chosen = follow_up_arguments(function, None, arguments, None)
    injected = await runtime.injector.resolve(function)
    async with asyncio.timeout(effect.timeout_s):
        return await function.call(effect.call_for(runtime, receipt), chosen, injected, runtime.executor)


async def _answer(
    scope: Scope,
    finding: NewFinding,
    receipt: Receipt,
    outcome: Literal["succeeded", "declined", "not done"],
    value: Any,
) -> str | None:
    seen = await _unknown(scope, finding, receipt, "a reconcile has asked the provider, and was to store the answer")
    if seen is None:
        return _MOVED_ON
    effect = scope.effects[receipt.function]
    result = reason = None
    if outcome == "succeeded":
        result = codec.decode(codec.encode(value, f"the result of {effect.function!r}"))
    elif outcome == "declined":
        reason = value.reason
    try:
        answer = (outcome, result, reason)
        await resolve(
            scope.runtime, scope.effects, [seen], receipt.key, answer, receipt.attempt, said_by=(scope.who, scope.why)
        )
    except Misuse:
        async with scope.runtime.record.session() as session:
            now = (await session.find_receipt(receipt.key, receipt.attempt)).receipt
        if now is not None and now.state == "unknown":
            raise  # nobody was faster: it is on_success, or on_decline, that fails
        return _MOVED_ON
    return f"the provider says: {outcome}"


async def _leave(scope: Scope, finding: NewFinding, receipt: Receipt, why: str) -> str | None:
    """Leave it to a person, as an unknown outcome."""
    seen = await _unknown(scope, finding, receipt, why)
    if seen is None:
        return _MOVED_ON
    return None if seen is receipt else _IS_UNKNOWN


async def _unknown(scope: Scope, finding: NewFinding, receipt: Receipt, why: str) -> Receipt | None:
    """Let the receipt be unknown, which an intent that nobody drives is; ``None`` if it has changed."""
    if receipt.state == "unknown":
        return receipt
    change = d.unknown(receipt, codec.encode({"reason": masked(codec.told(why))[:2000]}, "a reason"))
    async with scope.runtime.record.transaction() as tx:
        changed = await tx.change_receipt(receipt, change)
        if changed is not None:
            await tx.add_audit(scope.audit(finding, _IS_UNKNOWN))
        return changed
