"""One process at a time has an embedded engine's file open; who comes second is told whose it is."""

from __future__ import annotations

import os
from pathlib import Path

from recordfirst.errors import EngineInUse, EngineUnreadable, Misuse
from recordfirst.process.owner import keep_from_children

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows
    fcntl = None  # type: ignore[assignment]


class FileLock:
    """A lock on a file; held until :meth:`release`, or the end of the process, however it ends.

    A child that it forks does not keep the lock.
    """

    def __init__(self, file: int) -> None:
        self._file = file
        keep_from_children(self)

    def fileno(self) -> int:
        """The lock's descriptor."""
        return self._file

    def release(self) -> None:
        file, self._file = self._file, -1
        os.close(file)


def lock(path: Path) -> FileLock:
    """Take the lock of the engine's file at ``path``.

    Raises:
        EngineInUse: if another process has it; names its pid.
        EngineUnreadable: if the lock's file, beside it, cannot be made.
    """
    if fcntl is None:
        raise Misuse("the embedded engine needs flock, which this system does not have; use a server or Postgres")
    try:
        # It stays: to delete it while somebody waits for it would let two processes hold one lock.
        file = os.open(path.with_name(path.name + "-lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise EngineUnreadable(str(path), str(error)) from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.pread(file, 32, 0).decode(errors="replace").strip()
        os.close(file)
        raise EngineInUse(str(path), int(holder) if holder.isdigit() else None) from None
    os.ftruncate(file, 0)
    os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
    return FileLock(file)
