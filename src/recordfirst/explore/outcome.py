"""What comes of a schedule: an outcome; and what a first process leaves where it dies, for others to go on from."""

from __future__ import annotations

from pathlib import Path

import msgspec

from recordfirst.explore.boundary import BoundaryEvent, Process
from recordfirst.explore.checks import Violation
from recordfirst.explore.clock import Time
from recordfirst.explore.observe import Observed
from recordfirst.explore.schedule import At, Point, Schedule


class RunOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one schedule."""

    schedule: Schedule
    violations: tuple[Violation, ...]
    events: tuple[BoundaryEvent, ...]
    points: tuple[tuple[Point, ...], ...]
    """Of each process, what it crossed."""
    seen: Observed
    struck: tuple[At, ...]
    """The faults whose point was reached; one that was not, was not tried."""
    why: str = ""
    """Why its last process came to no good end, if so."""
    briefly: bool = False
    """What only an operator would read was left out."""

    def crossed(self, at: At) -> Point:
        """The point of a fault that has struck."""
        return next(point for point in self.points[at.process - 1] if at.meets(point))


class CrashSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """A world as a first process has left it: what follows can be tried again and again from there."""

    files: Path
    older: Path | None
    process: Process
    clock: Time
    violations: tuple[Violation, ...]
    last: Observed | None
