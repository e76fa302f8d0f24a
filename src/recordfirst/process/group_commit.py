"""Group commit: what is asked for while one statement is under way goes together in the next.

Nobody waits for company: alone, a request goes at once. Each waits for its own answer, which comes after the commit
that holds it. A request is never cut in two, so linked items stay whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

_MOST = 100
"""Items in one statement."""


class GroupCommit[T, R]:
    """Runs ``work`` on the items of many requests at a time; it answers item by item, in their order."""

    def __init__(
        self,
        work: Callable[[Sequence[T]], Awaitable[Sequence[R]]],
        *,
        most: int = _MOST,
        of_all: tuple[type[Exception], ...] = (),
    ) -> None:
        """``most``: items at a time. ``of_all``: errors that say nothing of a single request: none is tried alone."""
        self._work, self.most, self._of_all = work, most, of_all
        self._queue: list[tuple[Sequence[T], bool, asyncio.Future[list[R]]]] = []
        self._running: asyncio.Task[None] | None = None

    async def add(self, item: T) -> R:
        """Return the answer for ``item``, or raise what came instead of it."""
        return (await self.add_all([item]))[0]

    async def add_all(self, items: Sequence[T], *, alone: bool = False) -> list[R]:
        """Return the answers for one request of at most ``most`` items, or raise what came instead of them.

        ``alone``: nothing may stand behind its last item.
        """
        answer: asyncio.Future[list[R]] = asyncio.get_running_loop().create_future()
        self._queue.append((items, alone, answer))
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run())
        return await answer

    async def _run(self) -> None:
        while self._queue:
            size, number = len(self._queue[0][0]), 1
            while number < len(self._queue) and not self._queue[number - 1][1]:
                size += len(self._queue[number][0])
                if size > self.most:
                    break
                number += 1
            batch, self._queue = self._queue[:number], self._queue[number:]
            await self._answer(batch)

    async def _answer(self, batch: list[tuple[Sequence[T], bool, asyncio.Future[list[R]]]]) -> None:
        try:
            results = await self._work([item for given, _, _ in batch for item in given])
        except Exception as error:  # noqa: BLE001 - handed to those who asked
            if len(batch) > 1 and not isinstance(error, self._of_all):
                # One request may be what the store refuses: the others are not to fail with it.
                for one in batch:
                    await self._answer([one])
                return
            for _, _, answer in batch:
                if not answer.done():
                    answer.set_exception(error)
            return
        at = 0
        for given, _, answer in batch:
            if not answer.done():
                answer.set_result(list(results[at : at + len(given)]))
            at += len(given)
