"""A line in a file beside the database, which does not go back when the database is put back from a copy.

Replaced as a whole, and on the disk before it stands there: it is never torn. If it cannot be read, it says nothing.
"""

from __future__ import annotations

import os
from pathlib import Path


def keep(path: Path, line: str | None) -> None:
    """Have this line there, and no other; ``None``: no file.

    Raises:
        OSError: if it cannot be written; what was there stays.
    """
    if line is None:
        path.unlink(missing_ok=True)
        return
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        with fresh.open("w", encoding="utf-8") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise


def kept(path: Path) -> str | None:
    """The line that is there, if there is one."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
