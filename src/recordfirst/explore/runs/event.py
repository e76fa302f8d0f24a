"""The events of a run, in order. Pure."""

from __future__ import annotations

import msgspec

from recordfirst.explore.runs.observed import Observed
from recordfirst.explore.runs.schedule import Boundary
from recordfirst.explore.runs.violation import Violation
from recordfirst.testing.outside import Asked


class SeenCall(msgspec.Struct, frozen=True):
    """A call of an effect, and whether the receipt that it depends on was committed when the call was sent."""

    key: str
    effect: str
    after: str
    is_there: bool


class BoundaryEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened at a boundary, or the state that was seen then."""

    order: int
    """Its position among all events of the run."""
    process: int
    point: int
    at_ms: int
    what: str
    fault: str | None = None
    detail: str = ""
    boundary: Boundary | None = None
    """The boundary that was crossed, if one was."""
    seen: Observed | None = None
    """The state after a commit, a death or a call."""
    offending: tuple[str, ...] = ()
    """The rows that break the user's own invariants in that state."""
    called: SeenCall | None = None
    asked: tuple[Asked, ...] = ()
    """The requests that arrived outside, and their outcomes."""
    broken: tuple[Violation, ...] = ()
    """The promises that this event broke, after the run was judged."""
