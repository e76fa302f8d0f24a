"""A lease between the processes of one machine: a lock on a file beside the database.

The kernel holds the lock and frees it when the process dies, however it dies. The file stays: to delete it while
somebody waits for it would let two processes hold one lease.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

from recordfirst.errors import Misuse, RecordUnavailable
from recordfirst.process.owner import keep_from_children

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows
    fcntl = None  # type: ignore[assignment]

_ASK_S = 0.03
"""Between two tries: waiting in the kernel could not be cancelled."""


class HeldLease:
    """Lost only with the process itself. A child that it forks does not keep the lock."""

    def __init__(self, file: int) -> None:
        self._file = file
        keep_from_children(self)

    def fileno(self) -> int:
        """The lock's descriptor."""
        return self._file

    def release(self) -> None:
        """Let somebody else have it."""
        file, self._file = self._file, -1
        os.close(file)

    async def lost(self) -> None:
        await asyncio.Event().wait()


@contextlib.asynccontextmanager
async def hold(path: Path) -> AsyncIterator[HeldLease]:
    """Wait for the lock on this file, and hold it during the block."""
    if fcntl is None:
        raise Misuse("leases of a SQLite record need flock, which this system does not have; use PostgreSQL")
    try:
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise RecordUnavailable(str(path), f"{error.strerror}; a lease is a file that must be written") from error
    held = HeldLease(file)
    try:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await asyncio.sleep(_ASK_S)
        yield held
    finally:
        held.release()
