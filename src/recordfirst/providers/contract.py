"""What recordfirst must know of whom an effect calls: the provider's guarantees.

Guarantees are declared, never guessed: a promise made about an effect (P3) rests on what is said here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from recordfirst.errors import Declined, NotDone, Unknown

type Verdict = Declined | NotDone | Unknown


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a provider has, as a reconcile compares it with receipts."""

    id: str
    marker: str | None
    """What the call left there (``call.marker``); ``None``: no call of ours made it."""
    at_ms: int
    """When it was made, by the provider's clock: milliseconds since 1970."""
    stands: bool
    """It happened, or may yet: it was not declined, canceled, and has not failed."""
    amount_minor: int | None = None
    currency: str | None = None
    reverses: str | None = None
    """The marker of what it takes back, all or in part: of the payment, if it is a refund."""


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """How to stream what a provider has. Given to a :class:`Provider`, it says that the provider can list."""

    name: str
    client: Any
    """What the app provides, and ``page`` is called with."""
    page: Callable[[Any, int, int, str | None], Awaitable[tuple[list[Item], str | None]]]
    """``page(client, since_ms, before_ms, after)``: items made in that time, in any order that stays the same, and what
    ``after`` is for the next page; ``None`` at the end."""
    pages_per_s: float = 5.0
    """Most pages in a second: the provider has other things to do."""


class Provider(msgspec.Struct, frozen=True, kw_only=True):
    """A provider: for how long it honours a key, how soon a probe sees a call, how its errors read.

    Use an instance for an API of your own (``Provider(name="warehouse", retention_s=24 * 3600)``), or a
    subclass that overrides :meth:`classify`.
    """

    name: str
    retention_s: int | None = None
    """How long, in seconds, the provider promises to honour an idempotency key; ``None``: it takes no keys."""
    margin_s: int = 3600
    """Taken off the retention, for clocks that differ and requests that linger."""
    lag_s: float = 0.0
    """How long after a call a probe may still not see what the call did."""
    key_limit: int = 255
    """The longest key it takes, in characters; the tail of a longer one becomes a hash."""
    listing: Listing | None = None
    """How to stream what it has, so that a reconcile can compare it with receipts; ``None``: it cannot list."""

    def classify(self, error: Exception) -> Verdict:
        """Say what an exception from a call means (P5). Anything not known to be harmless is unknown.

        ``Declined``, ``NotDone`` and ``Unknown`` raised by the effect's own code never get here. Must not raise.
        """
        if isinstance(error, ConnectionRefusedError):
            return NotDone(describe(error))
        return Unknown(describe(error))


def describe(error: BaseException) -> str:
    """One line for a person: the exception's type and message."""
    text = str(error).strip().split("\n", 1)[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


class Found[R](msgspec.Struct, frozen=True):
    """A probe's answer: the call had its effect, and this is its result."""

    result: R


class Absent(msgspec.Struct, frozen=True):
    """A probe's answer: the call certainly had no effect."""


class CannotTell(msgspec.Struct, frozen=True):
    """A probe's answer: neither can be shown; a person must look (the effect parks)."""

    why: str


type Probed = Found[Any] | Absent | CannotTell
