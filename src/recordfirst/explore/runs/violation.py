"""A promise that was broken, and the order of several by importance. Pure."""

from __future__ import annotations

import msgspec


class Violation(msgspec.Struct, frozen=True, order=True):
    """A promise that was broken."""

    promise: str
    """``P1`` to ``P10``, or ``yours`` for an invariant of the user's."""
    what: str

    def __str__(self) -> str:
        return f"{self.promise}: {self.what}"


_WEIGHT = {"P1": 0, "P3": 1, "P2": 2, "P5": 3, "yours": 4, "P7": 5, "P8": 6, "P4": 7, "P6": 8, "P9": 9, "P10": 10}
"""The most telling promise comes first; a different end (P9) mostly follows from another one."""


def by_weight(violations: tuple[Violation, ...]) -> list[Violation]:
    """Sort violations, the most telling first."""
    return sorted(violations, key=lambda violation: _WEIGHT.get(violation.promise, 99))
