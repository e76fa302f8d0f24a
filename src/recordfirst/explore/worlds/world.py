"""What a case is run in, whichever world it is."""

from __future__ import annotations

from typing import Protocol

from recordfirst.explore.runs.outcome import RunOutcome
from recordfirst.explore.runs.schedule import Schedule


class Explorable(Protocol):
    """What a case is run in."""

    tries: frozenset[str]
    """The faults and changes that it can make."""
    replays: int
    """How often a replay is run at most, until its faults strike."""

    def close(self) -> None:
        """Leave nothing behind."""

    def run(self, schedule: Schedule, *, briefly: bool = False) -> RunOutcome:
        """Run it under a schedule, and judge what came of it. ``briefly``: without what only an operator would read."""

    def refer(self) -> RunOutcome:
        """Run it without faults."""
