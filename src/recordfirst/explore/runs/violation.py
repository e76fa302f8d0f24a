"""A promise that was broken, and the order of several by importance. Pure."""

from __future__ import annotations

import msgspec


class Violation(msgspec.Struct, frozen=True, order=True):
    """A promise that was broken."""

    promise: str
    """``P1`` to ``P11``, or ``yours`` for an invariant of the user's."""
    what: str

    def __str__(self) -> str:
        return f"{self.promise}: {self.what}"


_FIRST = ("P1", "P3", "P2", "P5", "yours", "P7", "P8", "P4", "P6", "P11", "P9", "P10")
_WEIGHT = {promise: weight for weight, promise in enumerate(_FIRST)}
"""The most telling promise comes first; a different end (P9) mostly follows from another one."""


def by_weight(violations: tuple[Violation, ...]) -> list[Violation]:
    """Sort violations, the most telling first."""
    return sorted(violations, key=lambda violation: _WEIGHT.get(violation.promise, 99))
