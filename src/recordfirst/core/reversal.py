"""Reversals: what comes of an effect after it has succeeded. Pure.

A provider is asked what there is now, and what there is implies facts: a dispute that was won was opened before. So the
facts are the same, in the same order, whenever it is asked, however many events were lost, and in whatever order they
came. They only grow: what was stored stays, and so does the effect's receipt.

What calls of the app's own have taken back (an undo, a refund) has a receipt, and is no reversal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec

from recordfirst.core.finding import NewFinding

type ReversalKind = Literal[
    "refunded", "refund_failed", "disputed", "dispute_won", "dispute_lost", "returned", "return_ended", "failed"
]
type TakenBackAs = Literal["refund", "dispute", "return", "failure"]
type TakenBackState = Literal["stands", "ended", "lost"]

FACTS: dict[tuple[TakenBackAs, TakenBackState], tuple[ReversalKind, ...]] = {
    ("refund", "stands"): ("refunded",),
    ("refund", "ended"): ("refunded", "refund_failed"),
    ("dispute", "stands"): ("disputed",),
    ("dispute", "ended"): ("disputed", "dispute_won"),
    ("dispute", "lost"): ("disputed", "dispute_lost"),
    ("return", "stands"): ("returned",),
    ("return", "ended"): ("returned", "return_ended"),
    ("return", "lost"): ("returned",),
    ("failure", "stands"): ("failed",),
}
"""What is so, by what a provider has; in order."""

WAIT_MS = (1_000, 2_000, 5_000, 10_000, 30_000, 60_000)
"""Between two tries of a handler that fails; the last one stays."""
TRIES_MOST = 8
"""How often a handler may fail; then it is stopped."""
LATE_MS = 5 * 60_000
"""A fact that has no handler's rows so long after it was stored is a finding. The tries of one handler take less."""

UNHANDLED = "RF-REVERSAL-UNHANDLED"
"""The finding."""
DISMISSED = "dismissed by "
"""How the name begins of an operator who has dealt with one, in ``handled_by``."""

FIRST: tuple[ReversalKind, ...] = ("refunded", "disputed", "returned")
"""The fact that something takes back. A receipt's reference of this kind is the provider's id of that."""
_GIVES_BACK: tuple[ReversalKind, ...] = ("refund_failed", "dispute_won", "return_ended")


class TakenBack(msgspec.Struct, frozen=True, kw_only=True):
    """Something at a provider that takes back, all or in part, what an effect has done."""

    how: TakenBackAs
    """``failure``: the thing itself has failed, after it had succeeded: a refund that came back."""
    id: str
    """The provider's: of the refund, of the dispute."""
    state: TakenBackState = "stands"
    """``ended``: it no longer takes anything back: a refund that failed, a dispute that was won."""
    amount_minor: int
    currency: str
    at_ms: int
    """When it was made, by the provider's clock."""
    marker: str | None = None
    """What a call of ours left there; ``None``: none did."""

    def __post_init__(self) -> None:
        """Refuse what stands for nothing.

        Raises:
            ValueError: if ``how`` is never in that ``state``.
        """
        if (self.how, self.state) not in FACTS:
            raise ValueError(f"a {self.how} is not {self.state}")


class Reversal(msgspec.Struct, frozen=True, kw_only=True):
    """A fact about an effect that had succeeded: what an ``on_reversal`` is told."""

    kind: ReversalKind
    """``refunded``: somebody has given it back, all or a part, and no call of this app; ``refund_failed``: and that
    came back. ``disputed``: its customer's bank has taken it; ``dispute_won``, ``dispute_lost``: what became of that.
    ``returned``: a bank debit was taken back; ``return_ended``: and given again. ``failed``: it has itself failed, as a
    refund does that a bank cannot pay out."""
    id: str
    """The provider's, of the refund or dispute."""
    amount_minor: int
    """Of that refund or dispute: above 0, in minor units."""
    currency: str
    at_ms: int
    """When that was made, by the provider's clock: milliseconds since 1970."""

    @property
    def taken_minor(self) -> int:
        """What of the effect it takes back, in minor units: below 0 if it gives back, 0 if it moves nothing. The sum of
        all of an effect is what is taken back of it now.
        """
        if self.kind == "dispute_lost":
            return 0
        return -self.amount_minor if self.kind in _GIVES_BACK else self.amount_minor

    @property
    def told(self) -> str:
        """In words, for an operator."""
        return f"{self.kind} {self.id} of {self.amount_minor} {self.currency} (minor units)"


class StoredReversal(Reversal, frozen=True, kw_only=True):
    """One as the record keeps it. Times are the record's."""

    hash: str
    key: str
    attempt: int
    """Of the receipt that it is about."""
    number: int
    """Counts those of one receipt."""
    found_by: str
    """The event that was the reason to look, or ``reconcile``."""
    seen_at_ms: int
    handled_by: str | None
    """Whose transaction has dealt with it: the ``on_reversal``, or ``dismissed by`` whom. ``None``: nobody's."""
    tries: int
    """How often that has failed."""
    error: str | None
    next_at_ms: int | None
    """When it is tried next; ``None``: not by itself."""
    behind: int | None = None
    """The number of the one of its receipt that must be handled, or stopped, before it is tried. ``None``: it waits for
    none."""

    @property
    def subject(self) -> str:
        """What a finding about it is about."""
        named = self.key if self.attempt == 1 else f"{self.key}#{self.attempt}"
        return f"{named}/{self.kind}/{self.id}"

    def is_late(self, now_ms: int) -> bool:
        """Whether nobody has dealt with it although it is time, or nothing tries it by itself."""
        return self.handled_by is None and (self.next_at_ms is None or now_ms - self.seen_at_ms > LATE_MS)

    def why_unhandled(self, reason: str | None) -> str:
        """Why no handler has dealt with it, in words. ``reason``: its error, readable."""
        if reason is not None:
            times = f" {self.tries} times" if self.tries else ""
            why = f"on_reversal failed{times}: {reason}"
        elif self.next_at_ms is None:
            why = "the app had no on_reversal for it"
        else:
            why = "its on_reversal has not run yet"
        return why if self.next_at_ms is None else f"{why}; a worker tries it"

    def finding(self, workflow: str | None, reason: str | None) -> NewFinding:
        """What an operator is told of one that nobody has dealt with."""
        detail = f"{self.told}, found by {self.found_by}: {self.why_unhandled(reason)}"
        return NewFinding(code=UNHANDLED, subject=self.subject, workflow=workflow, detail=detail)


class Comparison(NamedTuple):
    """What a provider has, against what is stored."""

    new: list[Reversal]
    """What is not stored, in order."""
    differs: list[str]
    """What is stored and is not so at the provider."""


def is_ours(taken: TakenBack, prefix: str, *, made_by_a_call: bool) -> bool:
    """Whether a call of the app's has made it: its marker begins as all of the app's do, or a receipt has its id.

    A call makes refunds alone: a dispute that it answers, and the failure of what it has made, are not its doing.
    """
    return taken.how == "refund" and (made_by_a_call or (taken.marker or "").startswith(prefix))


def compare(stored: Sequence[Reversal], found: Sequence[TakenBack]) -> Comparison:
    """Say what is new, and what is not as it is stored. ``found``: without what is ours.

    That something takes back is told once, whatever the provider calls it by now: its amount must not count twice.
    """
    known = {(each.id, each.kind) for each in stored}
    begun = {each.id for each in stored if each.kind in FIRST}
    result, seen = Comparison([], []), {each.id: each for each in found}
    for taken in sorted(found, key=lambda each: (each.at_ms, each.id)):
        for kind in FACTS[taken.how, taken.state]:
            if (taken.id, kind) not in known and not (kind in FIRST and taken.id in begun):
                result.new.append(
                    Reversal(
                        kind=kind,
                        id=taken.id,
                        amount_minor=taken.amount_minor,
                        currency=taken.currency,
                        at_ms=taken.at_ms,
                    )
                )
    for each in stored:
        now = seen.get(each.id)
        if now is None:
            result.differs.append(f"{each.told} is stored, and the provider has nothing of it")
        elif (now.amount_minor, now.currency) != (each.amount_minor, each.currency):
            result.differs.append(f"{each.told} is stored, and the provider has {now.amount_minor} {now.currency}")
        elif each.kind not in FACTS[now.how, now.state]:
            result.differs.append(f"{each.told} is stored, and the provider says {now.how} {now.state}")
    return result


def next_try_ms(failed: int) -> int | None:
    """When a handler that has failed so often is tried again; ``None``: it is stopped."""
    return None if failed >= TRIES_MOST else WAIT_MS[min(failed, len(WAIT_MS)) - 1]


def reversal_hash(provider: str, reversal: Reversal) -> str:
    """Return what makes a fact the one that it is: it is stored once, whichever receipts it is about."""
    return hashlib.sha256(f"{provider}\0{reversal.id}\0{reversal.kind}".encode()).hexdigest()
