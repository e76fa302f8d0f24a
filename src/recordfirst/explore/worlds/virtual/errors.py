"""The errors that a driver or a client raises when a fault strikes."""

from __future__ import annotations

from typing import Protocol

from recordfirst.explore.runs.schedule import Boundary


class Errors(Protocol):
    """The errors of a driver or a client, by boundary."""

    def not_applied(self, boundary: Boundary) -> BaseException:
        """The request did not arrive."""

    def lost(self, boundary: Boundary) -> BaseException:
        """The connection is lost, and it is unknown whether the request was applied."""

    def contended(self) -> BaseException:
        """The record's deadlock, serialization failure, or busy file."""


def elsewhere(boundary: Boundary, error: OSError) -> BaseException:
    """Return the error at a boundary other than the record's."""
    if boundary == "engine":
        from resonate_base import ConnectorError  # noqa: PLC0415

        return ConnectorError(error)
    return error
