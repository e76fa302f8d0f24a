"""Events that never arrived: the provider lists its events, and those that the record lacks are processed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, NamedTuple, TypeGuard

import msgspec

from recordfirst.core.event import NewEvent
from recordfirst.errors import NotDone
from recordfirst.events.endpoint import EventEndpoint
from recordfirst.events.store import EventStore
from recordfirst.execution.runtime import Runtime
from recordfirst.providers.contract import describe
from recordfirst.providers.events import EventSource, ListsEvents


class CaughtUp(msgspec.Struct, kw_only=True):
    """What a look at the providers' events has come to."""

    looked: dict[str, int] = {}
    """Events that were listed, by provider."""
    missed: list[str] = []
    """Ids of those that had never arrived: taken up now, or, in a dry run, to be."""
    cannot: list[str] = []
    """Providers whose events cannot be listed."""
    failed: dict[str, str] = {}
    """Why a provider did not list its events to the end, by provider. What it had listed before was taken up."""


class Missed(NamedTuple):
    """One page of what a provider lists."""

    looked: int
    events: list[NewEvent]
    """Those of it that never arrived."""
    after: str | None
    """What the next page is behind; ``None`` at the end."""


def listing(sources: Sequence[EventSource]) -> list[ListsEvents]:
    """Those that can be asked what they have sent, one for each provider."""
    return [source for source in {source.name: source for source in sources}.values() if _lists(source)]


async def missed(runtime: Runtime, source: ListsEvents, *, since_ms: int, after: str | None) -> AsyncIterator[Missed]:
    """List a source's events since then, newest first, page by page.

    Raises:
        NotDone: if its provider does not answer, or refuses.
    """
    client = await runtime.injector.get(source.client)
    while True:
        try:
            page, after = await source.page(client, since_ms, after)
        except Exception as error:
            raise NotDone(f"{source.name} did not list its events: {describe(error)}") from error
        yield Missed(len(page), [event for event in page if await _is_missing(runtime, event)], after)
        if after is None:
            return


async def take_up(runtime: Runtime, source: EventSource, event: NewEvent) -> None:
    """Take an event up as if it came now."""
    await EventEndpoint(runtime, source).take(event)


async def catch_up(runtime: Runtime, sources: list[EventSource], *, since_ms: int, dry_run: bool) -> CaughtUp:
    """List each source's events since then, and take up what never arrived."""
    done = CaughtUp(cannot=sorted({source.name for source in sources if not _lists(source)}))
    for source in listing(sources):
        try:
            async for page in missed(runtime, source, since_ms=since_ms, after=None):
                done.looked[source.name] = done.looked.get(source.name, 0) + page.looked
                for event in page.events:
                    if not dry_run:
                        await take_up(runtime, source, event)
                    done.missed.append(event.id)
        except NotDone as error:
            done.failed[source.name] = str(error)
    return done


def _lists(source: EventSource) -> TypeGuard[ListsEvents]:
    return hasattr(source, "page")


async def _is_missing(runtime: Runtime, event: NewEvent) -> bool:
    async def look() -> Any:
        async with runtime.record.session() as session:
            return await EventStore(runtime.record, runtime.sealing).knows(session, event)

    return not await runtime.patiently(f"event {event.id!r}", look, release=False)
