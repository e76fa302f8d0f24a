"""The receipt: the row, in the record, that says that a write or an effect happened.

Pure data. Times are milliseconds since 1970 by the record's clock; JSON travels as text, exactly as stored.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

type Kind = Literal["write", "effect"]
type State = Literal["intended", "unknown", "pending", "declined", "succeeded"]


class After(msgspec.Struct, frozen=True, kw_only=True):
    """The receipt that must be there, in state succeeded, before a step: of this step, and of no other (P1)."""

    key: str
    kind: Kind
    function: str


class NewReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """What is known when a receipt is first stored: a write's, with its result, or an effect's intent."""

    key: str
    attempt: int = 1
    kind: Kind
    function: str
    workflow: str
    state: State
    fingerprint: str
    request: str
    """The arguments, canonical JSON (an object by parameter name); encrypted if the app has an encryptor."""
    frozen: str | None = None
    """What ``freeze=`` rendered, JSON: the bytes that every call sends (P4)."""
    undo: str | None = None
    """Name of the compensating effect, stored before the first call."""
    result: str | None = None
    """What it returned; of a declined write, the exception that it raised."""
    error: str | None = None
    """Why it is not settled, or was declined: JSON with ``reason`` and ``code``."""


class Receipt(NewReceipt, frozen=True, kw_only=True):
    """A receipt as the record holds it."""

    revision: int
    """Goes up with every change; a change names the revision that it saw, so a stale one lands nowhere."""
    created_at_ms: int
    settled_at_ms: int | None = None
    calls: int = 0
    """How many calls of the provider were begun, in this attempt."""
    doubts: int = 0
    """How many of them may have had their effect without our knowing: in flight, timed out, answered 5xx."""
    replayed: bool = False
    """The provider stores its unusable answer under the current key: asking again only repeats it."""
    reissue: int = 0
    """How often the provider key had to be replaced after the call was proved absent."""
    claim: str | None = None
    """Who has a call in flight, until ``claim_until_ms``; empty: nobody waits for it, but it may arrive until then."""
    claim_until_ms: int | None = None
    key_since_ms: int | None = None
    """Since when the provider key in use may have been sent: its age counts against the provider's retention."""
    last_call_at_ms: int | None = None
    next_at_ms: int | None = None
    """Nothing is to be done before this time."""
    reply: str | None = None
    """The provider's answer, kept when ``on_success`` or the like failed: no call is needed. While it is pending: what
    the provider has said of that."""
    parked_on: str | None = None
    """The engine's promise that the workflow waits on while this is unknown or pending."""
    undone_by: str | None = None
    """Key of the undo effect that reversed this one."""
    pending_since_ms: int | None = None
    """Since when the provider has had it and has not decided; it stays when it has."""
    until_at_ms: int | None = None
    """Until when the provider's own offer stands, as it says."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """The next state of a receipt, as a whole; the record applies it if the revision is still the one seen.

    Durations are relative, so that the record's clock alone makes times of them.
    """

    state: State
    calls: int
    doubts: int
    replayed: bool
    reissue: int
    claim: str | None = None
    """``None`` clears the claim and its time; the claim as it was keeps both."""
    claim_for_ms: int | None = None
    restart_key_age: bool = False
    """From here on it is a new key."""
    begins_call: bool = False
    wait_ms: int | None = None
    """``None``: what is pending keeps its next time; else there is none."""
    until_at_ms: int | None = None
    result: str | None = None
    reply: str | None = None
    error: str | None = None
    parked_on: str | None = None
    undone_by: str | None = None


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """A look at one key: the receipt if there is one, and the record's time at that moment."""

    receipt: Receipt | None
    now_ms: int


class Intended(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to an intent: what the record holds now, and whether it was this intent that put it there."""

    receipt: Receipt | None
    """``None`` only if the write that it depends on has no receipt."""
    inserted: bool
    now_ms: int


class Undoing(NamedTuple):
    """An undo that was begun, by its key and attempt, and those of what it takes back."""

    key: str
    attempt: int
    undoes: str
    undoes_attempt: int


class Wake(msgspec.Struct, frozen=True, kw_only=True):
    """A parked effect that was resolved in the record and whose workflow still waits in the engine."""

    key: str
    attempt: int
    parked_on: str
