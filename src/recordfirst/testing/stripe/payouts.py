"""Payouts: money on its way to the account's own bank. The bank may return it, even after it has arrived.

https://docs.stripe.com/api/payouts/object says: "Some payouts that fail might initially show as paid, then change to
failed".
"""

from __future__ import annotations

from functools import partial
from typing import Any, Protocol

from recordfirst.testing.stripe.log import Agenda, Delays, StripeObject
from recordfirst.testing.stripe.objects import Payout, StripeTimeline
from recordfirst.testing.stripe.wire import invalid


class _Books(Protocol):
    """What payouts need of the books."""

    agenda: Agenda
    delays: Delays
    livemode: bool

    def tell(self, type: str, made: StripeObject, now_ms: int) -> None: ...
    def new_id(self, prefix: str) -> str: ...


class Payouts:
    """The payouts of one account."""

    def __init__(self, books: _Books) -> None:
        self.all = StripeTimeline[Payout]()
        self._books = books

    def create(self, draft: dict[str, Any], now_ms: int) -> Payout:
        """Send money to the bank."""
        days_s = round(self._books.delays.payout_s)
        payout = Payout(
            id=self._books.new_id("po"),
            arrival_date=now_ms // 1000 + days_s,
            created=now_ms // 1000,
            livemode=self._books.livemode,
            **draft,
        )
        self.all.add(payout)
        self._books.tell("payout.created", payout, now_ms)
        self._books.agenda.after(now_ms, self._books.delays.payout_s, partial(self._arrives, payout))
        return payout

    def cancel(self, id: str, now_ms: int) -> Payout:
        """Cancel a payout that is still pending."""
        payout = self.all.find(id, "payout")
        if payout.status != "pending":
            raise invalid("Payouts can only be canceled while they are pending.", code="payouts_not_allowed")
        payout.status = "canceled"
        self._books.tell("payout.canceled", payout, now_ms)
        return payout

    def arrive(self, id: str, now_ms: int) -> Payout:
        """Let a payout that is on its way arrive."""
        payout = self.all.find(id, "payout")
        if payout.status not in ("pending", "in_transit"):
            raise invalid(f"This payout is not on its way: it has a status of {payout.status}.")
        payout.status = "paid"
        self._books.tell("payout.paid", payout, now_ms)
        return payout

    def fail(self, id: str, now_ms: int, code: str = "account_closed") -> Payout:
        """Let the bank return a payout, also if it has arrived."""
        payout = self.all.find(id, "payout")
        if payout.status not in ("pending", "in_transit", "paid"):
            raise invalid(f"This payout is over: it has a status of {payout.status}.")
        payout.status, payout.failure_code, payout.failure_message = "failed", code, f"The bank says: {code}"
        self._books.tell("payout.failed", payout, now_ms)
        return payout

    def _arrives(self, payout: Payout, now_ms: int) -> None:
        if payout.status in ("pending", "in_transit"):
            self.arrive(payout.id, now_ms)
