"""What recordfirst must know of whom an effect calls: the provider's guarantees.

Guarantees are declared, never guessed: a promise made about an effect (P3) rests on what is said here.
"""

from __future__ import annotations

from typing import Any

import msgspec

from recordfirst.errors import Declined, NotDone, Unknown

type Verdict = Declined | NotDone | Unknown


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
