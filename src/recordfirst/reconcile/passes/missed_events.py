"""Provider events that never arrived: the provider is asked for what it has sent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

from recordfirst.core.event import NewEvent
from recordfirst.core.finding import NewFinding
from recordfirst.errors import NotDone
from recordfirst.events.catching_up import listing, missed, take_up
from recordfirst.providers.events import EventSource
from recordfirst.reconcile.contract import Discrepancy, Page, PassContext

MISSED = "RF-EVENT-MISSED"
WINDOW_MS = 3 * 86_400_000
"""So far back without ``--since``. Stripe tries to deliver for three days, and lists for thirty."""
_SETTLING_MS = 10 * 60_000
"""What is younger may still be on its way."""


class MissedEvents:
    """What the app's event sources list, if they can. It costs what there is, so it runs only when it is named."""

    name = "missed-events"
    codes: tuple[str, ...] = (MISSED,)
    full_scan = True

    async def pages(self, scope: PassContext, position: str | None) -> AsyncIterator[Page]:
        """Ask one source after the other, newest events first."""
        async with scope.runtime.record.session() as session:
            now_ms = await session.now_ms()
        since_ms = scope.since_ms or now_ms - WINDOW_MS
        at, after = (int(position.split()[0]), position.split()[1]) if position is not None else (0, None)
        for number, source in enumerate(listing(scope.registered.sources)):
            if number < at:
                continue
            behind = after if number == at else None
            try:
                async for page in missed(scope.runtime, source, since_ms=since_ms, after=behind):
                    late = [event for event in page.events if (event.at_ms or 0) < now_ms - _SETTLING_MS]
                    found = [_discrepancy(scope, source, event) for event in late]
                    next_one = f"{number} {page.after}" if page.after is not None else f"{number + 1} "
                    yield Page(found, page.looked, next_one)
            except Exception as error:
                raise NotDone(f"{source.name} did not list its events: {type(error).__name__}: {error}") from error


def _discrepancy(scope: PassContext, source: EventSource, event: NewEvent) -> Discrepancy:
    finding = NewFinding(code=MISSED, subject=event.id, detail=f"{event.type} of {event.provider} never arrived")
    return Discrepancy(finding, partial(_take_up, scope, source, event))


async def _take_up(scope: PassContext, source: EventSource, event: NewEvent) -> str:
    await take_up(scope.runtime, source, event)
    return "it was taken up, as if it came now"
