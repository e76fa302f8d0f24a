"""One worker as its proxies see it: each request passes here, is noted, and may meet a fault.

What the other worlds do within a process, a fault does here by means of the machine: SIGKILL, a closed socket, a reply
that is held back, SIGSTOP. The worker does not know of it.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from recordfirst.explore.runs.event import BoundaryEvent
from recordfirst.explore.runs.schedule import ENDS, At, Fault, Point, faults_at
from recordfirst.explore.worlds.real.proxies.names import APART, Named, stem
from recordfirst.testing.outside import Asked

HANG_S = 60.0
"""Longer than a caller in a test should wait for an answer. After that the connection is cut."""


class Crossing(Protocol):
    """A request that has arrived at a proxy, and what can be done with it."""

    async def forward(self) -> str:
        """Forward it, and hold the reply. Return the error in the reply, if any, for an operator.

        Raises:
            ConnectionError: if no reply will arrive.
        """

    async def pass_on(self) -> None:
        """Pass the reply on to the worker."""

    def cut(self) -> None:
        """Cut the connection, on both sides."""

    async def refuse(self) -> None:
        """Make the server refuse it."""

    async def given_up(self) -> None:
        """Wait until the worker has given up waiting."""

    changed: bool
    """Whether it has committed something, after it was forwarded."""


class Side:
    """The points that a worker has crossed, and the faults that are to strike."""

    def __init__(
        self,
        number: int,
        faults: list[At],
        tries: frozenset[str],
        *,
        tick: Callable[[], int],
        kill: Callable[[], None],
        stall: Callable[[Side], Awaitable[None]],
    ) -> None:
        self.number, self._tries = number, tries
        self._faults, self._tick = faults, tick
        self._kill, self._stall = kill, stall
        self._times: Counter[str] = Counter()
        self.points: list[Point] = []
        self.events: list[BoundaryEvent] = []
        self.struck: list[At] = []
        self.accepted: set[str] = set()
        self.open: set[object] = set()
        """The connections with an open transaction."""
        self.died = False
        self._blind = 0
        self.struck_s = time.monotonic()
        """When the last fault ended."""
        self.calls: Callable[[Named], None] = lambda _named: None
        """Called for each call of a provider, before it is sent."""
        self.committed: Callable[[], None] = lambda: None
        """Called after each commit."""
        self.arrived: Callable[[], tuple[Asked, ...]] = tuple
        """Returns the requests that have arrived outside since its last call."""

    async def passes(self, named: Named, crossing: Crossing, *, blind: bool = False) -> None:
        """Let a request pass, unless a fault strikes here."""
        if self.died:
            return
        point = self._next(named, blind=blind or self._blind > 0)
        at = self._due(point)
        self._blind += blind
        try:
            if at is None:
                await self._plainly(point, named, crossing)
            else:
                self.struck.append(at)
                await self._struck(at, point, named, crossing)
        except ConnectionError:
            crossing.cut()  # the server's end is gone, so there is no reply
        finally:
            self._blind -= blind

    def _next(self, named: Named, *, blind: bool) -> Point:
        word = stem(named.name)
        self._times[word] += 1
        point = Point(
            len(self.points) + 1,
            named.boundary,
            named.name,
            bool(self.open),
            named.detail,
            blind,
            f"{word}#{self._times[word]}",
        )
        self.points.append(point)
        return point

    def _due(self, point: Point) -> At | None:
        for at in self._faults:
            if at not in self.struck and at.meets(point) and at.fault in self._tries and at.fault in faults_at(point):
                return at
        return None

    async def _plainly(self, point: Point, named: Named, crossing: Crossing, fault: Fault | None = None) -> None:
        await self._apply(point, named, crossing, fault)
        await crossing.pass_on()

    async def _apply(self, point: Point, named: Named, crossing: Crossing, fault: Fault | None = None) -> None:
        self._crosses(point, fault)
        if point.boundary == "provider":
            self.calls(named)
        error = await crossing.forward()
        if self.died:
            return
        if point.boundary == "provider":
            self.note("arrived", point=point.number, asked=self.arrived(), detail=error)
        if crossing.changed and named.name not in APART:
            self.committed()

    async def _struck(self, at: At, point: Point, named: Named, crossing: Crossing) -> None:
        match at.fault:
            case "crash":
                self._crosses(point, at.fault)
                self._dies()
            case "fail":
                self._crosses(point, at.fault)
                crossing.cut()
            case "contend":
                self._crosses(point, at.fault)
                await crossing.refuse()
            case "stall":
                self._crosses(point, at.fault)
                await self._stall(self)
                self.arrived()  # requests of others in the meantime are not this worker's
                self.note("goes on")
                await self._plainly(point, named, crossing)
            case _:
                await self._apply(point, named, crossing)
                await self._afterwards(at, point, crossing)

    async def _afterwards(self, at: At, point: Point, crossing: Crossing) -> None:
        """Apply a fault that strikes after the request was applied."""
        match at.fault:
            case "crash-after":
                self.note("and dies", point=point.number, fault=at.fault)
                self._dies()
            case "lose":
                self.note("and the reply is lost", point=point.number, fault=at.fault)
                crossing.cut()
            case "hang":
                self.note("and the reply does not come", point=point.number, fault=at.fault)
                try:
                    async with asyncio.timeout(HANG_S):
                        await crossing.given_up()
                except TimeoutError:
                    pass
                self.struck_s = time.monotonic()
                crossing.cut()

    def _dies(self) -> None:
        assert self.struck[-1].fault in ENDS
        self.died = True
        self._kill()

    def note(self, what: str, **more: Any) -> None:
        """Note an event. ``more``: fields of :class:`BoundaryEvent`."""
        fields = {"process": self.number, "point": len(self.points), "at_ms": time.time_ns() // 1_000_000} | more
        self.events.append(BoundaryEvent(order=self._tick(), what=what, **fields))

    def _crosses(self, point: Point, fault: str | None = None) -> None:
        self.note(point.name, point=point.number, boundary=point.boundary, detail=point.detail, fault=fault)
