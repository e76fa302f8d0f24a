"""Provider events that never arrived: the provider is asked for what it has sent."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from functools import partial

from recordfirst.core.event import NewEvent
from recordfirst.core.finding import NewFinding
from recordfirst.events.catching_up import listing, missed, take_up
from recordfirst.providers.events import EventSource, ListsEvents
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
    dated = True

    async def pages(self, scope: PassContext, position: str | None) -> AsyncIterator[Page]:
        """Ask one source after the other, newest events first."""
        async with scope.runtime.record.session() as session:
            now_ms = await session.now_ms()
        since_ms = scope.since_ms or now_ms - WINDOW_MS
        sources = listing(scope.registered.sources)
        yield Page([], 0, position or "0 ", _not_asked(scope, sources, now_ms - since_ms))
        at, after = (int(position.split()[0]), position.partition(" ")[2]) if position else (0, "")
        young = 0
        for number, source in enumerate(sources):
            if number < at:
                continue
            behind = (after or None) if number == at else None
            async for page in missed(scope.runtime, source, since_ms=since_ms, after=behind):
                late = [event for event in page.events if (event.at_ms or 0) < now_ms - _SETTLING_MS]
                young += len(page.events) - len(late)
                found = [_discrepancy(scope, source, event) for event in late]
                next_one = f"{number} {page.after}" if page.after is not None else f"{number + 1} "
                yield Page(found, page.looked, next_one)
        if young:
            yield Page([], 0, f"{len(sources)} ", (_YOUNG.format(count=young),))


_YOUNG = (
    "missed-events: {count} more that have not arrived are younger than ten minutes: they may be on their way, and are "
    "no findings yet; recordfirst events --catch-up takes them up now"
)


def _not_asked(scope: PassContext, sources: Sequence[ListsEvents], age_ms: int) -> tuple[str, ...]:
    """What this pass does not look at."""
    if not scope.registered.sources:
        return ("missed-events: the app takes in no events: its module calls app.events(...) for none",)
    cannot = sorted({each.name for each in scope.registered.sources} - {each.name for each in sources})
    short = {each.name: f"{each.lists_s / 86_400:g}" for each in sources if age_ms > each.lists_s * 1000}
    return tuple(
        [f"missed-events: {name}: its events cannot be listed" for name in cannot]
        + [
            f"missed-events: {name} lists the events of {days} days; older ones were not seen"
            for name, days in short.items()
        ]
    )


def _discrepancy(scope: PassContext, source: EventSource, event: NewEvent) -> Discrepancy:
    finding = NewFinding(code=MISSED, subject=event.id, detail=f"{event.type} of {event.provider} never arrived")
    return Discrepancy(finding, partial(_take_up, scope, source, event))


async def _take_up(scope: PassContext, source: EventSource, event: NewEvent) -> str:
    await take_up(scope.runtime, source, event)
    return "it was taken up, as if it came now"
