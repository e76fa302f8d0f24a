"""The time of one call: it counts from when the function begins to run, not from when it was asked for.

Kept: what waits for a thread can be given up, and never runs then, so that it certainly had no effect (P5). Lost: the
thread of a sync function that was given up while it ran goes on to its end; what it does is in doubt.
"""

from __future__ import annotations

import asyncio
import threading
from types import TracebackType
from typing import Self


class GivenUp(Exception):  # noqa: N818 - ends a function that is no longer to run, in its thread, and is never seen
    """The function was given up before it began."""


class Limit:
    """An async context: what runs inside it must begin by a time, and then has so many seconds."""

    def __init__(self, timeout_s: float, begin_by_s: float) -> None:
        """``begin_by_s``: by the event loop's clock."""
        self.timeout_s = timeout_s
        self.given_up = False
        """It never began, and never will."""
        self._begin_by_s = begin_by_s
        self._begun = False
        self._lock = threading.Lock()

    async def __aenter__(self) -> Self:
        self._loop, self._timeout = asyncio.get_running_loop(), asyncio.timeout(None)
        self._waiting = self._loop.call_at(self._begin_by_s, self._too_late)
        await self._timeout.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._waiting.cancel()
        self._give_up()  # also where the step was cancelled while it waited
        await self._timeout.__aexit__(kind, error, traceback)

    def begin(self) -> None:
        """Say that the function runs now, in its thread or on the event loop. Again changes nothing.

        Raises:
            GivenUp: if it is no longer to run.
        """
        with self._lock:
            if self.given_up:
                raise GivenUp
            if self._begun:
                return
            self._begun = True
        try:
            on_loop = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            on_loop = False
        if on_loop:
            self._count()
        else:
            self._loop.call_soon_threadsafe(self._count)

    def expired(self) -> bool:
        """Whether its time was up."""
        return self._timeout.expired()

    def _give_up(self) -> bool:
        with self._lock:
            self.given_up = not self._begun
        return self.given_up

    def _too_late(self) -> None:
        if self._give_up():
            self._timeout.reschedule(self._loop.time())

    def _count(self) -> None:
        self._waiting.cancel()
        try:
            self._timeout.reschedule(self._loop.time() + self.timeout_s)
        except RuntimeError:
            return  # nobody waits for it
