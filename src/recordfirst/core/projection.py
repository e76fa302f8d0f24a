"""A projection: the row, in the record, that says what a mirror must show, and how far it is. Pure data.

``version`` goes up whenever the record is read for it, in the same transaction, one reader at a time; so of two
projections the one with the higher version has seen the newer record. ``projected`` is what the mirror has confirmed.
"""

from __future__ import annotations

import msgspec


class NewProjection(msgspec.Struct, frozen=True, kw_only=True):
    """Which projection it is, and who asks for it."""

    key: str
    function: str
    workflow: str | None
    """``None``: a reconcile."""
    fingerprint: str
    request: str
    """The arguments, canonical JSON; encrypted if the app has an encryptor."""


class Projection(NewProjection, frozen=True, kw_only=True):
    """A projection as the record holds it. Times are milliseconds since 1970 by the record's clock."""

    version: int
    projected: int
    tries: int
    """How often in a row its mirror has not confirmed it."""
    error: str | None
    asked_at_ms: int
    """Since when the mirror is behind; or when it was last asked for."""
    projected_at_ms: int | None
