"""What happens in a run, one thing after the other. Pure."""

from __future__ import annotations

import msgspec

from recordfirst.explore.runs.observed import Observed
from recordfirst.explore.runs.schedule import Boundary
from recordfirst.explore.runs.violation import Violation
from recordfirst.testing.outside import Asked


class SeenCall(msgspec.Struct, frozen=True):
    """An effect's call that goes out, and whether the receipt that it depends on is committed just then."""

    key: str
    effect: str
    after: str
    is_there: bool


class BoundaryEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened at a boundary, or what was there to be seen just then."""

    order: int
    """Its place among all events of the run."""
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
    offending: tuple[str, ...] = ()
    """What the user's own invariants found in that."""
    called: SeenCall | None = None
    asked: tuple[Asked, ...] = ()
    """What arrived outside, and what became of it."""
    broken: tuple[Violation, ...] = ()
    """The promises that this broke, once the run was judged."""
