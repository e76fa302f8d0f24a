"""Tries: a workflow under which processes die is stopped after a few (P7, P9).

A process that is killed, or runs out of memory, reports nothing. So if another process than before begins a body, the
record counts that before the body runs, and the count is reset once the body has reached a wait. The first begin of a
body costs nothing. From the second try on, one body at a time runs, each after a longer pause: this separates a
workflow that kills processes from those beside it, and healthy workflows go on meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from recordfirst.errors import ProcessDied
from recordfirst.execution.patience import Patience

MOST = 5
"""So many processes may die under a workflow; then it is stopped."""
_SUSPECT = 2
"""From so many deaths on, a workflow runs when no other such one does."""
_FIRST_PAUSE_S = 0.2
"""Before a suspect runs; each further try waits twice as long."""
_KNOWN = 100_000
"""So many bodies are remembered to have come to a wait in this process."""


class Tries:
    """Of one worker's process."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._known: dict[str, None] = {}
        """Engine ids of bodies that this process has begun before, oldest first: it has outlived them."""
        self._alone = asyncio.Lock()
        self._counted: set[str] = set()
        """Ids of workflows whose count is to be taken back."""

    @contextlib.asynccontextmanager
    async def of(self, engine_id: str, id: str, epoch: int, *, first: bool) -> AsyncIterator[ProcessDied | None]:
        """Count a try, unless this process has outlived one; give why the body must not run, if that is so.

        ``first``: nobody has begun it before.
        """
        if first or engine_id in self._known:
            try:
                yield None
            finally:
                self._outlived(engine_id)
            return
        tries, is_suspect = await self._begin(id, epoch, below=_SUSPECT), False
        try:
            if tries is None:
                await self._alone.acquire()
                is_suspect = True
                tries = await self._begin_alone(id, epoch)
            yield ProcessDied(id, tries) if tries > MOST else None
        finally:  # whatever the body came to, this process has outlived it
            if is_suspect:
                self._alone.release()
            self._outlived(engine_id)
            self._counted.add(id)

    async def _begin(self, id: str, epoch: int, *, below: int) -> int | None:
        async def begin() -> int | None:
            async with self._patience.record.session() as session:
                return await session.begin_try(id, epoch, below=below)

        return await self._patience.patiently(f"try of {id!r}", begin)

    async def _begin_alone(self, id: str, epoch: int) -> int:
        async def look() -> Any:
            async with self._patience.record.session() as session:
                return await session.find_start(id)

        start = await self._patience.patiently(f"start of {id!r}", look)
        if start is None or start.state != "open" or start.epoch != epoch:
            return 0  # it is over, and is told so at its next step
        await self._patience.sleeper(_FIRST_PAUSE_S * 2**start.tries)
        return await self._begin(id, epoch, below=MOST + 2) or 0

    def _outlived(self, engine_id: str) -> None:
        self._known[engine_id] = None
        if len(self._known) > _KNOWN:
            del self._known[next(iter(self._known))]

    async def take_back(self) -> None:
        """Store that what was counted has come to a wait."""
        ids, self._counted = list(self._counted), set()
        if not ids:
            return
        try:
            async with self._patience.record.session() as session:
                await session.tries_over(ids)
        except BaseException:
            self._counted |= set(ids)
            raise
