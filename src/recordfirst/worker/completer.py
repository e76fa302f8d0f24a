"""Stores the ends of workflows in the record, in batches, and tells those who wait for them.

A lost end is stored again when the workflow is put back, so only a caller that asks for a result waits for a batch. It
gets what the record has: a workflow that an operator has ended stays ended.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple, cast
from weakref import WeakValueDictionary

from recordfirst.core.start import Finish, Start
from recordfirst.execution.runtime import Runtime
from recordfirst.observe import DispatchFailed

_AGAIN_S = 1.0
"""After a failure, before another try."""

type Ended = asyncio.Future[tuple[Finish, Exception | None]]
"""A workflow's end, as the record has it, and the exception that was behind it."""


class _Ending(NamedTuple):
    """An epoch's end, as its body has reported it."""

    engine_id: str
    finish: Finish
    error: Exception | None
    stored: asyncio.Event


class Completer:
    """Of one worker."""

    def __init__(self, runtime: Runtime, was_closed: Callable[[str, str], None]) -> None:
        """``was_closed`` is told the engine's id and the workflow's, once the record has an end."""
        self._runtime, self._was_closed = runtime, was_closed
        self._reported: list[_Ending] = []
        self._unstored: set[str] = set()
        """Engine ids of what was reported and is not stored yet."""
        self._some = asyncio.Event()
        self._waiting: WeakValueDictionary[str, Ended] = WeakValueDictionary()

    def report(self, engine_id: str, finish: Finish, error: Exception | None) -> asyncio.Event:
        """A body has come to its end; return what is set when the record knows."""
        ending = _Ending(engine_id, finish, error, asyncio.Event())
        self._reported.append(ending)
        self._unstored.add(engine_id)
        self._some.set()
        return ending.stored

    def is_on_its_way(self, engine_id: str) -> bool:
        """Whether an epoch's end was reported, and the record does not have it yet."""
        return engine_id in self._unstored

    def wait_for(self, id: str) -> Ended:
        """Return the future of a workflow's end, should it end here. When nobody has it, it is gone.

        So a process that starts a workflow which sleeps for a week, and does not wait for it, keeps nothing in memory.
        """
        future = self._waiting.get(id)
        if future is None:
            future = self._waiting[id] = asyncio.get_running_loop().create_future()
        return future

    async def keep_storing(self) -> None:
        """Store whatever is reported, until cancelled."""
        while True:
            await self._some.wait()
            self._some.clear()
            await self.store()

    async def store(self) -> None:
        """Store the ends that were reported, in one statement, and tell who waits for them."""
        batch, self._reported = self._reported, []
        try:
            left = await self._store(batch)
        except asyncio.CancelledError:
            # We are stopping, and they are stored at the end of that.
            self._reported = [ending for ending in batch if not ending.stored.is_set()] + self._reported
            raise
        if left:
            self._reported = left + self._reported
            self._some.set()
            await self._runtime.sleeper(_AGAIN_S)

    async def _store(self, batch: list[_Ending]) -> list[_Ending]:
        """Store a batch; return what of it was not stored. Nothing is lost then: it is open in the record."""
        if not batch:
            return []

        async def close() -> dict[str, Start]:
            async with self._runtime.record.session() as session:
                closed = await session.finish([ending.finish for ending in batch])
                others = {ending.finish.id for ending in batch} - closed
                return {id: start for id in others if (start := await session.find_start(id)) is not None}

        try:
            others = await close()
        except Exception as error:  # noqa: BLE001 - they are kept for another try
            if len(batch) > 1 and await self._is_reachable():
                # One of them may be what the record refuses, or all together too much: the others do not wait for it.
                half = len(batch) // 2
                return [*await self._store(batch[:half]), *await self._store(batch[half:])]
            self._runtime.observe(DispatchFailed(f"{type(error).__name__}: {error}"))
            return batch
        for ending in batch:
            self._unstored.discard(ending.engine_id)
            self._was_closed(ending.engine_id, ending.finish.id)
            ending.stored.set()
            told = _as_the_record_has_it(ending, others.get(ending.finish.id))
            if told is None:
                continue
            future = self._waiting.pop(ending.finish.id, None)
            if future is not None and not future.done():
                future.set_result(told)
        return []

    async def _is_reachable(self) -> bool:
        """Whether the record answers: then it refuses what it was given, and is not away."""
        try:
            async with self._runtime.record.session() as session:
                await session.now_ms()
        except Exception:  # noqa: BLE001 - that is the answer
            return False
        return True


def _as_the_record_has_it(ending: _Ending, start: Start | None) -> tuple[Finish, Exception | None] | None:
    """What an epoch reports, unless its workflow was ended otherwise: then that; ``None`` if another epoch goes on."""
    if start is None or start.state in ("collected", ending.finish.state):
        return ending.finish, ending.error
    if start.state == "open":
        return None
    state = cast("Any", start.state)
    return Finish(id=start.id, epoch=start.epoch, state=state, result=start.result, error=start.error), None
