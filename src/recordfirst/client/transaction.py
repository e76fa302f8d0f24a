"""The caller's own transaction: a web handler's rows and the workflow that it starts commit together (P2, P7)."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from recordfirst.core.text import safe_text
from recordfirst.errors import CommitUnknown, RecordUnavailable
from recordfirst.execution.flush import Gathered, open_write
from recordfirst.execution.patience import fault_of
from recordfirst.execution.runtime import Runtime
from recordfirst.observe import CommitFound
from recordfirst.steps.write import Write


class AppRecord:
    """An app's record, for the caller's own transactions; see :attr:`App.record`."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    @property
    def where(self) -> str:
        """How an operator names it: a URL without its password, or a path."""
        return self._runtime.record.where

    @contextlib.asynccontextmanager
    async def write(self) -> AsyncIterator[Write[Any]]:
        """A transaction: what is written through ``w.tx``, started and intended commits together, or not at all.

        Raises:
            RecordUnavailable: if the connection was lost during COMMIT, and the transaction did not commit.
            CommitUnknown: if the connection was lost during COMMIT, and the transaction started no new workflow that
                would show whether it committed.
            StartContended: if another transaction stores the id of one, and does not end; everything is rolled back.
            DifferentArguments: if a workflow that it starts exists with other arguments; everything is rolled back.
            Misuse: in another event loop, thread or process than the one that has the app open.
        """
        self._runtime.owned.check()
        runtime, record = self._runtime, self._runtime.record
        flushed: Gathered | None = None
        try:
            async with record.transaction() as tx:
                w, gathered = open_write(runtime, tx, None)
                yield w
                await gathered.flush()
                flushed = gathered
        except Exception as error:
            if flushed is None or fault_of(record, error) != "unreachable":
                raise
            # COMMIT was on its way. A start that it made tells whether it arrived.
            if not await self._arrived(flushed, error):
                raise RecordUnavailable(record.where, f"the transaction did not commit: {error}") from error
        if flushed is not None:
            flushed.committed()

    async def _arrived(self, flushed: Gathered, error: Exception) -> bool:
        runtime = self._runtime
        if not flushed.accepted:
            raise CommitUnknown(runtime.record.where, safe_text(error)) from error
        ours = flushed.accepted[-1]

        async def look() -> bool:
            async with runtime.record.session() as session:
                start = await session.find_start(ours.id)
                # Of another time it is another's, who has started the same since.
                return start is not None and start.created_at_ms == ours.created_at_ms

        arrived = await runtime.patiently("what became of COMMIT", look, release=False)
        if arrived:
            runtime.observe(CommitFound(ours.id, safe_text(error)))
        return arrived

    @contextlib.asynccontextmanager
    async def read(self) -> AsyncIterator[Any]:
        """The driver's own connection, in a read-only transaction."""
        self._runtime.owned.check()
        async with self._runtime.record.reading() as connection:
            yield connection
