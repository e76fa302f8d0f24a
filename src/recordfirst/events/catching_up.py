"""Events that never arrived: the provider lists its events, and those that the record lacks are processed."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from recordfirst.core.event import NewEvent
from recordfirst.events.endpoint import EventEndpoint
from recordfirst.events.store import EventStore
from recordfirst.execution.runtime import Runtime
from recordfirst.providers.events import EventSource, ListsEvents


class CaughtUp(msgspec.Struct, kw_only=True):
    """What a look at the providers' events has come to."""

    looked: dict[str, int] = {}
    """Events that were listed, by provider."""
    missed: list[str] = []
    """Ids of those that had never arrived: taken up now, or, in a dry run, to be."""
    cannot: list[str] = []
    """Providers whose events cannot be listed."""


async def catch_up(runtime: Runtime, sources: list[EventSource], *, since_ms: int, dry_run: bool) -> CaughtUp:
    """List each source's events since then, and take up what never arrived, as if it came now."""
    done = CaughtUp()
    for source in {source.name: source for source in sources}.values():
        if not hasattr(source, "page"):
            done.cannot.append(source.name)
            continue
        await _from(runtime, cast("ListsEvents", source), done, since_ms=since_ms, dry_run=dry_run)
    return done


async def _from(runtime: Runtime, source: ListsEvents, done: CaughtUp, *, since_ms: int, dry_run: bool) -> None:
    endpoint, client = EventEndpoint(runtime, source), await runtime.injector.get(source.client)
    after: str | None = None
    while True:
        page, after = await source.page(client, since_ms, after)
        done.looked[source.name] = done.looked.get(source.name, 0) + len(page)
        for event in page:
            if await _is_missing(runtime, event):
                done.missed.append(event.id)
                if not dry_run:
                    await endpoint.take(event)
        if after is None:
            return


async def _is_missing(runtime: Runtime, event: NewEvent) -> bool:
    async def look() -> Any:
        async with runtime.record.session() as session:
            return await EventStore(runtime.record, runtime.sealing).knows(session, event)

    return not await runtime.patiently(f"event {event.id!r}", look, release=False)
