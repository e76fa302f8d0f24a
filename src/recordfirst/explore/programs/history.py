"""What was to be seen of one run at the boundary: all that the model goes by. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from recordfirst.explore.programs.ground import Asked, Observed, Point
from recordfirst.explore.programs.kit import Note
from recordfirst.explore.programs.tree import Program


class FinalReceipt(msgspec.Struct, frozen=True):
    """A receipt at the end."""

    key: str
    attempt: int
    kind: str
    function: str
    state: str
    undo: str | None
    undone_by: str | None
    doubts: int


class FinalStart(msgspec.Struct, frozen=True):
    """A start at the end."""

    id: str
    state: str
    result: str | None
    error: str | None
    is_stopped: bool
    stop: str | None
    """What stopped it."""


class History(msgspec.Struct, frozen=True, kw_only=True):
    """One run of one program."""

    program: Program
    schedule: str
    faults: tuple[str, ...]
    """Those that struck, and the changes behind them."""
    points: tuple[Point, ...]
    """Of the first process."""
    processes: int
    asked: tuple[Asked, ...]
    """Whatever arrived outside."""
    receipts: tuple[FinalReceipt, ...]
    starts: tuple[FinalStart, ...]
    findings: tuple[tuple[str, str], ...]
    """What is open: code, subject."""
    rows: tuple[tuple[Any, ...], ...]
    """Of the one table: step, number, part."""
    commits: tuple[Observed, ...]
    """What was there after each commit."""
    notes: tuple[Note, ...]
    why: str
    """Why its last process came to no good end, if so."""
    versions: int
    """How many versions of the program had a part in it."""
    refused: str = ""
    """Why the program was refused when it was declared, or started."""

    @property
    def applied(self) -> list[Asked]:
        """What was done outside."""
        return [each for each in self.asked if each.refused is None and not each.repeats]

    def start(self, id: str) -> FinalStart | None:
        """The start of that id."""
        return next((each for each in self.starts if each.id == id), None)
