"""Answers one question: is my workflow safe if the process dies right here? For every *here*, in seconds.

A workflow is run once without faults, to find its points: each statement to the record, request to the engine, call of
a provider, and wait. Then it is run again for each point and each fault, and for two and more of them, each time in a
fresh world. Processes die, and others go on from what they left. The judge goes by what was seen from outside, never by
what the code reports about itself.
"""

from recordfirst.core.event import NewEvent
from recordfirst.explore.case import Case, GivenInvariant
from recordfirst.explore.running import explore, replay
from recordfirst.explore.runs.run import RunOutcome
from recordfirst.explore.runs.schedule import At, Point, Schedule, parse
from recordfirst.explore.runs.violation import Violation
from recordfirst.explore.search.explorer import Budget, Exploration, Explorer, Failure
from recordfirst.explore.worlds.fast.world import FastWorld

__all__ = [
    "At",
    "Budget",
    "Case",
    "Exploration",
    "Explorer",
    "Failure",
    "FastWorld",
    "GivenInvariant",
    "NewEvent",
    "Point",
    "RunOutcome",
    "Schedule",
    "Violation",
    "explore",
    "parse",
    "replay",
]
