"""Providers tell by themselves what they did: who delivers their events to a process, as a provider does.

The case says what there is to tell, by the books outside. What has become of each event is kept in a file that outlives
every process: an event that was not answered is delivered again, to the process that is there then. An event is taken
in as one that an endpoint has verified.
"""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from recordfirst.client.app import App
from recordfirst.core.event import NewEvent
from recordfirst.errors import Misuse
from recordfirst.events.catching_up import catch_up
from recordfirst.events.endpoint import EventEndpoint
from recordfirst.explore.case import Case
from recordfirst.explore.worlds.virtual.boundary import Mishap, Process
from recordfirst.explore.worlds.virtual.place import Place
from recordfirst.testing.outside import Outside

_EVERY_S = 0.2
"""Between two looks whether there is something to tell."""
_AGAIN_MS = 3_600_000
"""How long a provider waits with what was not answered."""
LONG_MS = 40 * 24 * 3_600_000
"""How long an event is on its way that comes late: longer than a provider keeps it."""


class TellingState(msgspec.Struct, frozen=True, kw_only=True):
    """What has become of an event so far."""

    id: str
    taken: bool = False
    """It was answered: the app has it."""
    lost: bool = False
    """It never arrives by itself."""
    not_before_ms: int = 0
    behind: int | None = None
    """It arrives when more events than so many were taken."""


class TellingStates:
    """Of all events, in a file that outlives every process."""

    def __init__(self, path: Path) -> None:
        self._path, self._read = path, 0
        self._known: dict[str, TellingState] = {}

    def of(self, id: str) -> TellingState:
        """What has become of an event."""
        self._look()
        return self._known.get(id, TellingState(id=id))

    def put(self, state: TellingState) -> None:
        """Something has become of it."""
        with self._path.open("ab") as file:
            file.write(msgspec.json.encode(state) + b"\n")

    @property
    def taken(self) -> int:
        """How many were taken."""
        self._look()
        return sum(state.taken for state in self._known.values())

    def _look(self) -> None:
        if not self._path.exists() or self._path.stat().st_size == self._read:
            return
        with self._path.open("rb") as file:
            file.seek(self._read)
            for line in file:
                state = _decode(line)
                self._known[state.id] = state
            self._read = file.tell()


_decode = msgspec.json.Decoder(TellingState).decode


class _Books:
    """Stands for the outside where a client is asked for."""


class _Source:
    """One provider's events, behind their signature."""

    most_bytes = 1_000_000
    client = _Books

    def __init__(self, name: str, teller: Teller) -> None:
        self.name, self._teller = name, teller

    def read(self, body: bytes, headers: Any) -> NewEvent:
        raise NotImplementedError("it was read")

    def is_ours(self, event: NewEvent) -> bool:
        del event
        return True

    async def page(self, client: Any, since_ms: int, after: str | None) -> tuple[list[NewEvent], str | None]:
        """What the provider has told so far, newest first."""
        del client, after
        events = self._teller.events()
        now_ms = self._teller.now_ms()
        told = [each for each in events if each.provider == self.name and since_ms <= _at_ms(each) <= now_ms]
        return told[::-1], None


class Teller:
    """Delivers events to one process, for as long as that works."""

    def __init__(self, case: Case, app: App, place: Place, process: Process) -> None:
        self._case, self._app, self._process = case, app, process
        self._outside = place.outside
        self._states = TellingStates(place.files / "told")
        app.provide(self._outside, as_=_Books)

    def now_ms(self) -> int:
        """The time outside."""
        return self._process.clock.now_ms()

    def events(self) -> list[NewEvent]:
        """All that there is to tell, also later, in the order in which it happens."""
        return sorted(told(self._case, self._outside), key=lambda event: (_at_ms(event), event.id))

    async def keep_telling(self) -> None:
        """Deliver what is due, until cancelled."""
        while True:
            for event in self.events():
                if self._is_due(event):
                    await self._deliver(event)
            await asyncio.sleep(_EVERY_S)

    def next_due_ms(self) -> int | None:
        """When the next event is delivered."""
        left = [event for event in self.events() if not self._is_over(event)]
        times = [max(_at_ms(each), state.not_before_ms) for each in left if (state := self._state(each)).behind is None]
        return min(times, default=None)

    def is_over(self) -> bool:
        """Whether nothing is left to be delivered."""
        return all(map(self._is_over, self.events()))

    async def catch_up(self) -> int:
        """Be the operator who asks the provider for what never arrived; return how many it were."""
        lost = [event for event in self.events() if self._state(event).lost and not self._state(event).taken]
        for name in sorted({event.provider for event in lost}):
            await catch_up(self._app.runtime, [_Source(name, self)], since_ms=0, dry_run=False)
        for event in lost:
            self._process.note(f"an operator catches up with event {event.id}")
            self._states.put(msgspec.structs.replace(self._state(event), taken=True))
        return len(lost)

    # ── one event ───────────────────────────────────────────────────────────

    def _state(self, event: NewEvent) -> TellingState:
        return self._states.of(event.id)

    def _is_over(self, event: NewEvent) -> bool:
        state = self._state(event)
        return state.lost or (state.taken and not state.not_before_ms)

    def _is_due(self, event: NewEvent) -> bool:
        state = self._state(event)
        if self._is_over(event) or self.now_ms() < max(_at_ms(event), state.not_before_ms):
            return False
        if state.behind is None or self._states.taken > state.behind:
            return True
        return all(self._state(each).behind is not None or self._is_over(each) for each in self.events())

    async def _deliver(self, event: NewEvent) -> None:
        state = self._state(event)
        try:
            said: str = await self._process.passes(
                "event", f"event {event.type}", partial(self._taken, event), changes=False, detail=event.id
            )
        except Mishap as mishap:
            await self._befalls(event, mishap)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is no answer of 200
            self._process.note(f"event {event.id} was not answered: {error}")
            self._states.put(msgspec.structs.replace(state, not_before_ms=self.now_ms() + _AGAIN_MS))
        else:
            self._process.note(f"event {event.id} is answered: it is {said}")
            self._states.put(TellingState(id=event.id, taken=True))

    async def _taken(self, event: NewEvent) -> str:
        return await EventEndpoint(self._app.runtime, _Source(event.provider, self)).take(event)

    async def _befalls(self, event: NewEvent, mishap: Mishap) -> None:
        state = self._state(event)
        match mishap.fault:
            case "never":
                self._states.put(msgspec.structs.replace(state, lost=True))
            case "late":
                self._states.put(msgspec.structs.replace(state, not_before_ms=self.now_ms() + LONG_MS))
            case "overtaken":
                self._states.put(msgspec.structs.replace(state, behind=self._states.taken))
            case _:
                again_ms = self.now_ms() + _AGAIN_MS
                done = await asyncio.gather(self._taken(event), self._taken(event), return_exceptions=True)
                taken = any(isinstance(each, str) for each in done)
                self._states.put(
                    TellingState(id=event.id, taken=taken, not_before_ms=again_ms + (LONG_MS if taken else 0))
                )


def told(case: Case, outside: Outside) -> list[NewEvent]:
    """What the case says that providers tell.

    Raises:
        Misuse: if it does not say.
    """
    assert case.events is not None
    try:
        events: list[Any] = list(case.events(outside))
    except Exception as error:
        raise Misuse(f"events= of the case raised {type(error).__name__}: {error}") from error
    for event in events:
        if not isinstance(event, NewEvent) or event.at_ms is None:
            raise Misuse(f"events= of the case must return NewEvents with their at_ms, not {event!r}")
    return events


def _at_ms(event: NewEvent) -> int:
    assert event.at_ms is not None
    return event.at_ms
