"""Who holds a database's write lock, as Linux tells it. Only for the text of an error: it may have changed since."""

from __future__ import annotations

import os
from pathlib import Path

_LOCKS = Path("/proc/locks")
_PID, _INODE = 4, 5


def held_by(path: Path) -> str:
    """Name the other processes that have a write lock on the file, or on what lies beside it."""
    inodes = set()
    for file in (path, path.with_name(f"{path.name}-shm")):
        try:
            inodes.add(file.stat().st_ino)
        except OSError:
            continue
    try:
        locks = [line.split() for line in _LOCKS.read_text().splitlines()]
    except OSError:
        return "another transaction"
    held = {
        lock[_PID]
        for lock in locks
        if len(lock) > _INODE and lock[3] == "WRITE" and int(lock[_INODE].rpartition(":")[2]) in inodes
    }
    others = sorted(held - {str(os.getpid())})
    if not others:
        return "another transaction"
    return f"the transaction of process {', '.join(others)}, which holds {path}"
