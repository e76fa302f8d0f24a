"""What recordfirst must know of the system that an effect calls: the provider's guarantees.

Guarantees are declared, never guessed: a promise made about an effect (P3) rests on what is said here.
"""

from __future__ import annotations

import datetime
import math
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from recordfirst.core.event import EventNames
from recordfirst.core.reversal import TakenBack
from recordfirst.core.text import class_name, safe_text, storable_text
from recordfirst.errors import Declined, Misuse, NotDone, Undeclared, Unknown

ARRIVES_WITHIN_S = 960.0
"""How late a request is believed to arrive at the latest, where a provider says nothing of it."""

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
    reverses_id: str | None = None
    """The provider's id of that."""
    refunded_minor: int | None = None
    """How much of it was given back, by whomever; ``None``: it is not said."""
    disputed: bool | None = None
    """Whether its customer has ever disputed it; ``None``: it is not said."""


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
    margin_s: int | None = None
    """Taken off the retention, in seconds, for clocks that differ and requests that linger. Default: an hour, or half
    of a retention that is shorter than two."""
    lag_s: float = 0.0
    """How long, in seconds, a probe may still not see what a call did."""
    arrives_within_s: float = ARRIVES_WITHIN_S
    """How late, in seconds, a request that was given up can still take effect: what the network, a proxy or a queue of
    the provider's can hold it back. A probe's *absent* is not believed earlier, unless every call was answered. For how
    long a key is kept says nothing of it. Default: 16 minutes, since Linux sends what was not acknowledged again for at
    least 924.6 s (``tcp_retries2``, https://docs.kernel.org/networking/ip-sysctl.html)."""
    key_limit: int = 255
    """The longest key it takes, in characters; the tail of a longer one becomes a hash."""
    looks_s: tuple[float, ...] = (5 * 60, 3600, 24 * 3600)
    """So many seconds after an effect became pending its probe asks about it; the last one, again and again."""
    looks_per_s: float = 5.0
    """Most such probes in a second."""
    listing: Listing | None = None
    """How to stream what it has, so that a reconcile can compare it with receipts; ``None``: it cannot list."""

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            Misuse: if a time is none, or the margin leaves nothing of the retention.
        """
        times = {"lag_s": self.lag_s, "arrives_within_s": self.arrives_within_s, "margin_s": self.margin_s or 0}
        for name, seconds in times.items():
            if not _is_number(seconds) or seconds < 0:
                raise Misuse(f"provider {self.name!r}: {name}= takes a number of seconds, 0 or more, not {seconds!r}")
        if not self.looks_s or not all(_is_number(each) and each > 0 for each in (*self.looks_s, self.looks_per_s)):
            raise Misuse(
                f"provider {self.name!r}: looks_s= takes numbers of seconds above 0, such as (300, 3600, 86400), and "
                "looks_per_s= a number above 0"
            )
        if self.retention_s is None:
            return
        if not _is_number(self.retention_s) or self.retention_s <= 0:
            raise Misuse(
                f"provider {self.name!r}: retention_s= takes a number of seconds above 0 (None: it takes no keys), not "
                f"{self.retention_s!r}"
            )
        if self.key_honoured_ms == 0:
            raise Misuse(
                f"provider {self.name!r}: margin_s={self.margin_s!r} leaves nothing of retention_s="
                f"{self.retention_s!r}, so no key would ever be trusted; give a margin that is shorter, or "
                "retention_s=None"
            )

    @property
    def key_honoured_ms(self) -> int | None:
        """For how long a key may be sent again, in milliseconds: the retention less the margin."""
        if self.retention_s is None:
            return None
        margin_s = min(_MARGIN_S, self.retention_s / 2) if self.margin_s is None else self.margin_s
        return max(0, int((self.retention_s - margin_s) * 1000))

    def references(self, result: Any) -> Mapping[str, str]:  # noqa: ARG002 - for those who override it
        """What the provider calls that which a call has made, by kind, from the call's result. None are known here."""
        return {}

    def classify(self, error: Exception) -> Verdict:
        """Say what an exception from a call means (P5). Anything not known to be harmless is unknown.

        ``Declined``, ``NotDone`` and ``Unknown`` raised by the effect's own code never get here. What an override does
        not know it leaves to this one. If it raises, the outcome is unknown.
        """
        if isinstance(error, ConnectionRefusedError):
            return NotDone(describe(error))
        return Unknown(describe(error)) if _is_connections(error) else Undeclared(describe(error))

    async def names_under(self, get: Callable[[Any], Awaitable[Any]], reference: str) -> EventNames:
        """Say what is known of an object, by the provider's name for it: an event may tell no more than that name.

        What a call of ours left there, and the names of what the object is about: the payment of a dispute, say.
        ``get`` gives what the app provides: ``await get(StripeClient)``. Default: nothing can be said.
        """
        del get, reference
        return EventNames()

    def event_type(self, type: str) -> str:
        """Return the type of an event as it is stored, of one that a handler names. Default: the same.

        Raises:
            ValueError: if no event of the provider could be of this type; says why.
        """
        return type

    async def taken_back(
        self,
        get: Callable[[Any], Awaitable[Any]],
        references: Mapping[str, str],
    ) -> list[TakenBack] | None:
        """Say all that takes back, or took, what has succeeded: refunds, disputes, its own failure; ours, too.

        ``references``: what the provider calls it, by kind. ``get`` as above. Default: ``None``, it cannot be said.
        """
        del get, references
        return None

    def may_reverse(self, type: str) -> bool:
        """Whether an event of this type may be about what takes back. Default: every one may."""
        del type
        return True


def _is_number(seconds: object) -> bool:
    return isinstance(seconds, int | float) and math.isfinite(seconds)


_MARGIN_S = 3600
_NO_CLIENTS = (frozenset(sys.stdlib_module_names) | {"recordfirst"}) - {
    *("ftplib", "http", "imaplib", "nntplib", "poplib", "smtplib", "sqlite3", "telnetlib", "urllib", "xmlrpc")
}
"""Python's own modules, less its clients, and ours."""


def _is_connections(error: Exception) -> bool:
    """Whether an exception speaks of the way to the provider, as time-outs and resets do, and not of the code.

    What an SDK or an HTTP client raises by a class of its own is taken for that: it is their word about the call.
    Either way the call is in doubt; the difference is whether it counts as a defect, of which there may be few.
    """
    return isinstance(error, OSError | EOFError) or type(error).__module__.partition(".")[0] not in _NO_CLIENTS


def describe(error: BaseException) -> str:
    """Return one line for an operator: the exception's type and message. Never raises, whatever the exception does."""
    name, text = _class(error), safe_text(error).strip().split("\n", 1)[0][:_LONGEST]
    return f"{name}: {text}" if text else name


def _class(error: BaseException) -> str:
    try:
        return storable_text(str(type(error).__name__)[:200])
    except Exception:  # noqa: BLE001 - a metaclass of the user's
        return class_name(error)


_LONGEST = 2_000


class Found[R](msgspec.Struct, frozen=True):
    """A probe's answer: the call had its effect, and this is its result."""

    result: R


class Absent(msgspec.Struct, frozen=True):
    """A probe's answer: the call certainly had no effect."""


class CannotTell(msgspec.Struct, frozen=True):
    """A probe's answer: neither can be shown; an operator must look (the effect parks)."""

    why: str


class Pending(msgspec.Struct, frozen=True):
    """The provider has it, and will say what comes of it: what an effect returns, or its probe, for what is not final.

    A payment that its customer has yet to confirm, a bank debit, a transfer. The effect is pending until the provider
    says more (:meth:`Effect.on_pending <recordfirst.steps.effect.Effect.on_pending>`), and is never called again.
    """

    reference: str | dict[str, str]
    """What the provider calls it, so that what it says later is told to belong here: an id, or several, by kind."""
    until: datetime.datetime | None = None
    """Until when the provider's own offer stands, if it says so: a time with its zone."""
    show: Any = None
    """What a browser or an operator needs to act, as JSON: a client secret, the address to send a browser to."""

    def __post_init__(self) -> None:
        """Refuse what cannot be told from something else.

        Raises:
            Misuse: if there is no reference, or the time has no zone.
        """
        if not self.references or not all(self.references.values()):
            raise Misuse(f"Pending({self.reference!r}): give the id that the provider has for it")
        if self.until is not None and self.until.tzinfo is None:
            raise Misuse(f"Pending({self.reference!r}, until={self.until!r}): give a time with its zone")

    @property
    def references(self) -> dict[str, str]:
        """The ids, by kind."""
        return self.reference if isinstance(self.reference, dict) else {"id": self.reference}

    @property
    def until_ms(self) -> int | None:
        """Milliseconds since 1970."""
        return None if self.until is None else int(self.until.timestamp() * 1000)


type Probed = Found[Any] | Absent | CannotTell | Pending
