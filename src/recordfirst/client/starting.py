"""Stores starts that arrive together in one commit, each in bounded time (P7)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from recordfirst.core.start import NewStart, Start
from recordfirst.errors import RecordUnavailable
from recordfirst.execution.runtime import Runtime
from recordfirst.execution.starts import accept
from recordfirst.process.group_commit import GroupCommit

_START_WITHIN_S = 40.0
"""The longest that a start waits for the record."""


class Starting:
    """What an app's callers start outside a transaction of their own."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._together = GroupCommit(self._store)

    async def accepted(self, new: NewStart) -> tuple[Start, bool]:
        """Store a start, in bounded time also where many wait for their turn on a record that is held.

        Returns what the record holds, and whether it is new.

        Raises:
            RecordUnavailable: if the record stays out of reach, or is held by others.
        """
        limit = asyncio.timeout(_START_WITHIN_S)
        what = f"start of {new.id!r}"
        try:
            async with limit:
                return await self._runtime.patiently(what, lambda: self._together.add(new), release=False)
        except TimeoutError as error:
            if not limit.expired():
                raise
            cause = f"{what} was not stored within {_START_WITHIN_S:g} s; it may be yet: start it again under its id"
            raise RecordUnavailable(self._runtime.record.where, cause) from error

    async def _store(self, starts: Sequence[NewStart]) -> list[tuple[Start, bool]]:
        record = self._runtime.record
        opened = record.session if self._runtime.joined is None else record.transaction
        async with opened() as session:
            return await accept(self._runtime, session, starts)
