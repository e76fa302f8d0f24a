"""A lease between the processes of one machine: a lock on a file beside the database."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from recordfirst.errors import RecordUnavailable
from recordfirst.process.file_lock import FileLock
from recordfirst.process.seams import Sleeper

_ASK_S = 0.03
"""Between two tries."""


class FileLease(FileLock):
    """Lost only with the process itself."""

    async def lost(self) -> None:
        await asyncio.Event().wait()


@contextlib.asynccontextmanager
async def hold(path: Path, sleeper: Sleeper) -> AsyncIterator[FileLease]:
    """Wait for the lock on this file, and hold it during the block."""
    try:
        lease = FileLease(path, needed_by="a lease of a SQLite record", instead="PostgreSQL")
    except OSError as error:
        raise RecordUnavailable(str(path), f"{error.strerror}; a lease is a file that must be written") from error
    try:
        while not lease.take():  # another process lets go of it, which sets no event here
            await sleeper(_ASK_S)
        yield lease
    finally:
        lease.release()
