"""What happens in a run, one thing after the other. Pure."""

from __future__ import annotations

import msgspec

from recordfirst.explore.runs.observed import Observed
from recordfirst.explore.runs.schedule import Boundary
from recordfirst.explore.runs.violation import Violation
from recordfirst.testing.outside import Asked


class BoundaryEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened at a boundary, or what was there to be seen just then."""

    process: int
    point: int
    at_ms: int
    what: str
    fault: str | None = None
    detail: str = ""
    boundary: Boundary | None = None
    """Which one was crossed, if one was."""
    seen: Observed | None = None
    """What was there, after a commit, a death or a call."""
    asked: tuple[Asked, ...] = ()
    """What arrived outside, and what became of it."""
    broken: tuple[Violation, ...] = ()
    """The promises that this broke."""
