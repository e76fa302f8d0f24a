"""What every world returns: a run, as it was seen from outside; and the same with what it broke. Pure."""

from __future__ import annotations

import msgspec

from recordfirst.explore.runs.event import BoundaryEvent
from recordfirst.explore.runs.observed import Observed
from recordfirst.explore.runs.schedule import At, Point, Schedule
from recordfirst.explore.runs.violation import Violation
from recordfirst.testing.outside import Asked


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a case under a schedule. Nothing in it is a judgement: that is the judge's."""

    schedule: Schedule
    events: tuple[BoundaryEvent, ...]
    """In the order in which they happened."""
    points: tuple[tuple[Point, ...], ...]
    """Of each process, what it crossed."""
    seen: Observed
    """What there was in the end."""
    asked: tuple[Asked, ...] = ()
    """Whatever arrived outside, also what was refused, or answered again."""
    accepted: frozenset[str] = frozenset()
    """The workflows that were accepted, as clients know."""
    offending: tuple[str, ...] = ()
    """What the user's own invariants found in the end."""
    struck: tuple[At, ...]
    """The faults whose point was reached; one that was not, was not tried."""
    version: int = 0
    """Of the workflow's versions, the one that the last process ran."""
    why: str = ""
    """Why its last process came to no good end, if so."""
    briefly: bool = False
    """What only an operator would read was left out."""

    def crossed(self, at: At) -> Point:
        """The point of a fault that has struck."""
        return next(point for point in self.points[at.process - 1] if at.meets(point))


class RunOutcome(Run, frozen=True, kw_only=True):
    """A run that was judged: its events say what each of them broke."""

    violations: tuple[Violation, ...]
