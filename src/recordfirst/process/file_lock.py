"""A lock on a file, between the processes of one machine.

The kernel holds it and frees it when the process dies, however it dies; a child that the process forks does not keep
it. The file stays: to delete it while another process waits for it would let two processes hold one lock.
"""

from __future__ import annotations

import os
from pathlib import Path

from recordfirst.errors import Misuse
from recordfirst.process.owner import keep_from_children

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows
    fcntl = None  # type: ignore[assignment]


class FileLock:
    """A lock on the file at ``path``, which is made if it is not there; not held until :meth:`take` says so."""

    def __init__(self, path: Path, *, needed_by: str, instead: str) -> None:
        """``needed_by`` and ``instead``: for the error, where a system has no such locks.

        Raises:
            OSError: if the file cannot be made, or not be written to.
            Misuse: if the system has no such locks.
        """
        if fcntl is None:
            raise Misuse(f"{needed_by} needs flock, which this system does not have; use {instead}")
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        keep_from_children(self)

    def fileno(self) -> int:
        """The lock's descriptor."""
        return self._file

    def take(self) -> bool:
        """Take it, if no other process has it. To wait for it in the kernel could not be cancelled."""
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def sign(self) -> None:
        """Say in the file which process has the lock."""
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, f"{os.getpid()}\n".encode(), 0)

    def signed_by(self) -> int | None:
        """The process that has said last that it has the lock; ``None`` if the file says nothing."""
        holder = os.pread(self._file, 32, 0).decode(errors="replace").strip()
        return int(holder) if holder.isdigit() else None

    def release(self) -> None:
        """Let another process have it."""
        file, self._file = self._file, -1
        os.close(file)
