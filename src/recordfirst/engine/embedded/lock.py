"""One process at a time has an embedded engine's file open; a second one gets an error that names the first."""

from __future__ import annotations

from pathlib import Path

from recordfirst.errors import EngineInUse, EngineUnreadable
from recordfirst.process.file_lock import FileLock


def lock(path: Path) -> FileLock:
    """Take the lock of the engine's file at ``path``; held until it is released, or the process ends.

    Raises:
        EngineInUse: if another process has it; names its pid.
        EngineUnreadable: if the lock's file, beside it, cannot be made.
    """
    try:
        held = FileLock(
            path.with_name(path.name + "-lock"), needed_by="the embedded engine", instead="a server or Postgres"
        )
    except OSError as error:
        raise EngineUnreadable(str(path), str(error)) from error
    if not held.take():
        holder = held.signed_by()
        held.release()
        raise EngineInUse(str(path), holder)
    held.sign()
    return held
