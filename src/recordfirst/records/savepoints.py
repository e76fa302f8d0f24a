"""Which savepoints of a transaction are open, and what was noted in each: a rollback takes it back (P2). Pure.

What a write promises (a start, an intent) is noted here by its number, so that it is kept exactly if the rows that were
written beside it are.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

type Does = Literal["opens", "releases", "takes back"]


class Savepoint(NamedTuple):
    """What a statement does to a savepoint."""

    does: Does
    name: bytes


class Savepoints:
    """Which savepoints are open, and what was noted in each: it goes when the savepoint is rolled back."""

    def __init__(self) -> None:
        self._open: list[tuple[bytes, int]] = []
        """Name, and how many notes there were when it was opened."""
        self._notes: list[int | str] = []

    def note(self, what: int | str) -> None:
        """Note something in the innermost savepoint: a promise by its number, or why nothing may be committed."""
        self._notes.append(what)

    def done(self, step: Savepoint) -> None:
        """A statement on a savepoint has succeeded."""
        if step.does == "opens":
            self._open.append((step.name, len(self._notes)))
            return
        place = next((at for at in reversed(range(len(self._open))) if self._open[at][0] == step.name), None)
        if place is None:
            return  # the server knows none of that name either, so it would not have succeeded
        if step.does == "releases":
            del self._open[place:]
        else:
            del self._notes[self._open[place][1] :]
            del self._open[place + 1 :]

    @property
    def promises(self) -> set[int]:
        return {note for note in self._notes if isinstance(note, int)}

    @property
    def spoiled(self) -> str | None:
        """Why nothing of this may be committed."""
        return next((note for note in self._notes if isinstance(note, str)), None)
