"""The boundary of one process: every statement, request and call passes here, is noted, and may meet a fault.

A process that dies does not unwind. Its tasks are never resumed: no ``finally`` runs, nothing is rolled back or closed,
and nothing else begins. Only what it had written to files remains.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, cast

import msgspec

from recordfirst.explore.runs.event import BoundaryEvent
from recordfirst.explore.runs.schedule import MISHAPS, At, Boundary, Fault, Point, faults_at
from recordfirst.explore.worlds.virtual.clock import Chance, Time
from recordfirst.explore.worlds.virtual.errors import Errors
from recordfirst.explore.worlds.virtual.kept import KeptConnection, Role, opened
from recordfirst.testing.outside import Asked

_EARLY_S = 3.0
"""How long a reply takes that events overtake: they are delivered, and taken up, by then."""
_HANG_S = 3_600.0
"""Longer than any caller waits for an answer."""
_REDELIVERED_S = 3.0
"""How long the first execution stalls after its task was delivered again, so that the second one can begin."""


_DIES = "and dies"


class Mishap(Exception):  # noqa: N818 - control flow of who delivers events
    """An event does not arrive as it was sent."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        super().__init__(fault)


class Process:
    """One process in a run: counts its points, and lets its faults strike."""

    def __init__(
        self,
        number: int,
        faults: list[At],
        clock: Time,
        errors: Errors,
        *,
        die: Callable[[Process], None],
        keep_engine: Callable[[Process], None] = lambda _: None,
        points_most: int,
        seed: int = 1,
    ) -> None:
        self.number, self.clock, self._errors = number, clock, errors
        self.chance = Chance(seed * 1_000 + number)
        self._faults: Mapping[int, At] = {at.point: at for at in faults}
        self._copies = {at.since for at in faults if at.since is not None}
        self._die, self._keep_engine, self._points_most = die, keep_engine, points_most
        self.points: list[Point] = []
        self.events: list[BoundaryEvent] = []
        self.in_transaction = False
        self.died = False
        self._blind = 0
        """How many calls are under way that no key protects."""
        self.overran = False
        """Whether it crossed more points than any process should: it loops, without any time passing."""
        self.struck: list[At] = []
        """The faults whose point was reached."""
        self.stalled: asyncio.Future[None] | None = None
        """Set while the process stalls; resolving it lets the process go on."""
        self.let_go()
        self.disposed = False
        """Whether its remains are being discarded."""
        self.opened: list[Callable[[], None]] = []
        """Functions that close what it had opened, as the kernel does when a process is gone."""
        self.connect: Callable[[Path, Role, dict[str, Any]], KeptConnection] = opened
        """Connects to an SQLite file."""
        self.accepted: set[str] = set()
        """The workflows of which the client knows that they were accepted."""
        self.changes = 0
        """Counts all changes. As long as it is constant, nothing happens."""

    def let_go(self) -> None:
        """Remove all callbacks: the process is over, or has not begun."""
        self.expire_lease: Callable[[], None] = lambda: None
        """Ends the engine's lease on the tasks that run here; the engine's side of the boundary sets it."""
        self.next_due: Callable[[], int | None] = lambda: None
        """When the engine does something by itself; its side of the boundary sets this, too."""
        self.calls: Callable[[str, str, str | None], None] = lambda _key, _effect, _after: None
        """Called for each call that is sent, with its key, its effect, and the receipt that must exist."""
        self.committed: Callable[[Any], None] = lambda _connection: None
        """Called after each commit, with the connection that committed."""
        self.arrived: Callable[[], tuple[Asked, ...]] = tuple
        """Returns the requests that have arrived outside since its last call."""
        self.could_die: Callable[[Point, Fault], None] = lambda _point, _fault: None
        """Called at each moment at which a process may die, with the kind of death."""

    def as_dead(self, at: At) -> Process:
        """The process as it would be if it died now."""
        dead = copy.copy(self)
        dead.let_go()
        dead.clock = self.clock.copy()
        dead.points, dead.events, dead.accepted = self.points.copy(), self.events.copy(), self.accepted.copy()
        dead.struck = [at]
        if at.fault == "crash":
            dead.events[-1] = msgspec.structs.replace(dead.events[-1], fault=at.fault)
        else:
            dead.note(_DIES, point=at.point, fault=at.fault)
        dead.died = True
        return dead

    async def passes[T](
        self,
        boundary: Boundary,
        name: str,
        do: Callable[[], Awaitable[T] | T],
        *,
        changes: bool = True,
        detail: str = "",
        blind: bool = False,
        tells: bool = False,
        honoured_ms: int | None = None,
    ) -> T:
        """Cross a boundary: ``do`` what was requested, unless a fault strikes here.

        ``honoured_ms``: how long the provider honours the key of a call. A process that stalls before the call for
        longer is ended: no one could take the request back, and nothing is promised about it.
        """
        if self.disposed:
            raise asyncio.CancelledError
        if self.died:
            await _never()
        blinded = blind or self._blind > 0
        point = Point(len(self.points) + 1, boundary, name, self.in_transaction, detail, blinded, tells=tells)
        if point.number > self._points_most:
            self.overran = True
            asyncio.get_running_loop().stop()
            await _never()
        self.points.append(point)
        at = self._faults.get(point.number)
        if at is not None and at.fault not in faults_at(point):
            at = None  # an earlier fault has brought the process to other points
        if point.number in self._copies:
            self._keep_engine(self)
        self._blind += blind
        try:
            if at is None:
                return await self._do(point, do, changes=changes)
            self.struck.append(at)
            return await self._struck(at, point, do, changes=changes, honoured_ms=honoured_ms)
        finally:
            self._blind -= blind

    async def _do[T](self, point: Point, do: Callable[[], Awaitable[T] | T], *, changes: bool) -> T:
        self._crosses(point)
        self.could_die(point, "crash")
        try:
            result = do()
            if hasattr(result, "__await__"):
                result = await cast("Awaitable[T]", result)
        except Exception as error:
            self._answered(point, f"{type(error).__name__}: {error}")
            raise
        if self.died:
            await _never()
        self._answered(point, "")
        self.could_die(point, "crash-after")
        if changes:
            self.changes += 1
        return result

    async def _struck[T](
        self, at: At, point: Point, do: Callable[[], Awaitable[T] | T], *, changes: bool, honoured_ms: int | None
    ) -> T:
        boundary = point.boundary
        if at.fault in MISHAPS:
            self._crosses(point, at.fault)
            raise Mishap(at.fault)
        match at.fault:
            case "crash":
                self._crosses(point, at.fault)
                await self._dies()
            case "fail" | "contend":
                self._crosses(point, at.fault)
                raise self._errors.not_applied(boundary) if at.fault == "fail" else self._errors.contended()
            case "stall":
                self._crosses(point, at.fault)
                if self.stalled is None:  # otherwise the whole process stalls already, and goes on as a whole
                    self.stalled = asyncio.get_running_loop().create_future()
                    asyncio.get_running_loop().stop()
                standing, since_ms = self.stalled, self.clock.now_ms()
                try:
                    await asyncio.shield(standing)  # if one waiter is cancelled, the others still wait
                finally:
                    if self.stalled is standing:
                        self.stalled = None
                self.arrived()  # requests of others in the meantime are not this process's
                if honoured_ms is not None and self.clock.now_ms() - since_ms > honoured_ms:
                    self.note("and is ended: it stalled for longer than its key is honoured")
                    await self._dies()
                self.note("goes on")
            case "redeliver":
                self._crosses(point, at.fault)
                self.clock.skip_ms(120_000)
                self.expire_lease()
                await asyncio.sleep(_REDELIVERED_S)
        result = await self._do(point, do, changes=changes)
        match at.fault:
            case "crash-after":
                self.note(_DIES, point=point.number, fault=at.fault)
                await self._dies()
            case "lose":
                self.note("and the reply is lost", point=point.number, fault=at.fault)
                raise self._errors.lost(boundary)
            case "early" | "hang":
                self.note("and the reply does not come", point=point.number, fault=at.fault)
                await asyncio.sleep(_EARLY_S if at.fault == "early" else _HANG_S)
        return result

    async def _dies(self) -> None:
        self._die(self)  # in a forked process this does not return
        self.died = True
        asyncio.get_running_loop().stop()
        await _never()

    def note(self, what: str, *, point: int | None = None, **more: Any) -> None:
        """Note an event, at a point or after the last one. ``more``: fields of :class:`BoundaryEvent`."""
        if not self.died:
            number = len(self.points) if point is None else point
            self.events.append(
                BoundaryEvent(
                    order=self.clock.tick(),
                    process=self.number,
                    point=number,
                    at_ms=self.clock.now_ms(),
                    what=what,
                    **more,
                )
            )

    def _crosses(self, point: Point, fault: str | None = None) -> None:
        overheard = self.arrived()
        if overheard:  # these were not requested by an effect, but by a write or the workflow's own body
            self.note("overheard", point=point.number, asked=overheard)
        self.note(point.name, point=point.number, boundary=point.boundary, detail=point.detail, fault=fault)

    def _answered(self, point: Point, error: str) -> None:
        if point.boundary == "provider":
            self.note("arrived", point=point.number, asked=self.arrived(), detail=error)


async def _never() -> None:
    await asyncio.get_running_loop().create_future()
