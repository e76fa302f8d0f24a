"""Operators' commands for provider events: list them, replay one, process those that never arrived."""

from __future__ import annotations

from collections.abc import Sequence

from recordfirst.core.event import EventState, StoredEvent
from recordfirst.core.finding import Audit, NewFinding
from recordfirst.errors import Misuse
from recordfirst.events.catching_up import CaughtUp, catch_up, listing
from recordfirst.events.store import EventStore
from recordfirst.events.taking import STOPPED
from recordfirst.execution.runtime import Runtime
from recordfirst.providers.events import EventSource

DAY_MS = 86_400_000


class EventOperations:
    """Of an app that is open: ``app.operations.events``."""

    def __init__(self, runtime: Runtime, sources: Sequence[EventSource]) -> None:
        self._runtime, self._sources = runtime, sources
        self._store = EventStore(runtime.record, runtime.sealing)

    async def newest(self, state: EventState | None = None, limit: int = 50) -> list[StoredEvent]:
        """Events, newest first, of one state or of all."""
        async with self._runtime.record.session() as session:
            return await self._store.newest(session, state, limit)

    async def find(self, id: str) -> list[StoredEvent]:
        """Events of this id: of several providers, if they name theirs alike."""
        async with self._runtime.record.session() as session:
            return await self._store.find(session, id)

    async def replay(self, id: str, *, who: str = "app", why: str | None = None, dry_run: bool = False) -> StoredEvent:
        """Have an event taken up again, by the next worker: looks are repeated, and handlers that have not run, run.

        A handler that has run has its receipt, and does not run again.

        Raises:
            Misuse: if there is none of that id, more than one, or what it said is no longer kept, or it is of the other
                mode.
        """
        self._runtime.owned.check()
        found = await self.find(id)
        if len(found) != 1:
            raise Misuse(
                f"{len(found) or 'no'} events have the id {id!r}; recordfirst events lists those that there are"
            )
        event = found[0]
        if event.state == "ignored" or event.body is None:
            why_not = "is of the other mode, or account" if event.body is not None else "has its retention behind it"
            raise Misuse(f"event {id!r} {why_not}: it is never applied")
        if dry_run:
            return event

        async def store() -> None:
            async with self._runtime.record.transaction() as tx:
                await self._store.again(tx, event)
                await tx.close_findings([NewFinding(code=STOPPED, subject=id, detail="")], "it was replayed")
                await tx.add_audit(Audit(who=who, command="events", subject=id, why=why, detail="replayed"))
                await self._runtime.record.notify(tx)

        await self._runtime.patiently(f"replay of {id!r}", store, release=False)
        return event

    async def catch_up(
        self, *, since_s: float = 3 * 86_400, who: str = "app", why: str | None = None, dry_run: bool = False
    ) -> CaughtUp:
        """Ask the providers for their events of so long, and take up what never arrived. Stripe lists those of 30 days.

        What the app has an endpoint for (``App.events``) is asked, if it can list. A provider that does not answer is
        in :attr:`CaughtUp.failed`, and stops no other.

        Raises:
            Misuse: if the app takes in no provider's events, or a provider lists them for less long.
        """
        self._runtime.owned.check()
        if not self._sources:
            raise Misuse(f"app {self._runtime.app!r} takes in no events: its module calls app.events(...) for none")
        for source in listing(self._sources):
            if since_s > source.lists_s:
                days = f"{source.lists_s / 86_400:g}"
                raise Misuse(
                    f"{source.name} lists the events of {days} days, so what is older cannot be caught up with"
                )
        async with self._runtime.record.session() as session:
            since_ms = await session.now_ms() - int(since_s * 1000)
        done = await catch_up(self._runtime, [*self._sources], since_ms=since_ms, dry_run=dry_run)
        if done.missed and not dry_run:
            detail = f"caught up with {len(done.missed)} events"
            async with self._runtime.record.session() as session:
                await session.add_audit(
                    Audit(who=who, command="events", subject=self._runtime.app, why=why, detail=detail)
                )
        return done

    async def forget(self, *, older_than_s: float, who: str = "app", why: str | None = None) -> int:
        """Drop bodies and ids of events that are over and came so long ago; return how many it were.

        What stays is a hash of each id, so that the event still counts once.
        """
        self._runtime.owned.check()
        forgotten, older_than_ms = 0, int(older_than_s * 1000)
        while True:
            async with self._runtime.record.session() as session:
                page = await self._store.forget(session, older_than_ms=older_than_ms)
            forgotten += page
            if page == 0:
                break
        if forgotten:
            detail = f"dropped the bodies of {forgotten} events"
            async with self._runtime.record.session() as session:
                await session.add_audit(
                    Audit(who=who, command="events", subject=self._runtime.app, why=why, detail=detail)
                )
        return forgotten
