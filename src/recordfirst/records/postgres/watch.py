"""Connections that only listen: for the loss of a lease, and for news from other processes.

Delivery is not promised: a notification is lost if the listening connection is down. So a waiting task is woken
whenever listening begins again, and limits each wait itself.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

from recordfirst.process.seams import Sleeper

type News = AsyncIterator[object]

_AGAIN_S = 1.0
"""Between two tries to listen: often enough, as timed-out waits look for themselves anyway."""


class Listener:
    """Keeps one connection listening from the first wait on, and wakes the waiting."""

    def __init__(
        self,
        listen: Callable[[], contextlib.AbstractAsyncContextManager[News]],
        lost: type[Exception],
        sleeper: Sleeper,
    ) -> None:
        self._listen, self._lost, self._sleeper = listen, lost, sleeper
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    async def wait(self, timeout_s: float) -> bool:
        """Return at news that came since the last wait, or after ``timeout_s``; ``False``: nobody listens."""
        if self._task is None and not self._closed:
            self._task = asyncio.create_task(self._run())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._news.wait(), timeout_s)
        self._news.clear()
        return not self._closed

    async def _run(self) -> None:
        while True:
            try:
                async with self._listen() as news:
                    self._news.set()  # what happened before we listened
                    async for _ in news:
                        self._news.set()
            except (self._lost, OSError):
                await self._sleeper(_AGAIN_S)

    async def close(self) -> None:
        """Stop listening, and let nobody wait."""
        self._closed = True
        self._news.set()
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])


class HeldLease:
    """A lease that lasts as long as its connection."""

    def __init__(self, broken: Callable[[], Awaitable[None]]) -> None:
        self._broken = broken

    async def lost(self) -> None:
        await self._broken()
