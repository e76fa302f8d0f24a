"""What a first process leaves where it dies, for others to go on from."""

from __future__ import annotations

from pathlib import Path

import msgspec

from recordfirst.explore.worlds.virtual.boundary import Process
from recordfirst.explore.worlds.virtual.clock import Time


class CrashSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A world as a first process has left it: what follows can be tried again and again from there."""

    files: Path
    older: Path | None
    process: Process
    clock: Time
