"""Pending effects: the provider has accepted them, under a reference, and decides later. Pure functions, as in
``core/decide.py``, which says what the next execution does about them.

Only these change a pending effect: a look (by schedule, for an event, or for an operator), the answer of the effect
that expires it, and an operator. It is never called again, and the passing of time does not give it an outcome.
"""

from __future__ import annotations

from collections.abc import Callable

from recordfirst.core import codec
from recordfirst.core import decide as d
from recordfirst.core.receipt import Change, Receipt

EXPIRED_AGAIN_MS = 60_000
"""How long after a look at what has expired the next one is due, until it ends."""


def next_look_ms(since_ms: int, until_at_ms: int | None, now_ms: int, guarantee: d.Guarantee) -> int:
    """When a pending effect is looked at next: by the schedule, when the provider's offer ends, or when it expires.

    By its age alone, so that looks which were missed are not made up for.
    """
    *first, again_ms = guarantee.looks_ms
    age_ms = now_ms - since_ms
    by_schedule = next((each for each in first if age_ms < each), (max(age_ms, 0) // again_ms + 1) * again_ms)
    times = [since_ms + by_schedule]
    if until_at_ms is not None and until_at_ms > now_ms:
        times.append(until_at_ms)
    if guarantee.expires_ms is not None:
        # Expired, and not ended: who was to wake its workflow may have died before that.
        times.append(since_ms + guarantee.expires_ms if age_ms < guarantee.expires_ms else now_ms + EXPIRED_AGAIN_MS)
    return min(times)


def became_pending(
    receipt: Receipt, reply: str, until_at_ms: int | None, now_ms: int, guarantee: d.Guarantee, *, claim: str | None
) -> Change:
    """The provider has it, and will say what comes of it. ``reply`` is what it has said so far.

    ``claim``: of the call that reports it; ``None``: a probe does, or its stored reply. Doubts about other calls stay:
    only what is final, or a probe in time, says anything of those. The key does no more than repeat this answer.
    """
    since_ms = receipt.pending_since_ms if receipt.state == "pending" else None
    at_ms = next_look_ms(since_ms or now_ms, until_at_ms, now_ms, guarantee)
    by_a_call = receipt.state != "pending" and (claim is not None or receipt.reply is not None)
    doubts = d.others_in_doubt(receipt, guarantee, claim) if by_a_call else receipt.doubts
    return d.carried(
        receipt,
        state="pending",
        doubts=doubts,
        replayed=True,
        reply=reply,
        until_at_ms=until_at_ms,
        wait_ms=at_ms - now_ms,
        claim=receipt.claim if not by_a_call else d.ENDED if doubts else None,
    )


def known_under(receipt: Receipt, unseal: Callable[[str], str]) -> dict[str, str]:
    """What the provider calls what is pending, by kind; nothing while another call may have had the effect, too."""
    if receipt.state != "pending" or receipt.doubts > 0 or receipt.reply is None:
        return {}
    said = codec.decode(codec.decode(unseal(receipt.reply))["text"])["reference"]
    return said if isinstance(said, dict) else {"id": said}


def looked(receipt: Receipt, now_ms: int, guarantee: d.Guarantee, error: str | None) -> Change:
    """A look at what is pending has brought no outcome; ``error`` says why, if the provider did not answer."""
    at_ms = next_look_ms(receipt.pending_since_ms or now_ms, receipt.until_at_ms, now_ms, guarantee)
    return d.carried(receipt, error=error, wait_ms=at_ms - now_ms, claim=receipt.claim)


def looking(receipt: Receipt, wait_ms: int) -> Change:
    """Look at what is pending in so long: nobody else looks meanwhile, and if we die, somebody does then."""
    return d.carried(receipt, error=receipt.error, wait_ms=wait_ms, claim=receipt.claim)


def refused(receipt: Receipt, error: str) -> Change:
    """The provider has refused, or given up, what was pending.

    While an earlier call is in doubt it is not declined: that one may have had its effect, and is asked about.
    """
    if receipt.doubts == 0:
        return d.declined(receipt, error)
    return d.carried(receipt, state="intended", error=error, reply=None, until_at_ms=None, wait_ms=0, claim=d.ENDED)
