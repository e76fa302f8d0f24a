"""The engine that apps of the tests have: the embedded one, in a file that goes when the run ends."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from recordfirst import Embedded


def engine_for(url: str) -> Embedded | None:
    """The default beside a SQLite record; for another, a file in the run's own directory instead of the current one."""
    if url.startswith("sqlite"):
        return None
    return Embedded(
        Path(os.environ["RECORDFIRST_TEST_HOME"]) / f"{hashlib.sha256(url.encode()).hexdigest()[:16]}-engine"
    )
