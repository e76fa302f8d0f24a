"""All that generated programs use of the explorer: what else moves there is adapted to here."""

from __future__ import annotations

from recordfirst.explore import boundary, checks
from recordfirst.explore.boundary import Process
from recordfirst.explore.case import Case
from recordfirst.explore.fast import FastWorld
from recordfirst.explore.observe import Observed, SeenReceipt, SeenStart
from recordfirst.explore.place import Place
from recordfirst.explore.process import Stuck, answer
from recordfirst.explore.run import Run
from recordfirst.explore.schedule import ENDS, At, Point, Schedule, every_single, parse, worth_trying
from recordfirst.explore.underway import Running
from recordfirst.testing.outside import DAY_S, Asked, KeyReused, Outside, Refused

__all__ = [
    "DAY_S",
    "ENDS",
    "Asked",
    "At",
    "Case",
    "FastWorld",
    "KeyReused",
    "Observed",
    "Outside",
    "Place",
    "Point",
    "Process",
    "Refused",
    "Run",
    "Running",
    "Schedule",
    "SeenReceipt",
    "SeenStart",
    "Stuck",
    "answer",
    "checks",
    "every_single",
    "is_alive",
    "parse",
    "worth_trying",
]


def is_alive() -> bool:
    """Whether the process that runs now is one that lives."""
    process = boundary.current
    return process is None or not (process.died or process.disposed)
