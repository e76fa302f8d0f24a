"""A worker's part in provider events: it processes each event as soon as it has come."""

from __future__ import annotations

from recordfirst.core.event import StoredEvent
from recordfirst.core.finding import NewFinding
from recordfirst.core.receipt import Receipt
from recordfirst.events.taking import LookFor, Taker, providers_by_name
from recordfirst.execution.looking import Sought, look_at
from recordfirst.observe import DispatchFailed
from recordfirst.reconcile.contract import PassContext
from recordfirst.reconcile.probing import ask

_POLL_S = 0.5
"""Between two looks for events, when no news has come of any."""
_AGAIN_S = 1.0
_UNKNOWN = "RF-EFFECT-UNKNOWN"


async def take_events(scope: PassContext) -> None:
    """Take events up until cancelled. What fails is taken up again, when its claim has run out."""
    runtime, registered = scope.runtime, scope.registered
    taker = Taker(runtime, registered.handlers, providers_by_name(registered.effects), looker(scope))
    while True:
        try:
            taken = await taker.round()
            if not taken:
                await runtime.record.changed(_POLL_S)
        except Exception as error:  # noqa: BLE001 - the record is away, say: events wait there
            runtime.observe(DispatchFailed(f"taking events up: {type(error).__name__}: {error}"))
            await runtime.seams.pause(_AGAIN_S)


def looker(scope: PassContext) -> LookFor:
    """What looks at a receipt that an event is about: the probe is asked, as a reconcile would ask it."""

    async def look(receipt: Receipt, event: StoredEvent) -> bool:
        if receipt.state == "pending":
            sought = Sought(key=receipt.key, attempt=receipt.attempt)
            await look_at(scope.runtime, scope.registered.effects, sought)
            return True  # what was asked for behind the event is no older than it
        if receipt.state != "unknown":
            return True
        finding = NewFinding(
            code=_UNKNOWN,
            subject=receipt.key,
            workflow=receipt.workflow,
            detail=f"event {event.id} ({event.type}) of {event.provider} asks to look at it",
        )
        await ask(scope, finding, receipt)
        async with scope.runtime.record.session() as session:
            now = (await session.find_receipt(receipt.key, receipt.attempt)).receipt
        return now is None or now.state != "unknown"

    return look
