"""Decides which events arrive, how often, how late and in which order, by seed, rates and the event's id. Pure.

Stripe promises neither an order nor that an event arrives only once, and says that it may be sent for up to three days
(https://docs.stripe.com/webhooks#event-ordering and #automatic-retries).
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime
from typing import Any

import msgspec

from recordfirst.testing.stripe.objects import StripeEvent


class Sending(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rates, each between 0 and 1. By default each event is sent once, at once.

    Raises:
        ValueError: if a rate is not between 0 and 1, or a time is negative.
    """

    seed: int = 0
    lost: float = 0.0
    """The event is never sent: it can only be listed."""
    twice: float = 0.0
    """The event is sent again; half of these events are sent a third time, too."""
    held: float = 0.0
    """The event is held back for ``held_s``, so that later ones arrive before it."""
    held_s: float = 0.2
    delay_s: float = 0.0
    """Each sending is delayed by a random time up to this one."""
    thin: bool = False
    """Events are sent as thin events, which hold no object
    (https://docs.stripe.com/event-destinations#thin-payload)."""
    again_s: tuple[float, ...] = (0.1, 0.5, 2.0, 10.0, 60.0)
    """The pauses before each retry, if the endpoint does not answer 2xx. After the last retry the sender gives up."""

    def __post_init__(self) -> None:
        if not all(0 <= rate <= 1 for rate in (self.lost, self.twice, self.held)):
            raise ValueError("the rates lost, twice and held must be between 0 and 1")
        if min(self.held_s, self.delay_s, *self.again_s, 0) < 0:
            raise ValueError("held_s, delay_s and again_s must not be negative")

    def delays_of(self, event_id: str) -> list[float]:
        """Return the delay of each sending of an event, in seconds; none, if the event is lost."""
        if self._draw(event_id, "lost") < self.lost:
            return []
        again = self._draw(event_id, "twice")
        times = 1 + (again < self.twice) + (again < self.twice / 2)
        held_s = self.held_s if self._draw(event_id, "held") < self.held else 0.0
        return [held_s + self.delay_s * self._draw(event_id, f"delay {nth}") for nth in range(times)]

    def _draw(self, event_id: str, what: str) -> float:
        digest = hashlib.blake2b(f"{self.seed}\0{event_id}\0{what}".encode(), digest_size=8).digest()
        return int.from_bytes(digest) / 2**64


def thin(event: StripeEvent) -> dict[str, Any]:
    """Return the thin event of a snapshot event: an event of its own, which names the object and the snapshot."""
    made = msgspec.json.decode(event.data)["object"]
    request = {"type": "request", "request": event.request} if event.request.get("id") else None
    return {
        "id": f"{event.id}_thin",
        "object": "v2.core.event",
        "type": f"v1.{event.type}",
        "livemode": event.livemode,
        "created": datetime.fromtimestamp(event.created, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "context": None if event.account is msgspec.UNSET else event.account,
        "reason": request,
        "snapshot_event": event.id,
        "related_object": {"id": made["id"], "type": made["object"], "url": f"/v1/{made['object']}s/{made['id']}"},
    }


def signature(body: bytes, secret: str, at_s: int) -> str:
    """Return the ``Stripe-Signature`` header: https://docs.stripe.com/webhooks#verify-manually, scheme v1."""
    signed = hmac.digest(secret.encode(), f"{at_s}.".encode() + body, "sha256").hex()
    return f"t={at_s},v1={signed}"
