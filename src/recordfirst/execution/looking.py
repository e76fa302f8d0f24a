"""Looks at an effect from outside of its workflow: asks the provider, and stores the answer (P5).

Nothing is called. An outcome is stored with its follow-up, as an operator's answer is, and wakes the workflow. Any
other answer changes only the time of the next look.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from recordfirst.core import decide as d
from recordfirst.core import identity, pending
from recordfirst.core.receipt import Change, Receipt
from recordfirst.core.text import safe_text
from recordfirst.errors import Declined, RecordfirstError
from recordfirst.execution.outcome import Outcome, declined_as, outcome_of, pending_change
from recordfirst.execution.patience import fault_of
from recordfirst.execution.probing import Early, Failed, ProbeAnswer, ask
from recordfirst.execution.resolve import settle
from recordfirst.execution.verdict import reason
from recordfirst.providers.contract import Absent, CannotTell, Found, Pending, describe

if TYPE_CHECKING:
    from recordfirst.execution.runtime import Runtime
    from recordfirst.records.contract import Session
    from recordfirst.steps.effect import Effect

_OPEN = ("intended", "unknown", "pending")


class Sought(NamedTuple):
    """By what an effect is sought: one of these."""

    key: str | None = None
    attempt: int | None = None
    marker: str | None = None
    reference: str | None = None


async def look_at(runtime: Runtime, effects: Mapping[str, Effect[..., Any]], sought: Sought) -> list[Receipt]:
    """Look now at the effects that are sought; return them as they are then."""
    async with runtime.record.session() as session:
        receipts, now_ms = await _found(session, runtime.app, sought), await session.now_ms()
    seen = []
    for receipt in receipts:
        effect = effects.get(receipt.function)
        may = (receipt.state in _OPEN and receipt.calls > 0 and receipt.reply is None) or receipt.state == "pending"
        can = effect is not None and effect.probe is not None
        seen.append(await look(runtime, effect, receipt, now_ms) if effect is not None and may and can else receipt)
    return seen


async def _found(session: Session[Any], app: str, sought: Sought) -> list[Receipt]:
    if sought.reference is not None:
        names = await session.referred_to(sought.reference)
    elif sought.marker is not None:
        name = identity.parse_marker(app, sought.marker)
        names = [name] if name is not None else await session.referred_to(sought.marker)
    elif sought.key is not None and sought.attempt is None:
        return (await session.receipts_by_key(sought.key))[-1:]
    else:
        names = [(sought.key or "", sought.attempt or 1)]
    found = [(await session.find_receipt(*name)).receipt for name in names]
    return [receipt for receipt in found if receipt is not None and receipt.kind == "effect"]


async def look(
    runtime: Runtime,
    effect: Effect[..., Any],
    receipt: Receipt,
    now_ms: int,
    why: str | None = None,
) -> Receipt:
    """Ask the provider about this effect now, store what it says, and return the receipt as it is then.

    ``now_ms``: the record's time, from before. ``why``: what led to this look, to be said if it brings no outcome.
    """
    if effect.probe is None:
        return await _left(
            runtime, effect, receipt, now_ms, why or "it has no probe: an operator must say what became of it"
        )
    answer = await ask(effect, runtime, receipt, now_ms)
    if isinstance(answer, Failed):
        runtime.heard_of(effect.provider.name, answer.verdict)
    outcome = _outcome(effect, receipt, answer)
    if outcome is None or _is_no_news(runtime, receipt, outcome):
        said = [each for each in (why, _said(answer)) if each is not None]
        return await _left(runtime, effect, receipt, now_ms, "; ".join(said) or None)
    return await _store(runtime, effect, receipt, outcome, now_ms)


def _outcome(effect: Effect[..., Any], receipt: Receipt, answer: ProbeAnswer) -> Outcome | None:
    match answer:
        case Found(result):
            try:
                text, value = effect.function.result(result)
            except Exception as error:  # noqa: BLE001 - it has happened, and is stored as that, whatever its result is
                known = isinstance(error, RecordfirstError)
                why = safe_text(error) if known else f"the result of {effect.function!r}: {describe(error)}"
                return Outcome("succeeded", "null", None, reason(why))
            return Outcome("succeeded", text, value)
        case Declined():
            return declined_as(receipt.key, answer)
        case Pending():
            return outcome_of(answer)
    return None


def _said(answer: ProbeAnswer) -> str | None:
    match answer:
        case Absent():
            return "its probe no longer finds what was pending"
        case CannotTell(why):
            return f"the probe cannot tell: {why}"
        case Failed(why):
            return f"probing failed: {why}"
        case Early():
            return "its probe finds nothing yet"
    return None


def _is_no_news(runtime: Runtime, receipt: Receipt, outcome: Outcome) -> bool:
    """Whether what is pending is so as it was stored."""
    if outcome.state != "pending" or receipt.state != "pending":
        return False
    return receipt.reply is not None and runtime.unseal(receipt.reply) == outcome.reply


async def _store(
    runtime: Runtime, effect: Effect[..., Any], receipt: Receipt, outcome: Outcome, now_ms: int
) -> Receipt:
    def may(seen: Receipt) -> bool:
        return seen.state in _OPEN and d.still_counts(outcome.state, receipt, seen)

    change_of: Any = None
    if outcome.state == "pending":

        def change_of(seen: Receipt) -> Change:
            return pending_change(seen, outcome, runtime.seal, effect.guarantee, now_ms, None)

    elif outcome.state == "succeeded" and outcome.error is not None:

        def change_of(seen: Receipt) -> Change:
            return d.succeeded(seen, None, outcome.error)

        effect = effect.without_follow_ups()
    try:
        return await settle(runtime, effect, receipt, outcome, may, None, change_of)
    except Exception as error:
        hook = effect.follow_up_of(outcome.state)
        if hook is None or fault_of(runtime.record, error) is not None:
            raise
        # As where a call has brought it: the answer is kept, and the workflow wakes, and stops there until it is fixed.
        reply = runtime.seal(outcome.reply)
        failed = reason(f"{hook[0].name} failed after a look had found it {outcome.state}: {describe(error)}")
        bare = effect.without_follow_ups()
        return await settle(runtime, bare, receipt, outcome, may, None, lambda r: d.replied(r, reply, failed))


async def _left(runtime: Runtime, effect: Effect[..., Any], receipt: Receipt, now_ms: int, said: str | None) -> Receipt:
    """Nothing has come of a look: what is pending has its next time. What else there is is not touched."""
    if receipt.state != "pending":
        return receipt
    error = None if said is None else reason(said)

    async def store() -> Receipt | None:
        async with runtime.record.session() as session:
            return await session.change_receipt(receipt, pending.looked(receipt, now_ms, effect.guarantee, error))

    changed: Receipt | None = await runtime.patiently(f"a look at {receipt.key!r}", store, release=False)
    return changed if changed is not None else receipt
