"""Refunds: money on its way back to a customer. It may come back to the account.

If a bank cannot pay it out, the bank returns it, and the refund, which was pending or had succeeded, fails:
https://docs.stripe.com/refunds#failed-refunds.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Literal, Protocol

from recordfirst.testing.stripe.cards import PAYMENT_METHODS
from recordfirst.testing.stripe.disputes import Disputes
from recordfirst.testing.stripe.ledger import EntryKind
from recordfirst.testing.stripe.log import Agenda, Delays, StripeObject
from recordfirst.testing.stripe.objects import Charge, PaymentIntent, Refund, StripeTimeline
from recordfirst.testing.stripe.wire import invalid


class _Books(Protocol):
    """What refunds need of the books."""

    charges: dict[str, Charge]
    intents: dict[str, PaymentIntent]
    disputes: Disputes
    agenda: Agenda
    delays: Delays

    def find(self, id: str, param: str = ...) -> PaymentIntent: ...
    def charge_of(self, id: str) -> Charge: ...
    def tell(self, type: str, made: StripeObject, now_ms: int) -> None: ...
    def enter(
        self,
        kind: EntryKind,
        intent: PaymentIntent,
        key: str,
        now_ms: int,
        *,
        amount: int,
        id: str | None = None,
        metadata: dict[str, str] | None = None,
    ) -> None: ...
    def new_id(self, prefix: str) -> str: ...


class Refunds:
    """The refunds of one account."""

    def __init__(self, books: _Books) -> None:
        self.all = StripeTimeline[Refund]()
        self.of: dict[str, StripeTimeline[Refund]] = {}
        """The refunds of each payment intent."""
        self._books = books

    def create(self, draft: dict[str, Any], *, key: str, now_ms: int) -> Refund:
        """Refund all that is left, or a part."""
        intent = self._refundable(draft)
        charge = self._books.charges[intent.latest_charge or ""]
        self._books.disputes.refuse_refund(charge)
        left = charge.amount_captured - charge.amount_refunded
        if left == 0:
            raise invalid(f"Charge {charge.id} has already been refunded.", code="charge_already_refunded")
        amount = draft["amount"] or left
        if amount > left:
            raise invalid(
                f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})", param="amount"
            )
        behaviour = PAYMENT_METHODS[charge.payment_method or ""]
        refund = Refund(
            id=self._books.new_id("re"),
            amount=amount,
            charge=charge.id,
            created=now_ms // 1000,
            currency=intent.currency,
            metadata=draft["metadata"],
            payment_intent=intent.id,
            reason=draft["reason"],
        )
        self.all.add(refund)
        self.of.setdefault(intent.id, StripeTimeline()).add(refund)
        _give_back(charge, amount)
        self._books.enter("refund", intent, key, now_ms, amount=amount, id=refund.id, metadata=refund.metadata)
        if behaviour.refunds == "pending":
            refund.status, refund.pending_reason = "pending", "processing"
            self._books.agenda.after(now_ms, self._books.delays.refund_s, partial(self._refund_arrives, refund))
        elif behaviour.refunds == "fail later":
            self._books.agenda.after(now_ms, self._books.delays.refund_s, partial(self._refund_returns, refund))
        self._books.tell("refund.created", refund, now_ms)
        self._books.tell("charge.refunded", charge, now_ms)
        return refund

    def settle(self, id: str, now_ms: int) -> Refund:
        """Let a refund that is pending succeed."""
        refund = self.all.find(id, "refund")
        if refund.status != "pending":
            raise invalid(f"This refund is not pending: it has a status of {refund.status}.")
        refund.status, refund.pending_reason = "succeeded", None
        self._books.tell("refund.updated", refund, now_ms)
        return refund

    def fail(self, id: str, now_ms: int, reason: str = "expired_or_canceled_card") -> Refund:
        """Let a refund fail that is pending or has succeeded: the money comes back to the account."""
        return self._take_back(self.all.find(id, "refund"), "failed", reason, now_ms)

    def cancel(self, id: str, now_ms: int) -> Refund:
        """Cancel a refund that is still pending."""
        refund = self.all.find(id, "refund")
        if refund.status != "pending":
            raise invalid(f"You cannot cancel this refund because it has a status of {refund.status}.")
        return self._take_back(refund, "canceled", "merchant_request", now_ms)

    def _take_back(self, refund: Refund, status: Literal["failed", "canceled"], reason: str, now_ms: int) -> Refund:
        if refund.status not in ("pending", "succeeded"):
            raise invalid(f"This refund is over: it has a status of {refund.status}.")
        refund.status, refund.failure_reason, refund.pending_reason = status, reason, None
        _give_back(self._books.charges[refund.charge], -refund.amount)
        intent = self._books.intents[refund.payment_intent]
        self._books.enter(
            "refund_failed", intent, "", now_ms, amount=refund.amount, id=refund.id, metadata=refund.metadata
        )
        self._books.tell("refund.failed" if status == "failed" else "refund.updated", refund, now_ms)
        return refund

    def _refund_arrives(self, refund: Refund, now_ms: int) -> None:
        if refund.status == "pending":
            self.settle(refund.id, now_ms)

    def _refund_returns(self, refund: Refund, now_ms: int) -> None:
        if refund.status == "succeeded":
            self.fail(refund.id, now_ms)

    def _refundable(self, draft: dict[str, Any]) -> PaymentIntent:
        charge: str | None = draft["charge"]
        intent = self._books.find(
            draft["payment_intent"] if charge is None else self._books.charge_of(charge).payment_intent,
            "payment_intent",
        )
        if intent.status != "succeeded" or charge not in (None, intent.latest_charge):
            raise invalid(f"This PaymentIntent ({intent.id}) does not have a successful charge to refund.")
        return intent


def _give_back(charge: Charge, amount: int) -> None:
    charge.amount_refunded += amount
    charge.refunded = charge.amount_refunded == charge.amount_captured
