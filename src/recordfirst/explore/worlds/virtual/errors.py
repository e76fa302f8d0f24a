"""What a driver or a client raises where a fault strikes."""

from __future__ import annotations

from typing import Protocol

from recordfirst.explore.runs.schedule import Boundary


class Errors(Protocol):
    """What a driver or a client raises, boundary by boundary."""

    def not_applied(self, boundary: Boundary) -> BaseException:
        """Nothing arrived."""

    def lost(self, boundary: Boundary) -> BaseException:
        """The connection is gone, and nobody knows how far the request came."""

    def contended(self) -> BaseException:
        """The record's deadlock, serialization failure, or busy file."""


def elsewhere(boundary: Boundary, error: OSError) -> BaseException:
    """Return what is raised at a boundary that is not the record's."""
    if boundary == "engine":
        from resonate_base import ConnectorError  # noqa: PLC0415

        return ConnectorError(error)
    return error
