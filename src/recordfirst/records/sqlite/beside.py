"""A line in a file beside the database, which stays when the database is replaced by a copy.

The file is replaced as a whole, after the new one is on the disk: it is never torn. A file that cannot be read counts
as empty.
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
