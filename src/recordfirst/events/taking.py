"""Processes stored events: gives them to handlers, and looks at the receipts that they are about.

If a process dies in between, the event is processed again: handlers have receipts, and a second look changes nothing.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from recordfirst.core import codec
from recordfirst.core.event import EventNames, StoredEvent
from recordfirst.core.receipt import Receipt
from recordfirst.core.text import safe_text
from recordfirst.errors import EffectsHeld
from recordfirst.events import matching
from recordfirst.events.handling import handle
from recordfirst.events.store import EventStore, names_of
from recordfirst.execution.patience import fault_of
from recordfirst.execution.reversals import CallUnderWay
from recordfirst.execution.runtime import Runtime
from recordfirst.observe import EventFailed, EventStopped, log_place
from recordfirst.providers.contract import Provider, describe
from recordfirst.steps.function import RAISED_AT
from recordfirst.steps.on_event import EventHandler

CLAIM_MS = 15_000
"""How long an event that was taken up is nobody else's; a handler that takes longer may run twice, and counts once."""
_ASKS_MOST = 4
"""How often a provider is asked whose something is: a dispute's payment, and its charge."""
AT_ONCE = 16
"""Events of one provider that are taken up side by side."""
STOPPED = "RF-EVENT-STOPPED"


class LookFor(Protocol):
    """Asks the provider about a receipt now, because an event says that there is something to see."""

    async def __call__(self, receipt: Receipt, event: StoredEvent, now_ms: int) -> bool:
        """Look, and store what there is. Return whether the provider has said it all: ``False`` asks to look again.

        It is called for every receipt that is not intended, settled ones too: the look knows what can change.
        ``now_ms``: the record's time when the receipt was so.
        """


class _Looked(NamedTuple):
    """What came of looking at what an event is about."""

    waits: bool = False
    """It names a receipt that is not there yet."""
    under_way: bool = False
    """What it is, or may be, about has no outcome yet."""


class _Taken(NamedTuple):
    """An event that is being taken up."""

    provider: str
    task: asyncio.Task[None]


class Taker:
    """Of one worker."""

    def __init__(
        self, runtime: Runtime, handlers: Sequence[EventHandler], providers: Mapping[str, Provider], look: LookFor
    ) -> None:
        self._runtime, self._handlers, self._providers, self._look = runtime, handlers, providers, look
        self._store = EventStore(runtime.record, runtime.sealing)
        self._under_way: dict[str, _Taken] = {}
        """What takes an event up, by its hash."""

    async def round(self, wait_s: float = 0.0) -> int:
        """Begin to take up what is due now, and return how many events that is, and how many have come to their end.

        Of each provider so many are under way at once, and their places are taken again one by one: an event whose
        provider does not answer holds up no other. If nothing is due, wait for the end of one for so long.
        """
        over = self._over()
        events = await self._claimed()
        for event in events:
            self._under_way[event.hash] = _Taken(event.provider, asyncio.create_task(self.take(event)))
        if over or events or not self._under_way:
            return over + len(events)
        tasks = [each.task for each in self._under_way.values()]
        await asyncio.wait(tasks, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
        return self._over()

    @property
    def is_busy(self) -> bool:
        """Whether events are being taken up."""
        return bool(self._under_way)

    async def close(self) -> None:
        """Leave what is under way; who takes events up next takes that up again."""
        for each in self._under_way.values():
            each.task.cancel()
        await asyncio.gather(*(each.task for each in self._under_way.values()), return_exceptions=True)

    def _over(self) -> int:
        """Forget what has come to its end, and return how many events that were. Plumbing is raised: what was claimed
        is taken up again.
        """
        over = {hash: each.task for hash, each in self._under_way.items() if each.task.done()}
        for hash in over:
            del self._under_way[hash]
        for failure in [task.exception() for task in over.values()]:
            if failure is not None:
                raise failure
        return len(over)

    async def _claimed(self) -> list[StoredEvent]:
        runtime, busy = self._runtime, Counter(each.provider for each in self._under_way.values())
        full = [name for name, count in busy.items() if count >= AT_ONCE]
        free = AT_ONCE - max((count for count in busy.values() if count < AT_ONCE), default=0)
        async with runtime.record.session() as session:
            if not await self._store.is_due(session, besides=full) or await runtime.held(session) is not None:
                return []
        async with runtime.record.transaction() as tx:
            claimed = await self._store.due(tx, claim_ms=CLAIM_MS, limit=free, besides=full)
        # One that takes longer than it was claimed for is claimed anew, and goes on.
        return [event for event in claimed if event.hash not in self._under_way]

    async def take(self, event: StoredEvent) -> None:
        """Take one event up. Whatever comes of it is stored, and nothing is raised but plumbing."""
        failed = await self._handled(event)
        looked, look_failed = _Looked(), None
        try:
            looked = await self._looked(event)
        except EffectsHeld:
            looked = _Looked(under_way=True)
        except Exception as error:
            if fault_of(self._runtime.record, error) is not None:
                raise
            look_failed = error
        if failed is not None:
            event = msgspec.structs.replace(event, tries=event.tries + 1)
        came_to = matching.verdict(
            looks=event.looks,
            tries=event.tries,
            failed=failed is not None,
            waits_for_receipt=looked.waits,
            under_way=looked.under_way,
            look_failed=look_failed is not None,
        )
        await self._came_to(event, came_to, failed or look_failed)

    async def _came_to(self, event: StoredEvent, came_to: matching.EventVerdict, failed: Exception | None) -> None:
        runtime, error, at = self._runtime, None, None
        if failed is not None:
            if event.tries == 1 or came_to.state == "stopped":  # the same place each time, most likely
                log_place(f"taking event {event.id!r} up failed", failed)
            at = getattr(failed, RAISED_AT, None)
            runtime.observe(EventFailed(event.provider, event.id or event.hash, describe(failed), at))
            reason = {"reason": describe(failed)} | ({"at": at} if at is not None else {})
            error = codec.encode({name: codec.told(text) for name, text in reason.items()}, "an error")

        async def store() -> bool:
            async with runtime.record.session() as session:
                return await self._store.came_to(session, event, came_to.state, wait_ms=came_to.wait_ms, error=error)

        stored = await runtime.patiently(f"event {event.id!r}", store, release=False)
        if stored and came_to.state == "stopped":
            runtime.observe(EventStopped(event.provider, event.id or event.hash, safe_text(failed), at))

    # ── the user's handlers ─────────────────────────────────────────────────

    async def _handled(self, event: StoredEvent) -> Exception | None:
        """Run the handlers that have not run; return what one has raised. The others run all the same."""
        failed: Exception | None = None
        for handler in self._handlers:
            if not handler.takes(event.provider, event.type):
                continue
            try:
                await handle(self._runtime, handler, event)
            except Exception as error:
                if fault_of(self._runtime.record, error) is not None:
                    raise
                handler.function.raised_at(error)  # it is noted on the error
                failed = error
        return failed

    # ── the receipts ────────────────────────────────────────────────────────

    async def _looked(self, event: StoredEvent) -> _Looked:
        """Have what the event is about looked at."""
        named = await self._named(event)
        if not named:
            return _Looked()
        async with self._runtime.record.session() as session:
            found = [await session.find_receipt(key, attempt) for key, attempt in named]
        looks = 0 if event.state == "waiting" else event.looks
        glances = [
            (seen.receipt, matching.glance(seen.receipt, looks), seen.now_ms)
            for seen in found
            if seen.receipt is not None and seen.receipt.kind == "effect"
        ]
        under_way = any(glance == "later" for _, glance, _ in glances)
        for receipt, glance, now_ms in glances:
            if glance == "look":
                try:
                    under_way |= not await self._look(receipt, event, now_ms)
                except CallUnderWay:
                    under_way = True
        return _Looked(waits=all(glance == "absent" for _, glance, _ in glances), under_way=under_way)

    async def _named(self, event: StoredEvent) -> list[tuple[str, int]]:
        """Key and attempt of what it is about. One that names objects alone: by the references that receipts have, or
        else the provider says what calls left there.
        """
        names = names_of(event)
        named, asked = await self._receipts(names), set[str]()
        provider, left = self._providers.get(event.provider), [*names.references]
        while not named and provider is not None and left and len(asked) < _ASKS_MOST:
            reference = left.pop(0)
            if reference not in asked:
                asked.add(reference)
                found = await provider.names_under(self._runtime.injector.get, reference)
                named = await self._receipts(found)
                left += found.references
        return named

    async def _receipts(self, names: EventNames) -> list[tuple[str, int]]:
        named = matching.receipts_named(self._runtime.app, names)
        if not named and names.references:
            async with self._runtime.record.session() as session:
                named = [found for id in names.references for found in await session.referred_to(id)]
        return named


def providers_by_name(effects: Mapping[str, Any]) -> dict[str, Provider]:
    """The providers of these effects."""
    return {effect.provider.name: effect.provider for effect in effects.values()}
