"""Changes that happen by themselves when they are due, and the events of all changes. Pure: the time is an argument.

Between two requests a bank answers, an authorisation expires, a refund fails. :meth:`Agenda.run_until` applies each
change that is due, with its own time, so the time of the next request makes no difference.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable

import msgspec

from recordfirst.testing.stripe.objects import (
    Charge,
    Dispute,
    PaymentIntent,
    Payout,
    Refund,
    StripeEvent,
    StripeTimeline,
)

_DAY_S = 24 * 3600.0

type StripeObject = PaymentIntent | Charge | Refund | Dispute | Payout


class Delays(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many seconds after its cause each change happens by itself."""

    bank_s: float = 4 * _DAY_S
    """A bank's answer to a debit: "typically takes 4 business days"
    (https://docs.stripe.com/payments/ach-direct-debit/accept-a-payment)."""
    hold_s: float = 7 * _DAY_S
    """The end of an authorisation that is not captured: "usually, up to 7 days"
    (https://docs.stripe.com/payments/place-a-hold-on-a-payment-method)."""
    refund_s: float = 5 * _DAY_S
    """The end of a refund that is pending, or that fails."""
    dispute_s: float = 60.0
    """The dispute of a charge whose test card is disputed."""
    verdict_s: float = 60.0
    """The end of a dispute after evidence was sent."""
    payout_s: float = 2 * _DAY_S
    """The arrival of a payout."""


class Agenda:
    """The changes that are to come."""

    def __init__(self) -> None:
        self._due: list[tuple[int, int, Callable[[int], None]]] = []
        self._count = 0

    def after(self, now_ms: int, delay_s: float, act: Callable[[int], None]) -> None:
        """Call ``act`` after ``delay_s``, with the time at which it is due."""
        self._count += 1
        heapq.heappush(self._due, (now_ms + round(delay_s * 1000), self._count, act))

    def run_until(self, now_ms: int) -> None:
        """Apply all changes that are due."""
        while self._due and self._due[0][0] <= now_ms:
            at_ms, _, act = heapq.heappop(self._due)
            act(at_ms)


class EventLog:
    """The events in the order in which they happened, and the listeners that get each of them."""

    def __init__(self) -> None:
        self.all = StripeTimeline[StripeEvent]()
        self.listeners: list[Callable[[StripeEvent], None]] = []
        self.cause: tuple[str | None, str | None] = (None, None)
        """Id and idempotency key of the request that is being executed; none if a change happens by itself."""
        self.accounts: dict[str, str] = {}
        """The connected account that an object belongs to, by the object's id."""
        self._count = 0

    def tell(self, type: str, made: StripeObject, now_ms: int, *, livemode: bool) -> None:
        """Add an event for this object, as it is now."""
        self._count += 1
        request_id, key = self.cause
        owner = self.accounts.get(getattr(made, "payment_intent", made.id))
        event = StripeEvent(
            id=f"evt_sim{self._count:021d}",
            created=now_ms // 1000,
            data=msgspec.Raw(b'{"object":' + msgspec.json.encode(made) + b"}"),
            livemode=livemode,
            pending_webhooks=len(self.listeners),
            request={"id": request_id, "idempotency_key": key},
            type=type,
            account=owner or msgspec.UNSET,
        )
        self.all.add(event)
        for listener in self.listeners:
            listener(event)
