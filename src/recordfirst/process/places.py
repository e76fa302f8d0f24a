"""Places: so many workflow bodies work at once in a worker, and a body that only waits holds none.

A body takes a place when the engine hands it over. It gives the place back while each of its steps that is under way
only waits: a pause before another call, an answer of a provider, a key that another workflow works on, a plain function
of the user's. So a provider that is down holds up no workflow that does not need it. Bodies that wait stay in memory,
with their leases kept. There are about :data:`WAITING_MOST` of them at most: then short waits become durable sleeps,
and no new body begins.

The calls of each provider that are in flight are bounded by a :class:`ProviderLine`. May be lost: all of it, with the
process.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextvars import ContextVar
from enum import IntEnum
from typing import Any

WAITING_MOST = 2_000
"""Bodies that wait in memory: some 50 kB each."""
_STALLED_S = 5.0
"""A provider with all the calls in flight that it may have, which has answered none for so long, is not waited for."""
_SENT_AWAY_S = 10.0
_BACK_PER_S = 50
"""Those who were sent away come back spread out: so many a second, the first after :data:`_SENT_AWAY_S`."""
_SENT_AWAY_MOST_S = 300.0


class Rank(IntEnum):
    """Who gets a place first."""

    ON = 0
    """Goes on with what it has begun: has an outcome to store, or comes to its next step."""
    NEW = 1
    """Was handed over by the engine."""
    AGAIN = 2
    """Has paused before another try. Of four places that become free one is for these, so that they are not starved.
    They have an eighth of all at most, so that a thousand tries are no queue in front of the record for the others."""


_SHARE = 4
_AGAIN_PART = 8


class Places:
    """A worker's places. The SDK takes it for the semaphore that it runs tasks under."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.on_room: Callable[[], None] = lambda: None
        """Called when a body begins to wait."""
        self.waiting = 0
        """Bodies here that hold no place."""
        self.closing = False
        """The worker is to stop: nothing pauses here any longer that can sleep in the engine."""
        self._free = most
        self._again = max(1, most // _AGAIN_PART)
        """How many more may have a place for another try."""
        self._queues: tuple[deque[asyncio.Future[None]], ...] = (deque(), deque(), deque())
        self._given = 0
        self._lines: dict[str, ProviderLine] = {}

    @property
    def is_crowded(self) -> bool:
        """Whether so many wait in memory that another one has to sleep in the engine."""
        return self.closing or self.waiting >= WAITING_MOST

    def line(self, provider: str) -> ProviderLine:
        """The line of a provider's calls."""
        line = self._lines.get(provider)
        if line is None:
            line = self._lines[provider] = ProviderLine(self.most)
        return line

    async def __aenter__(self) -> None:
        await self.take(Rank.NEW)
        _place.set(Place(self))

    async def __aexit__(self, *_: object) -> None:
        place = _place.get()
        _place.set(None)
        if place is not None:
            place.leave()

    def take_now(self, rank: Rank) -> bool:
        """Take a place if one is free."""
        if not self._free or not self._may(rank):
            return False
        self._give(rank)
        return True

    async def take(self, rank: Rank) -> None:
        """Take a place; at once if one is free, and else in turn."""
        if self.take_now(rank):
            return
        turn = asyncio.get_running_loop().create_future()
        self._queues[rank].append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give_back(rank)
            raise

    def give_back(self, rank: Rank) -> None:
        """Give the place that was taken so to who is next, or to nobody."""
        self._free += 1
        self._again += rank is Rank.AGAIN
        self._serve()

    def begins_to_wait(self, rank: Rank) -> None:
        """A body gives its place back, and stays."""
        self.waiting += 1
        self.give_back(rank)
        self.on_room()

    def waits_no_more(self) -> None:
        """It holds a place again, or has left."""
        self.waiting -= 1
        self._serve()

    def _may(self, rank: Rank) -> bool:
        if rank is Rank.NEW:
            return self.waiting < WAITING_MOST
        return rank is not Rank.AGAIN or self._again > 0

    def _give(self, rank: Rank) -> None:
        self._free -= 1
        self._again -= rank is Rank.AGAIN

    def _serve(self) -> None:
        while self._free:
            self._given += 1
            order = (Rank.ON, Rank.AGAIN, Rank.NEW) if self._given % _SHARE == 0 else Rank
            for rank in order:
                if self._may(rank) and (turn := self._first(rank)) is not None:
                    self._give(rank)
                    turn.set_result(None)
                    break
            else:
                return

    def _first(self, rank: Rank) -> asyncio.Future[None] | None:
        queue = self._queues[rank]
        while queue:
            turn = queue.popleft()
            if not turn.done():  # who waited for it was cancelled
                return turn
        return None


class Place:
    """One body's place: held while any of its steps works."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._steps = self._waits = 0
        self._held: Rank | None = Rank.NEW
        self._taking: asyncio.Task[None] | None = None
        self._over = False

    @property
    def is_crowded(self) -> bool:
        """See :attr:`Places.is_crowded`."""
        return self._places.is_crowded

    def line(self, provider: str) -> ProviderLine:
        """See :meth:`Places.line`."""
        return self._places.line(provider)

    async def begin_step(self) -> None:
        """A step of the body begins; :meth:`end_step` must follow. If the body has waited, it takes a place again."""
        self._steps += 1
        if self._held is None:
            try:
                await self._take(Rank.ON)
            except BaseException:
                self.end_step()
                raise

    def end_step(self) -> None:
        """It has ended."""
        self._steps -= 1
        self._give_back_if_idle()

    def waits_for(self, task: asyncio.Future[Any]) -> None:
        """A function of the user's is under way, which is no step: whatever it does, it holds no place."""
        self._steps += 1
        self._waits += 1
        self._give_back_if_idle()

        def ended(_: object) -> None:
            self._steps -= 1
            self._waits -= 1

        task.add_done_callback(ended)

    @contextlib.asynccontextmanager
    async def waiting(self, rank: Rank = Rank.AGAIN) -> AsyncIterator[None]:
        """The step that runs only waits during the block; behind it the body has a place again."""
        self._waits += 1
        self._give_back_if_idle()
        goes_on = True
        try:
            yield
        except Exception:
            raise
        except BaseException:
            goes_on = False  # it unwinds: a suspension, or a cancellation
            raise
        finally:
            self._waits -= 1
            if goes_on:
                await self._take(rank)

    def leave(self) -> None:
        """The body has ended, or sleeps in the engine."""
        self._over = True
        if self._taking is not None:
            self._taking.cancel()
        held, self._held = self._held, None
        if held is not None:
            self._places.give_back(held)
        else:
            self._places.waits_no_more()

    def _give_back_if_idle(self) -> None:
        held = self._held
        if held is not None and self._steps and self._steps == self._waits:
            self._held = None
            self._places.begins_to_wait(held)

    async def _take(self, rank: Rank) -> None:
        if self._held is not None or self._over:
            return
        if self._taking is None:
            if self._places.take_now(rank):
                self._has(rank)
                return
            self._taking = asyncio.create_task(self._take_in_turn(rank))
        await asyncio.shield(self._taking)

    async def _take_in_turn(self, rank: Rank) -> None:
        try:
            await self._places.take(rank)
        finally:
            self._taking = None
        self._has(rank)

    def _has(self, rank: Rank) -> None:
        self._held = rank
        self._places.waits_no_more()


class ProviderLine:
    """The calls of one provider that are in flight here, so many at most, and who waits to be let to it."""

    def __init__(self, most: int) -> None:
        self._free = most
        self._queue: deque[asyncio.Future[None]] = deque()
        self._answered_s = float("-inf")
        self._sent_away = 0

    def take_now(self) -> bool:
        """Take a turn if one is free."""
        if not self._free:
            return False
        self._free -= 1
        return True

    async def take(self, within_s: float | None = None) -> bool:
        """Wait for a turn. ``False`` if it is not to be waited for here.

        That is after ``within_s``; by default, when the provider has answered nothing for some seconds.
        """
        if self.take_now():
            return True
        turn = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        patience_s = _STALLED_S if within_s is None else within_s
        try:
            while True:
                await asyncio.wait({turn}, timeout=patience_s)
                if turn.done():
                    return True
                if within_s is not None or self._is_stalled():
                    turn.cancel()
                    return False
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.give_back(answered=False)
            turn.cancel()
            raise

    def give_back(self, *, answered: bool) -> None:
        """A call is no longer in flight; ``answered``: because the provider has answered."""
        if answered:
            self._answered_s, self._sent_away = asyncio.get_running_loop().time(), 0
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    def away_s(self) -> float:
        """How long one who was not let to it sleeps before another try."""
        self._sent_away += 1
        return min(_SENT_AWAY_S + self._sent_away / _BACK_PER_S, _SENT_AWAY_MOST_S)

    def _is_stalled(self) -> bool:
        return asyncio.get_running_loop().time() - self._answered_s >= _STALLED_S


class Admission:
    """One effect's turn in the line of its provider, taken before it claims a call, given back when that is answered.

    As a block: whatever happens in it, the turn is given back at its end.
    """

    def __init__(self, place: Place | None, provider: str) -> None:
        """``place``: of the body that it belongs to; without one, there is no line."""
        self._place = place
        self._line = place.line(provider) if place is not None else None
        self._has = False

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, *_: object) -> None:
        self.give_back()

    def take_now(self) -> bool:
        """Have a turn, if it is to be had at once."""
        self._has = self._has or self._line is None or self._line.take_now()
        return self._has

    async def take(self, within_s: float | None = None) -> bool:
        """Wait for it, as :meth:`ProviderLine.take` does; the body holds no place meanwhile."""
        if not self.take_now() and self._place is not None and self._line is not None:
            async with self._place.waiting(Rank.ON):
                self._has = await self._line.take(within_s)
        return self._has

    def away_s(self) -> float:
        """See :meth:`ProviderLine.away_s`."""
        return self._line.away_s() if self._line is not None else 0.0

    @contextlib.asynccontextmanager
    async def in_flight(self) -> AsyncIterator[None]:
        """The call is in flight during the block. The body holds no place, and is first to have one when it is over."""
        if self._place is None:
            yield
            return
        async with self._place.waiting(Rank.ON):
            answered = True
            try:
                yield
            except (TimeoutError, asyncio.CancelledError):
                answered = False
                raise
            finally:
                self.give_back(answered=answered)

    def give_back(self, *, answered: bool = False) -> None:
        """Leave the line, or its head. Again changes nothing."""
        if self._has and self._line is not None:
            self._line.give_back(answered=answered)
        self._has = False


_place: ContextVar[Place | None] = ContextVar("recordfirst_place", default=None)


def here() -> Place | None:
    """The place of the body that this code belongs to; ``None`` outside of one."""
    return _place.get()
