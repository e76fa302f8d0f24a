"""A worker's part in provider events: it processes each event as soon as it has come."""

from __future__ import annotations

from recordfirst.core.event import StoredEvent
from recordfirst.core.finding import NewFinding
from recordfirst.core.receipt import Receipt, Seen
from recordfirst.events.taking import LookFor, Taker, providers_by_name
from recordfirst.execution.looking import look as look_now
from recordfirst.execution.reversals import Reversals
from recordfirst.observe import DispatchFailed
from recordfirst.process.sharing import Sharing
from recordfirst.reconcile.contract import PassContext
from recordfirst.reconcile.probing import ask

_POLL_S = 0.5
"""Between two looks for events, when no news has come of any."""
_AGAIN_S = 1.0
_UNKNOWN = "RF-EFFECT-UNKNOWN"
_WITHOUT_OUTCOME = ("unknown", "pending")


async def take_events(scope: PassContext) -> None:
    """Take events up until cancelled, and try handlers of reversals that are due. What fails is taken up again."""
    runtime, registered = scope.runtime, scope.registered
    taker = Taker(runtime, registered.handlers, providers_by_name(registered.effects), looker(scope))
    reversals = Reversals(runtime, registered.effects)
    try:
        while True:
            try:
                taken = await taker.round(_POLL_S) + await reversals.round()
                if not taken and not taker.is_busy:
                    await runtime.record.changed(_POLL_S)
            except Exception as error:  # noqa: BLE001 - the record is away, say: events wait there
                runtime.observe(DispatchFailed(f"taking events up: {type(error).__name__}: {error}"))
                await runtime.seams.pause(_AGAIN_S)
    finally:
        await taker.close()


def looker(scope: PassContext) -> LookFor:
    """What looks at a receipt that an event is about: the probe is asked, as a reconcile would ask it.

    Events that come together about one receipt share a look that begins behind them all. What has succeeded, also just
    now, is asked about for what takes it back.
    """
    reversals = Reversals(scope.runtime, scope.registered.effects)
    settling: Sharing[Receipt | None] = Sharing()

    async def look(receipt: Receipt, event: StoredEvent, now_ms: int) -> bool:
        async def settled(waited: bool) -> Receipt | None:  # noqa: FBT001 - as it is told
            if not waited:
                return await _settled(scope, receipt, event, now_ms)
            seen = await _seen(scope, receipt)
            return None if seen.receipt is None else await _settled(scope, seen.receipt, event, seen.now_ms)

        now: Receipt | None = receipt
        if receipt.state in _WITHOUT_OUTCOME:
            now = await settling.once((receipt.key, receipt.attempt), settled)
        effect = scope.registered.effects.get(receipt.function)
        if now is not None and now.state == "succeeded" and effect is not None:
            provider = effect.provider
            if provider.name == event.provider and provider.may_reverse(event.type):
                await reversals.look(now, event.id or event.hash)
        # What was asked for behind the event is no older than it, if there was an answer.
        answered = effect is not None and effect.probe is not None and now is not None and now.error is None
        return now is None or now.state in ("succeeded", "declined") or (now.state == "pending" and answered)

    return look


async def _settled(scope: PassContext, receipt: Receipt, event: StoredEvent, now_ms: int) -> Receipt | None:
    """Ask for the outcome of what has none, and return the receipt as it is then."""
    if receipt.state == "pending":
        effect = scope.registered.effects.get(receipt.function)
        if effect is None or effect.probe is None:
            return receipt
        return await look_now(scope.runtime, effect, receipt, now_ms)
    if receipt.state != "unknown":
        return receipt
    finding = NewFinding(
        code=_UNKNOWN,
        subject=receipt.key,
        workflow=receipt.workflow,
        detail=f"event {event.id} ({event.type}) of {event.provider} asks to look at it",
    )
    await ask(scope, finding, receipt)
    return (await _seen(scope, receipt)).receipt


async def _seen(scope: PassContext, receipt: Receipt) -> Seen:
    async with scope.runtime.record.session() as session:
        return await session.find_receipt(receipt.key, receipt.attempt)
