"""The account's books: payment intents and refunds, and what happens to them. Pure state, no I/O; the time is given.

The cost of every operation is independent of how many objects there are, up to a logarithm.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Any, Literal

import msgspec

from recordfirst.testing.stripe.cards import (
    AUTHENTICATION_REQUIRED,
    GENERIC,
    MAXIMUM_AMOUNT,
    MINIMUM_AMOUNTS,
    PAYMENT_METHODS,
    Decline,
    Waiting,
)
from recordfirst.testing.stripe.ledger import StoredReply
from recordfirst.testing.stripe.wire import Refusal, invalid

type IntentStatus = Literal[
    "requires_payment_method", "requires_confirmation", "requires_action", "processing", "requires_capture", "succeeded"
]


class PaymentIntent(msgspec.Struct, kw_only=True):
    """As Stripe shows it; encodes to the API's JSON."""

    id: str
    object: Literal["payment_intent"] = "payment_intent"
    amount: int
    amount_capturable: int = 0
    amount_received: int = 0
    canceled_at: int | None = None
    cancellation_reason: str | None = None
    capture_method: str = "automatic_async"
    client_secret: str
    confirmation_method: str = "automatic"
    created: int
    currency: str
    customer: str | None = None
    description: str | None = None
    last_payment_error: dict[str, Any] | None = None
    latest_charge: str | None = None
    livemode: bool = False
    metadata: dict[str, str] = {}
    next_action: dict[str, Any] | None = None
    payment_method: str | None = None
    payment_method_types: tuple[str, ...] = ("card",)
    receipt_email: str | None = None
    status: IntentStatus = "requires_payment_method"


class Refund(msgspec.Struct, kw_only=True):
    """As Stripe shows it; encodes to the API's JSON."""

    id: str
    object: Literal["refund"] = "refund"
    amount: int
    balance_transaction: str | None = None
    charge: str
    created: int
    currency: str
    metadata: dict[str, str] = {}
    payment_intent: str
    reason: str | None = None
    receipt_number: str | None = None
    status: Literal["succeeded"] = "succeeded"


class StripeTimeline[T: (PaymentIntent, Refund)]:
    """Objects in the order of their creation, listed newest first."""

    def __init__(self) -> None:
        self._items: list[T] = []
        self._created: list[int] = []
        self._positions: dict[str, int] = {}

    def add(self, item: T) -> None:
        """Append the newest object."""
        self._positions[item.id] = len(self._items)
        self._items.append(item)
        self._created.append(item.created)

    def page(self, *, since: int, before: int | None, starting_after: str | None, limit: int) -> tuple[list[T], bool]:
        """Return up to ``limit`` objects with ``since <= created < before``, newest first, and if there are more."""
        low = bisect_left(self._created, since)
        high = len(self._items) if before is None else bisect_left(self._created, before)
        if starting_after is not None:
            if starting_after not in self._positions:
                raise invalid(f"No such object: '{starting_after}'", code="resource_missing", param="starting_after")
            high = min(high, self._positions[starting_after])
        start = max(low, high - limit)
        return self._items[start:high][::-1], start > low


class Books:
    """One simulator's objects."""

    def __init__(self) -> None:
        self.intents: dict[str, PaymentIntent] = {}
        self.timeline = StripeTimeline[PaymentIntent]()
        self.by_customer: dict[str, StripeTimeline[PaymentIntent]] = {}
        self.by_metadata: dict[tuple[str, str], list[tuple[int, PaymentIntent]]] = {}
        """With the time of creation in milliseconds, from which the search index lags."""
        self.refunds = StripeTimeline[Refund]()
        self.refunds_of: dict[str, StripeTimeline[Refund]] = {}
        self.entries: list[StoredReply] = []
        self._intent_of_charge: dict[str, PaymentIntent] = {}
        self._refunded: dict[str, int] = {}
        self._count = 0

    def create_intent(self, draft: dict[str, Any], now_ms: int) -> PaymentIntent:
        """Open a payment intent; no money moves."""
        amount, currency = draft["amount"], draft["currency"]
        if amount < MINIMUM_AMOUNTS[currency]:
            raise invalid(
                f"Amount must be at least {MINIMUM_AMOUNTS[currency]} {currency} in the currency's smallest unit",
                code="amount_too_small",
                param="amount",
            )
        if amount > MAXIMUM_AMOUNT:
            raise invalid(f"Amount must be no more than {MAXIMUM_AMOUNT}", code="amount_too_large", param="amount")
        id = self._id("pi")
        intent = PaymentIntent(id=id, client_secret=f"{id}_secret_sim", created=now_ms // 1000, **draft)
        if intent.payment_method is not None:
            _known_method(intent.payment_method)
            intent.status = "requires_confirmation"
        self.intents[id] = intent
        self.timeline.add(intent)
        if intent.customer is not None:
            self.by_customer.setdefault(intent.customer, StripeTimeline()).add(intent)
        for pair in intent.metadata.items():
            self.by_metadata.setdefault(pair, []).append((now_ms, intent))
        return intent

    def confirm(
        self,
        intent: PaymentIntent,
        method: str | None,
        *,
        key: str,
        now_ms: int,
        decline: bool,
        refuses_action: bool = False,
    ) -> PaymentIntent:
        """Charge the card, or authorise it, or wait for the customer or a bank, as the payment method has it.

        Raises:
            Refusal: 402 if the issuer declines: the intent stays, and waits for another payment method.
        """
        if intent.status not in ("requires_payment_method", "requires_confirmation", "requires_action"):
            raise invalid(
                "You cannot confirm this PaymentIntent because it has already succeeded after being previously "
                "confirmed."
                if intent.status == "succeeded"
                else f"You cannot confirm this PaymentIntent because it has a status of {intent.status}.",
                code="payment_intent_unexpected_state",
            )
        method = method or intent.payment_method
        if method is None:
            raise invalid(
                "You cannot confirm this PaymentIntent because it's missing a payment method.",
                code="payment_intent_unexpected_state",
            )
        answer = _known_method(method) or (GENERIC if decline else None)
        if answer == "requires_action" and refuses_action:
            answer = AUTHENTICATION_REQUIRED
        if isinstance(answer, Decline):
            intent.latest_charge = self._id("ch")
            self._enter("decline", intent, key, now_ms, answer.decline_code)
            raise _declined(intent, method, answer)
        intent.payment_method, intent.last_payment_error = method, None
        if answer is None:
            return self._take(intent, key, now_ms)
        intent.status = answer
        intent.next_action = {"type": "use_stripe_sdk"} if answer == "requires_action" else None
        return intent

    def complete(self, id: str, now_ms: int) -> PaymentIntent:
        """Let what an intent waits for come: its customer confirms, its bank pays, or it is captured."""
        intent = self.find(id)
        if intent.status not in ("requires_action", "processing", "requires_capture"):
            raise invalid(f"This PaymentIntent waits for nothing: it has a status of {intent.status}.")
        return self._take(intent, "", now_ms, captures=intent.status == "requires_capture")

    def _take(self, intent: PaymentIntent, key: str, now_ms: int, *, captures: bool = False) -> PaymentIntent:
        intent.next_action = None
        intent.latest_charge = intent.latest_charge or self._id("ch")
        if intent.capture_method == "manual" and not captures:
            intent.status, intent.amount_capturable = "requires_capture", intent.amount
            return intent
        self._enter("charge", intent, key, now_ms, None)
        intent.status, intent.amount_capturable, intent.amount_received = "succeeded", 0, intent.amount
        self._intent_of_charge[intent.latest_charge] = intent
        return intent

    def _enter(
        self, kind: Literal["charge", "decline"], intent: PaymentIntent, key: str, now_ms: int, code: str | None
    ) -> None:
        self.entries.append(
            StoredReply(
                kind=kind,
                id=intent.latest_charge or "",
                payment_intent=intent.id,
                amount_minor=intent.amount,
                currency=intent.currency,
                metadata=intent.metadata,
                key=key,
                created_ms=now_ms,
                code=code,
            )
        )

    def find(self, id: str, param: str = "intent", status: int = 404) -> PaymentIntent:
        """Look a payment intent up."""
        if id not in self.intents:
            raise invalid(f"No such payment_intent: '{id}'", code="resource_missing", param=param, status=status)
        return self.intents[id]

    def refund(self, draft: dict[str, Any], *, key: str, now_ms: int) -> Refund:
        """Give money back: all that is left, or a part."""
        intent = self._refundable(draft)
        charge = intent.latest_charge or ""
        left = intent.amount_received - self._refunded.get(charge, 0)
        if left == 0:
            raise invalid(f"Charge {charge} has already been refunded.", code="charge_already_refunded")
        amount = draft["amount"] or left
        if amount > left:
            raise invalid(
                f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})", param="amount"
            )
        refund = Refund(
            id=self._id("re"),
            amount=amount,
            charge=charge,
            created=now_ms // 1000,
            currency=intent.currency,
            metadata=draft["metadata"],
            payment_intent=intent.id,
            reason=draft["reason"],
        )
        self._refunded[charge] = self._refunded.get(charge, 0) + amount
        self.refunds.add(refund)
        self.refunds_of.setdefault(intent.id, StripeTimeline()).add(refund)
        self.entries.append(
            StoredReply(
                kind="refund",
                id=refund.id,
                payment_intent=intent.id,
                amount_minor=amount,
                currency=refund.currency,
                metadata=refund.metadata,
                key=key,
                created_ms=now_ms,
            )
        )
        return refund

    def _refundable(self, draft: dict[str, Any]) -> PaymentIntent:
        charge: str | None = draft["charge"]
        if charge is not None:
            if charge not in self._intent_of_charge:
                raise invalid(f"No such charge: '{charge}'", code="resource_missing", param="charge", status=404)
            return self._intent_of_charge[charge]
        intent = self.find(draft["payment_intent"], "payment_intent")
        if intent.status != "succeeded":
            raise invalid(f"This PaymentIntent ({intent.id}) does not have a successful charge to refund.")
        return intent

    def _id(self, prefix: str) -> str:
        self._count += 1
        return f"{prefix}_sim{self._count:021d}"


def _known_method(id: str) -> Decline | Waiting | None:
    if id not in PAYMENT_METHODS:
        raise invalid(f"No such PaymentMethod: '{id}'", code="resource_missing", param="payment_method")
    return PAYMENT_METHODS[id]


def _declined(intent: PaymentIntent, method: str, no: Decline) -> Refusal:
    """Put the decline into the intent, as Stripe does, and return the 402 that tells of it."""
    intent.status, intent.payment_method = "requires_payment_method", None
    error: dict[str, Any] = {
        "charge": intent.latest_charge,
        "code": no.code,
        "decline_code": no.decline_code,
        "doc_url": f"https://docs.stripe.com/error-codes/{no.code.replace('_', '-')}",
        "message": no.message,
        "payment_method": {"id": method, "object": "payment_method", "type": "card"},
        "type": "card_error",
    }
    intent.last_payment_error = error
    return Refusal(402, error | {"payment_intent": msgspec.to_builtins(intent)})
