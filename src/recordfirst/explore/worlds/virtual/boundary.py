"""The boundary of one process: every statement, request and call passes here, is noted, and may meet its fault.

A process that dies does not unwind. What it was doing never goes on: no ``finally`` runs, nothing is rolled back or
closed, and whatever else it still had to do is not begun. What is left of it is what it had put into files.
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
"""Longer than anybody waits for an answer."""
_REDELIVERED_S = 3.0
"""How long the first execution stalls after its task was delivered again: the second is under way by then."""


_DIES = "and dies"


class Mishap(Exception):  # noqa: N818 - control flow of who delivers events
    """An event does not arrive as it was sent."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        super().__init__(fault)


class Process:
    """One process's part in a run: counts its points, and lets its faults strike."""

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
        """Calls under way that no key protects."""
        self.overran = False
        """It crossed more points than any process should: it turns in a circle, in which no time need pass."""
        self.struck: list[At] = []
        """The faults whose point was reached."""
        self.stalled: asyncio.Future[None] | None = None
        """Set while it stalls; resolving it lets it go on."""
        self.let_go()
        self.disposed = False
        """What is left of it is being thrown away."""
        self.opened: list[Callable[[], None]] = []
        """Closes what it had opened: the kernel does that when a process is gone."""
        self.connect: Callable[[Path, Role, dict[str, Any]], KeptConnection] = opened
        """Connects to a file of SQLite."""
        self.accepted: set[str] = set()
        """Workflows that were accepted, as the client knows."""
        self.changes = 0
        """How much was changed, anywhere: while this stalls, nothing goes on."""

    def let_go(self) -> None:
        """Forget who else is concerned: it is over, or has not begun."""
        self.expire_lease: Callable[[], None] = lambda: None
        """Ends the engine's lease on what runs here; set by the engine's side of the boundary."""
        self.next_due: Callable[[], int | None] = lambda: None
        """When the engine does something by itself; set as well by its side of the boundary."""
        self.calls: Callable[[str, str, str | None], None] = lambda _key, _effect, _after: None
        """Is told of each call that goes out: its key, its effect, and the receipt that must be there."""
        self.committed: Callable[[Any], None] = lambda _connection: None
        """Is told when something was committed, with the connection that did it."""
        self.arrived: Callable[[], tuple[Asked, ...]] = tuple
        """What has arrived outside since this was last asked."""
        self.could_die: Callable[[Point, Fault], None] = lambda _point, _fault: None
        """Is told of each moment at which a process may die, and how."""

    def as_dead(self, at: At) -> Process:
        """What there would be of it if it died now."""
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
        """Cross a boundary: ``do`` what was asked, unless a fault strikes here.

        A process that stalls before a call for longer than ``honoured_ms``, for which the provider honours its
        key, is ended: nobody can call that request back, and nothing is promised of it.
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
            at = None  # an earlier fault has brought the process elsewhere
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
                if self.stalled is None:  # else the whole process stalls already, and goes on as a whole
                    self.stalled = asyncio.get_running_loop().create_future()
                    asyncio.get_running_loop().stop()
                standing, since_ms = self.stalled, self.clock.now_ms()
                try:
                    await asyncio.shield(standing)  # who is given up here takes nobody else along
                finally:
                    if self.stalled is standing:
                        self.stalled = None
                self.arrived()  # what others have asked for meanwhile is theirs
                if honoured_ms is not None and self.clock.now_ms() - since_ms > honoured_ms:
                    self.note("and is ended: it stalled for longer than the key is honoured")
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
        """Write down what happens, at a point, or behind the last one; ``more``: fields of :class:`BoundaryEvent`."""
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
        if overheard:  # asked by what is no effect: a write, or the workflow's own body
            self.note("overheard", point=point.number, asked=overheard)
        self.note(point.name, point=point.number, boundary=point.boundary, detail=point.detail, fault=fault)

    def _answered(self, point: Point, error: str) -> None:
        if point.boundary == "provider":
            self.note("arrived", point=point.number, asked=self.arrived(), detail=error)


async def _never() -> None:
    await asyncio.get_running_loop().create_future()
