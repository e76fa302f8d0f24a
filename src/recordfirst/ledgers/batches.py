"""Requests that come together go together: one for as many as asked while the last one was under way.

Nobody waits for company: alone, a request goes at once. A request is never cut in two, so linked chains stay whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from recordfirst.errors import LedgerUnavailable


class Batches[T, R]:
    """Runs ``work`` on the items of many requests at a time; it answers item by item, in their order."""

    def __init__(self, work: Callable[[Sequence[T]], Awaitable[Sequence[R]]], *, most: int) -> None:
        self._work, self.most = work, most
        self._queue: list[tuple[Sequence[T], bool, asyncio.Future[list[R]]]] = []
        self._running: asyncio.Task[None] | None = None

    async def add(self, items: Sequence[T], *, alone: bool = False) -> list[R]:
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
            batch = [self._queue.pop(0)]
            size = len(batch[0][0])
            while self._queue and not batch[-1][1] and size + len(self._queue[0][0]) <= self.most:
                size += len(self._queue[0][0])
                batch.append(self._queue.pop(0))
            await self._answer(batch)

    async def _answer(self, batch: list[tuple[Sequence[T], bool, asyncio.Future[list[R]]]]) -> None:
        items = [item for given, _, _ in batch for item in given]
        try:
            results = await self._work(items)
        except Exception as error:  # noqa: BLE001 - handed to those who asked
            if len(batch) > 1 and not isinstance(error, LedgerUnavailable):
                # One request may be what the ledger's store cannot take: the others are not to fail with it.
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
