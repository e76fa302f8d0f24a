"""Ends that other processes store: one query for all workflows that this process waits for.

A look costs one query, however many wait. Looks are frequent while workflows end, and rare otherwise: to wait for
a week costs ten small queries a second, shared by all waits in the process.
Ends are not notified, because Postgres lets transactions that notify commit one at a time.
"""

from __future__ import annotations

import asyncio
import contextlib

from recordfirst.errors import Misuse
from recordfirst.execution.runtime import Runtime

_LEAST_S = 0.02
_MOST_S = 0.1
"""Between two looks: the first after an end or a new waiter; then each half as long again as the one before."""


class CompletionPoller:
    """Who waits in this process for what the record will say."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._waiting: dict[asyncio.Future[None], str] = {}
        self._looking: asyncio.Task[None] | None = None
        self._pause_s = _LEAST_S
        self._changed = asyncio.Event()
        """Somebody waits who did not, or nobody does."""

    def wait_for(self, id: str) -> asyncio.Future[None]:
        """Return what is done once the record has no open start of this id; :meth:`leave` it then, or earlier."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[future] = id
        self._pause_s = _LEAST_S
        self._changed.set()
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        return future

    def leave(self, future: asyncio.Future[None]) -> None:
        """Wait no more. Nobody looks when nobody waits; a look that is under way comes to its end."""
        del self._waiting[future]
        if future.done() and not future.cancelled():
            future.exception()  # its waiter may have heard of the end first, and never ask
        if not self._waiting:
            self._changed.set()

    async def close(self) -> None:
        """Tell the callers that still wait, and let the last look end before the record is closed."""
        for future, id in self._waiting.items():
            if not future.done():
                future.set_exception(Misuse(f"app {self._runtime.app!r} was closed before workflow {id!r} had ended"))
        if self._looking is not None:
            await asyncio.wait([self._looking])

    async def _look(self) -> None:
        try:
            while self._waiting:
                asked = set(self._waiting.values())
                there = await self._runtime.patiently("looking for ends", self._still_open, release=False)
                ended = [future for future, id in self._waiting.items() if id in asked and id not in there]
                for future in ended:
                    if not future.done():
                        future.set_result(None)
                self._pause_s = _LEAST_S if ended else min(1.5 * self._pause_s, _MOST_S)
                await self._pause()
        except Exception as error:  # noqa: BLE001 - told to all who wait
            for future in self._waiting:
                if not future.done():
                    future.set_exception(error)
        finally:
            self._looking = None

    async def _still_open(self) -> set[str]:
        async with self._runtime.record.session() as session:
            return await session.still_open(sorted(set(self._waiting.values())))

    async def _pause(self) -> None:
        await self._runtime.seams.pause(_LEAST_S)  # also for new ones, however many come
        if self._pause_s > _LEAST_S:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), self._pause_s - _LEAST_S)
        self._changed.clear()
