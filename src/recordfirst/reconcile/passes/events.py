"""Provider events that are not done: those with a stopped handler, and those that wait for a receipt in vain."""

from __future__ import annotations

from collections.abc import AsyncIterator

from recordfirst.core import codec
from recordfirst.core.event import StoredEvent
from recordfirst.core.finding import NewFinding
from recordfirst.events.matching import receipts_named
from recordfirst.events.store import EventStore, names_of
from recordfirst.events.taking import STOPPED
from recordfirst.reconcile.contract import PAGE, Discrepancy, Page, PassContext

WAITING = "RF-EVENT-WAITING"
_WAITS_MS = 15 * 60_000
"""How long an event may come before its receipt."""


class Events:
    """What is stopped, and what has waited for long. It costs what there is of these."""

    name = "events"
    codes: tuple[str, ...] = (STOPPED, WAITING)
    full_scan = False
    dated = False

    async def pages(self, scope: PassContext, position: str | None) -> AsyncIterator[Page]:
        """Look at what is not done, oldest first."""
        store = EventStore(scope.runtime.record, scope.runtime.sealing)
        while True:
            async with scope.runtime.record.session() as session:
                left = await store.left(session, older_than_ms=_WAITS_MS, after=position, limit=PAGE)
            if not left:
                return
            position = left[-1].hash
            yield Page([Discrepancy(_finding(scope, event)) for event in left], len(left), position)


def _finding(scope: PassContext, event: StoredEvent) -> NewFinding:
    subject = event.id or event.hash
    if event.state == "stopped":
        said = codec.decode(event.error).get("reason") if event.error else None
        what = f"a handler failed {event.tries} times" if event.tries else "what it is about could not be looked into"
        detail = f"{event.type} of {event.provider}: {what}: {said}"
        return NewFinding(code=STOPPED, subject=subject, detail=detail)
    keys = ", ".join(repr(key) for key, _ in receipts_named(scope.runtime.app, names_of(event)))
    return NewFinding(
        code=WAITING, subject=subject, detail=f"{event.type} of {event.provider} names {keys}, without a receipt"
    )
