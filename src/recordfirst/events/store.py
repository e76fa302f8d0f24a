"""Events in the record: stored once for good, claimed, and ended by compare-and-set. No decision is taken here."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec

from recordfirst.core.event import EventNames, EventState, NewEvent, StoredEvent
from recordfirst.execution.sealing import Sealing
from recordfirst.records.contract import Record, Session

_FIELDS = StoredEvent.__struct_fields__
_LIVEMODE = "livemode"
MOST_FORGOTTEN = 500
"""Bodies that are dropped in one statement."""


class EventStore:
    """The events of one opened app."""

    def __init__(self, record: Record[Any], sealing: Sealing) -> None:
        self._sealing = sealing
        self._sql = record.statements_of(__package__ or "")

    async def add(self, tx: Session[Any], event: NewEvent, state: EventState) -> bool:
        """Store an event, unless it came before; return whether it is new."""
        names = EventNames(keys=event.keys, markers=event.markers, references=event.references)
        added = await tx.run(
            self._sql["add"],
            hash=event.hash,
            provider=event.provider,
            id=event.id,
            type=event.type,
            livemode=event.livemode,
            account=event.account,
            names=msgspec.json.encode(names).decode(),
            body=self._sealing.seal(event.body),
            state=state,
            at_ms=event.at_ms,
        )
        return bool(added)

    async def is_due(self, session: Session[Any], *, besides: Collection[str] = ()) -> bool:
        """Whether there is something to claim, but for events of these providers; a look that takes no lock."""
        return bool(await session.run(self._sql["is_due"], besides=_lines(besides)))

    async def due(
        self, session: Session[Any], *, claim_ms: int, limit: int, besides: Collection[str] = ()
    ) -> list[StoredEvent]:
        """Claim what is due, for so long, but for events of these providers."""
        given = {"claim_ms": claim_ms, "limit": limit, "besides": _lines(besides)}
        return [_event(row) for row in await session.run(self._sql["due"], **given)]

    async def came_to(
        self, session: Session[Any], event: StoredEvent, state: EventState, *, wait_ms: int | None, error: str | None
    ) -> bool:
        """Say what came of taking an event up; ``wait_ms``: until the next time."""
        sealed = None if error is None else self._sealing.seal_error(error)
        given = {"hash": event.hash, "state": state, "tries": event.tries, "wait_ms": wait_ms, "error": sealed}
        return bool(await session.run(self._sql["came_to"], **given))

    async def again(self, session: Session[Any], event: StoredEvent) -> bool:
        """Take it up again; ``False`` if its body is gone, or it is of the other mode."""
        return bool(await session.run(self._sql["again"], hash=event.hash))

    async def find(self, session: Session[Any], name: str) -> list[StoredEvent]:
        """Events of this id, or of this hash."""
        rows = await session.run(self._sql["by_id"], id=name) or await session.run(self._sql["by_hash"], hash=name)
        return [self._shown(row) for row in rows]

    async def knows(self, session: Session[Any], event: NewEvent) -> bool:
        """Whether it has come, however long ago."""
        return bool(await session.run(self._sql["by_hash"], hash=event.hash))

    async def newest(self, session: Session[Any], state: EventState | None, limit: int) -> list[StoredEvent]:
        """Events, newest first, of one state or of all."""
        return [self._shown(row) for row in await session.run(self._sql["newest"], state=state, limit=limit)]

    async def left(
        self, session: Session[Any], *, older_than_ms: int, after: str | None, limit: int
    ) -> list[StoredEvent]:
        """What is stopped, or has waited so long, oldest first, behind the event of this hash."""
        given = {"older_than_ms": older_than_ms, "after": after, "limit": limit}
        return [self._shown(row) for row in await session.run(self._sql["left"], **given)]

    async def forget(self, session: Session[Any], *, older_than_ms: int) -> int:
        """Drop a page of bodies and ids of what is over and came so long ago; return how many it were."""
        given = {"older_than_ms": older_than_ms, "limit": MOST_FORGOTTEN}
        return len(await session.run(self._sql["forget"], **given))

    def _shown(self, row: Any) -> StoredEvent:
        event = _event(row)
        if event.error is None:
            return event
        return msgspec.structs.replace(event, error=self._sealing.unseal_error(event.error))


def _lines(names: Collection[str]) -> str:
    """As a statement looks for one of them: each on a line of its own."""
    return "".join(f"\n{name}\n" for name in names)


def names_of(event: StoredEvent) -> EventNames:
    """What an event is matched by."""
    return msgspec.json.decode(event.names, type=EventNames)


def _event(row: Any) -> StoredEvent:
    fields = dict(zip(_FIELDS, row, strict=True))
    if fields[_LIVEMODE] is not None:
        fields[_LIVEMODE] = bool(fields[_LIVEMODE])
    return StoredEvent(**fields)
