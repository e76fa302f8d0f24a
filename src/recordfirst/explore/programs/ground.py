"""Everything that generated programs use of the explorer. If that changes, adapt it here."""

from __future__ import annotations

from contextvars import ContextVar

from recordfirst.explore.case import Case
from recordfirst.explore.judge import checks
from recordfirst.explore.runs.observed import Observed, SeenReceipt, SeenStart
from recordfirst.explore.runs.schedule import ENDS, At, Point, Schedule, every_single, parse, worth_trying
from recordfirst.explore.worlds.fast.world import FastWorld
from recordfirst.explore.worlds.operator import answer
from recordfirst.explore.worlds.virtual.boundary import Process
from recordfirst.explore.worlds.virtual.place import Place
from recordfirst.explore.worlds.virtual.program import Stuck
from recordfirst.explore.worlds.virtual.seams import ProcessSeams
from recordfirst.explore.worlds.virtual.trial import VirtualTrial
from recordfirst.explore.worlds.virtual.underway import Running
from recordfirst.explore.worlds.world import End
from recordfirst.testing.outside import DAY_S, Asked, KeyReused, Outside, Refused

__all__ = [
    "DAY_S",
    "ENDS",
    "Asked",
    "At",
    "Case",
    "End",
    "FastWorld",
    "KeyReused",
    "Observed",
    "Outside",
    "Place",
    "Point",
    "Process",
    "ProcessSeams",
    "Refused",
    "Running",
    "Schedule",
    "SeenReceipt",
    "SeenStart",
    "Stuck",
    "VirtualTrial",
    "answer",
    "checks",
    "enter",
    "every_single",
    "is_alive",
    "parse",
    "worth_trying",
]


_process: ContextVar[Process | None] = ContextVar("process", default=None)


def enter(process: Process) -> None:
    """Set the process to which everything belongs that is begun from now on."""
    _process.set(process)


def is_alive() -> bool:
    """Whether the current process is alive."""
    process = _process.get()
    return process is None or not (process.died or process.disposed)
