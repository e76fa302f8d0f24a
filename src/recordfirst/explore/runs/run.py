"""What every world returns: a run, as it was seen from outside; and a run with the promises that it broke. Pure."""

from __future__ import annotations

import msgspec

from recordfirst.explore.runs.event import BoundaryEvent
from recordfirst.explore.runs.observed import Observed
from recordfirst.explore.runs.schedule import At, Point, Schedule
from recordfirst.explore.runs.violation import Violation
from recordfirst.testing.outside import Asked


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a case under a schedule. It has no verdict: the judge adds that."""

    schedule: Schedule
    events: tuple[BoundaryEvent, ...]
    """The events, in the order in which they happened."""
    points: tuple[tuple[Point, ...], ...]
    """The points that each process crossed."""
    seen: Observed
    """The final state."""
    asked: tuple[Asked, ...] = ()
    """Every request that arrived outside, also those that were refused, or answered again."""
    accepted: frozenset[str] = frozenset()
    """The workflows of which a client knows that they were accepted."""
    offending: tuple[str, ...] = ()
    """The rows that break the user's own invariants in the end."""
    struck: tuple[At, ...]
    """The faults whose point was reached. The others were not tried."""
    version: int = 0
    """The version of the workflow that the last process ran."""
    why: str = ""
    """Why its last process did not end well, if so."""
    briefly: bool = False
    """Whether details that only an operator reads were left out."""

    def crossed(self, at: At) -> Point:
        """The point at which a fault has struck."""
        return next(point for point in self.points[at.process - 1] if at.meets(point))


class RunOutcome(Run, frozen=True, kw_only=True):
    """A run that was judged: each event has the promises that it broke."""

    violations: tuple[Violation, ...]
