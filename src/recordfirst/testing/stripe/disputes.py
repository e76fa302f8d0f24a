"""Disputes: a customer's bank takes a payment back, and may return it.

They follow https://docs.stripe.com/disputes/how-disputes-work. The amount is withdrawn at once, except for an inquiry.
The account sends evidence or accepts the dispute; the bank decides. Evidence of ``winning_evidence`` wins, and
``losing_evidence`` loses, as in https://docs.stripe.com/testing#disputes.
"""

from __future__ import annotations

from functools import partial
from typing import Protocol

from recordfirst.testing.stripe.ledger import EntryKind
from recordfirst.testing.stripe.log import Agenda, Delays, StripeObject
from recordfirst.testing.stripe.objects import Charge, Dispute, PaymentIntent, StripeTimeline
from recordfirst.testing.stripe.wire import invalid


class _Books(Protocol):
    """What disputes need of the books."""

    charges: dict[str, Charge]
    intents: dict[str, PaymentIntent]
    agenda: Agenda
    delays: Delays
    livemode: bool

    def tell(self, type: str, made: StripeObject, now_ms: int) -> None: ...
    def enter(
        self, kind: EntryKind, intent: PaymentIntent, key: str, now_ms: int, *, amount: int, id: str | None = None
    ) -> None: ...
    def new_id(self, prefix: str) -> str: ...


_WEEK_S = 7 * 24 * 3600
_OPEN = ("needs_response", "under_review", "warning_needs_response", "warning_under_review")


class Disputes:
    """The disputes of one account."""

    def __init__(self, books: _Books) -> None:
        self.all = StripeTimeline[Dispute]()
        self._of: dict[str, list[Dispute]] = {}
        """By charge."""
        self._books = books

    def open(
        self, intent: PaymentIntent, *, amount: int | None, reason: str, now_ms: int, is_inquiry: bool = False
    ) -> Dispute:
        """Open a customer's dispute of a payment, or of a part of it."""
        if intent.status != "succeeded":
            raise invalid(f"This PaymentIntent ({intent.id}) does not have a successful charge to dispute.")
        charge = self._books.charges[intent.latest_charge or ""]
        dispute = Dispute(
            id=self._books.new_id("du"),
            amount=amount or charge.amount_captured,
            charge=charge.id,
            created=now_ms // 1000,
            currency=charge.currency,
            evidence_details={
                "due_by": now_ms // 1000 + _WEEK_S,
                "has_evidence": False,
                "past_due": False,
                "submission_count": 0,
            },
            is_charge_refundable=is_inquiry,
            livemode=self._books.livemode,
            payment_intent=intent.id,
            reason=reason,
            status="warning_needs_response" if is_inquiry else "needs_response",
        )
        self.all.add(dispute)
        self._of.setdefault(charge.id, []).append(dispute)
        charge.disputed = True
        self._books.tell("charge.dispute.created", dispute, now_ms)
        if not is_inquiry:
            self._enter("dispute", dispute, now_ms)
            self._books.tell("charge.dispute.funds_withdrawn", dispute, now_ms)
        return dispute

    def respond(self, id: str, evidence: dict[str, str], now_ms: int) -> Dispute:
        """Send evidence; the bank's verdict comes later."""
        dispute = self._open(id)
        dispute.evidence = dispute.evidence | evidence
        dispute.evidence_details |= {"has_evidence": True, "submission_count": 1}
        dispute.status = "warning_under_review" if self._is_inquiry(dispute) else "under_review"
        self._books.tell("charge.dispute.updated", dispute, now_ms)
        said = evidence.get("uncategorized_text")
        if said in ("winning_evidence", "losing_evidence"):
            verdict = partial(self._verdict, dispute, won=said == "winning_evidence")
            self._books.agenda.after(now_ms, self._books.delays.verdict_s, verdict)
        return dispute

    def close(self, id: str, *, won: bool, now_ms: int) -> Dispute:
        """Close a dispute by the bank's verdict. If the account accepts the dispute, it is lost."""
        dispute = self._open(id)
        if self._is_inquiry(dispute):
            dispute.status = "warning_closed"
        else:
            dispute.status = "won" if won else "lost"
            if won:
                self._enter("dispute_won", dispute, now_ms)
                self._books.tell("charge.dispute.funds_reinstated", dispute, now_ms)
        self._books.tell("charge.dispute.closed", dispute, now_ms)
        return dispute

    def refuse_refund(self, charge: Charge) -> None:
        """Refuse a refund of money that the bank has taken, or holds."""
        held = [each for each in self._of.get(charge.id, []) if each.status in (*_OPEN, "lost")]
        if any(not each.is_charge_refundable for each in held):
            raise invalid(f"Charge {charge.id} has been charged back; cannot issue a refund.", code="charge_disputed")

    def _verdict(self, dispute: Dispute, now_ms: int, *, won: bool) -> None:
        if dispute.status in _OPEN:
            self.close(dispute.id, won=won, now_ms=now_ms)

    def _open(self, id: str) -> Dispute:
        dispute = self.all.find(id, "dispute")
        if dispute.status not in _OPEN:
            raise invalid(f"This dispute is already closed: it has a status of {dispute.status}.")
        return dispute

    def _is_inquiry(self, dispute: Dispute) -> bool:
        return dispute.status.startswith("warning_")

    def _enter(self, kind: EntryKind, dispute: Dispute, now_ms: int) -> None:
        intent = self._books.intents[dispute.payment_intent]
        self._books.enter(kind, intent, "", now_ms, amount=dispute.amount, id=dispute.id)
