"""Group commit: what is asked for while one statement is under way goes together in the next.

Nobody waits for company: alone, an item goes at once. Each waits for its own answer, which comes after the commit that
holds it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

_MOST = 100
"""Items in one statement."""


class Together[T, R]:
    """Runs ``work`` on many items at a time; it answers in their order."""

    def __init__(self, work: Callable[[Sequence[T]], Awaitable[Sequence[R]]]) -> None:
        self._work = work
        self._queue: list[tuple[T, asyncio.Future[R]]] = []
        self._running: asyncio.Task[None] | None = None

    async def add(self, item: T) -> R:
        """Return the answer for ``item``, or raise what its statement raised."""
        answer: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._queue.append((item, answer))
        if self._running is None:
            self._running = asyncio.create_task(self._run())
        return await answer

    async def _run(self) -> None:
        try:
            while self._queue:
                batch, self._queue = self._queue[:_MOST], self._queue[_MOST:]
                await self._answer(batch)
        finally:
            self._running = None

    async def _answer(self, batch: list[tuple[T, asyncio.Future[R]]]) -> None:
        try:
            answers = await self._work([item for item, _ in batch])
        except Exception as error:  # noqa: BLE001 - handed to those who asked
            if len(batch) > 1:
                # One item may be what the record refuses: the others are not to fail with it.
                for one in batch:
                    await self._answer([one])
                return
            [(_, answer)] = batch
            if not answer.done():
                answer.set_exception(error)
            return
        for (_, answer), result in zip(batch, answers, strict=True):
            if not answer.done():
                answer.set_result(result)
