"""Everything that was seen of one run at the boundary. The model judges by nothing else. Pure."""

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
    """The defect that stopped it."""


class History(msgspec.Struct, frozen=True, kw_only=True):
    """One run of one program."""

    program: Program
    schedule: str
    faults: tuple[str, ...]
    """The faults that struck, and the changes after them."""
    points: tuple[Point, ...]
    """The points of the first process."""
    processes: int
    asked: tuple[Asked, ...]
    """Every request that arrived outside."""
    receipts: tuple[FinalReceipt, ...]
    starts: tuple[FinalStart, ...]
    findings: tuple[tuple[str, str], ...]
    """The open findings: code, subject."""
    rows: tuple[tuple[Any, ...], ...]
    """The rows of the one table: step, number, part."""
    commits: tuple[Observed, ...]
    """The state after each commit."""
    notes: tuple[Note, ...]
    why: str
    """Why its last process did not end well, if so."""
    versions: int
    """How many versions of the program took part."""
    refused: str = ""
    """Why the program was refused when it was declared, or started."""

    @property
    def applied(self) -> list[Asked]:
        """The requests that were applied outside."""
        return [each for each in self.asked if each.refused is None and not each.repeats]

    def start(self, id: str) -> FinalStart | None:
        """The start with this id."""
        return next((each for each in self.starts if each.id == id), None)
