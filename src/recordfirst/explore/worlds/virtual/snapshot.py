"""A crash snapshot: what a first process leaves at its death, for others to go on from."""

from __future__ import annotations

from pathlib import Path

import msgspec

from recordfirst.explore.worlds.virtual.boundary import Process
from recordfirst.explore.worlds.virtual.clock import Time


class CrashSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A world as a first process has left it, from which further schedules can be run."""

    files: Path
    older: Path | None
    process: Process
    clock: Time
