"""The directory of a world's files."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

_MEMORY_LEAST_BYTES = 256 << 20


def home() -> Path:
    """A new directory, in memory if there is enough: a container has 64 MiB by default."""
    memory = Path("/dev/shm")  # noqa: S108 - a fresh directory is made in it
    is_enough = memory.is_dir() and shutil.disk_usage(memory).free > _MEMORY_LEAST_BYTES
    return Path(tempfile.mkdtemp(prefix="recordfirst-explore-", dir=memory if is_enough else None))
