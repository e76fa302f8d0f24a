"""What comes of a schedule. Pure."""

from __future__ import annotations

import msgspec

from recordfirst.explore.runs.event import BoundaryEvent
from recordfirst.explore.runs.observed import Observed
from recordfirst.explore.runs.schedule import At, Point, Schedule
from recordfirst.explore.runs.violation import Violation


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
