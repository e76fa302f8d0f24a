"""Provider events: what a provider tells by itself, as it arrives and as the record keeps it. Pure data.

An event is a reason to look, not the truth. Times are milliseconds since 1970.
"""

from __future__ import annotations

import hashlib
from typing import Any, Literal

import msgspec

type EventState = Literal["open", "waiting", "done", "stopped", "ignored"]
"""``open``: to be taken up. ``waiting``: it names a call of ours that has no receipt yet. ``stopped``: a handler failed
too often. ``ignored``: of the other mode (test or live)."""


class NewEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event as its provider's adapter has read it, signature and all."""

    provider: str
    id: str
    """The provider's; the same event never has another."""
    type: str
    livemode: bool | None = None
    """``None``: its provider knows no test mode."""
    account: str | None = None
    """The connected account that it is of, if it is not the app's own."""
    at_ms: int | None = None
    """When it happened, by the provider's clock."""
    keys: tuple[str, ...] = ()
    """Idempotency keys of the requests that caused it."""
    markers: tuple[str, ...] = ()
    """What calls left at the objects that it is about."""
    references: tuple[str, ...] = ()
    """The provider's names of those objects."""
    body: str
    """As it was sent: JSON."""

    @property
    def hash(self) -> str:
        """What stays of its id for good, so that it counts once."""
        return event_hash(self.provider, self.id)


class StoredEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event as the record keeps it."""

    hash: str
    provider: str
    id: str | None
    """``None``: its retention is over, and the hash alone is left."""
    type: str
    livemode: bool | None
    account: str | None
    names: str
    """JSON of keys, markers and references."""
    body: str | None
    """Sealed, if the app has an encryptor."""
    state: EventState
    tries: int
    """How often a handler has failed."""
    looks: int
    """How often it was taken up without coming to its end."""
    error: str | None
    happened_at_ms: int | None
    received_at_ms: int
    next_at_ms: int | None
    """When it is taken up next; ``None``: not by itself."""


class EventNames(msgspec.Struct, frozen=True):
    """By what an event is matched to receipts."""

    keys: tuple[str, ...] = ()
    markers: tuple[str, ...] = ()
    references: tuple[str, ...] = ()


class ProviderEvent(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider has told, as an ``@on_event`` handler gets it."""

    provider: str
    id: str
    type: str
    livemode: bool | None
    account: str | None
    at_ms: int | None
    """When it happened, by the provider's clock."""
    data: Any
    """The whole event, JSON decoded. It may be old: what is there now, ``fetch=`` asks."""


def event_hash(provider: str, id: str) -> str:
    """Return what an event is known by for good."""
    return hashlib.sha256(f"{provider}\0{id}".encode()).hexdigest()
