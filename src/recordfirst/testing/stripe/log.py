"""What happens by itself, when it is due, and the events that tell of whatever happened. Pure: the time is given.

Between two requests a bank answers, an authorisation runs out, a refund fails: :meth:`Agenda.run_until` lets come what
is due, each at its own time, so that it makes no difference when one looks.
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
    """How long after its cause comes what comes by itself, in seconds."""

    bank_s: float = 4 * _DAY_S
    """A bank's answer to a debit: "typically takes 4 business days"
    (https://docs.stripe.com/payments/ach-direct-debit/accept-a-payment)."""
    hold_s: float = 7 * _DAY_S
    """The end of an authorisation that is not captured: "usually, up to 7 days"
    (https://docs.stripe.com/payments/place-a-hold-on-a-payment-method)."""
    refund_s: float = 5 * _DAY_S
    """The end of a refund that is pending, or that fails."""
    dispute_s: float = 60.0
    """A dispute of a charge that gets one."""
    verdict_s: float = 60.0
    """The end of a dispute, once there is evidence."""
    payout_s: float = 2 * _DAY_S
    """The arrival of a payout."""


class Agenda:
    """What is to come."""

    def __init__(self) -> None:
        self._due: list[tuple[int, int, Callable[[int], None]]] = []
        self._count = 0

    def after(self, now_ms: int, delay_s: float, act: Callable[[int], None]) -> None:
        """Let ``act`` come so much later; it is given its time."""
        self._count += 1
        heapq.heappush(self._due, (now_ms + round(delay_s * 1000), self._count, act))

    def run_until(self, now_ms: int) -> None:
        """Let come all that is due."""
        while self._due and self._due[0][0] <= now_ms:
            at_ms, _, act = heapq.heappop(self._due)
            act(at_ms)


class EventLog:
    """Events, in the order in which they happened, and who is told of each."""

    def __init__(self) -> None:
        self.all = StripeTimeline[StripeEvent]()
        self.listeners: list[Callable[[StripeEvent], None]] = []
        self.cause: tuple[str | None, str | None] = (None, None)
        """Id and idempotency key of the request that is being executed; none of what happens by itself."""
        self.accounts: dict[str, str] = {}
        """The connected account that an object belongs to, by the object's id."""
        self._count = 0

    def tell(self, type: str, made: StripeObject, now_ms: int, *, livemode: bool) -> None:
        """Say that something has happened to this object, which is as it is now."""
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
