"""The API's objects, with those fields of https://docs.stripe.com/api that are used.

Names and values are those of the official SDK in the pinned version (``stripe/_charge.py`` and the like).
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Any, Literal, Protocol

import msgspec

from recordfirst.testing.stripe.wire import invalid

API_VERSION = "2026-10-28.endive"
"""The API version of the events: that of the SDK with which this repository is tested."""

type IntentStatus = Literal[
    "requires_payment_method",
    "requires_confirmation",
    "requires_action",
    "processing",
    "requires_capture",
    "canceled",
    "succeeded",
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


class Charge(msgspec.Struct, kw_only=True):
    """One try to pay a payment intent; its metadata is that of the intent at that time."""

    id: str
    object: Literal["charge"] = "charge"
    amount: int
    amount_captured: int = 0
    amount_refunded: int = 0
    captured: bool = False
    created: int
    currency: str
    customer: str | None = None
    disputed: bool = False
    failure_code: str | None = None
    failure_message: str | None = None
    livemode: bool = False
    metadata: dict[str, str] = {}
    paid: bool = False
    payment_intent: str
    payment_method: str | None = None
    refunded: bool = False
    status: Literal["succeeded", "pending", "failed"]


class Refund(msgspec.Struct, kw_only=True):
    """As Stripe shows it; encodes to the API's JSON."""

    id: str
    object: Literal["refund"] = "refund"
    amount: int
    balance_transaction: str | None = None
    charge: str
    created: int
    currency: str
    failure_reason: str | None = None
    metadata: dict[str, str] = {}
    payment_intent: str
    pending_reason: str | None = None
    reason: str | None = None
    receipt_number: str | None = None
    status: Literal["succeeded", "pending", "failed", "canceled"] = "succeeded"


class Dispute(msgspec.Struct, kw_only=True):
    """A customer's complaint to their bank about a charge."""

    id: str
    object: Literal["dispute"] = "dispute"
    amount: int
    charge: str
    created: int
    currency: str
    evidence: dict[str, str] = {}
    evidence_details: dict[str, Any]
    is_charge_refundable: bool
    livemode: bool = False
    metadata: dict[str, str] = {}
    payment_intent: str
    reason: str
    status: Literal[
        "warning_needs_response",
        "warning_under_review",
        "warning_closed",
        "needs_response",
        "under_review",
        "won",
        "lost",
    ]


class Payout(msgspec.Struct, kw_only=True):
    """Money on its way to the account's own bank."""

    id: str
    object: Literal["payout"] = "payout"
    amount: int
    arrival_date: int
    automatic: bool = False
    created: int
    currency: str
    description: str | None = None
    failure_code: str | None = None
    failure_message: str | None = None
    livemode: bool = False
    metadata: dict[str, str] = {}
    method: str = "standard"
    statement_descriptor: str | None = None
    status: Literal["pending", "in_transit", "paid", "failed", "canceled"] = "pending"
    type: Literal["bank_account"] = "bank_account"


class StripeEvent(msgspec.Struct, kw_only=True):
    """An event: a change, with the object as it was then. See https://docs.stripe.com/api/events/object."""

    id: str
    object: Literal["event"] = "event"
    api_version: str = API_VERSION
    created: int
    data: msgspec.Raw
    livemode: bool = False
    pending_webhooks: int = 0
    request: dict[str, str | None]
    type: str
    account: str | msgspec.UnsetType = msgspec.UNSET
    """The connected account, if the object belongs to one."""


class Dated(Protocol):
    """An object that can be listed."""

    id: str
    created: int


class StripeTimeline[T: Dated]:
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

    def find(self, id: str, what: str) -> T:
        """Look up an object."""
        if id not in self._positions:
            raise invalid(f"No such {what}: '{id}'", code="resource_missing", param="id", status=404)
        return self._items[self._positions[id]]

    def __iter__(self) -> Any:
        return iter(self._items)

    def page(
        self,
        *,
        since: int,
        before: int | None,
        starting_after: str | None,
        limit: int,
        wanted: Any = None,
    ) -> tuple[list[T], bool]:
        """Return up to ``limit`` objects with ``since <= created < before``, newest first, and if there are more."""
        low = bisect_left(self._created, since)
        high = len(self._items) if before is None else bisect_left(self._created, before)
        if starting_after is not None:
            if starting_after not in self._positions:
                raise invalid(f"No such object: '{starting_after}'", code="resource_missing", param="starting_after")
            high = min(high, self._positions[starting_after])
        if wanted is not None:
            chosen = [item for item in self._items[low:high] if wanted(item)]
            return chosen[-limit:][::-1], len(chosen) > limit
        start = max(low, high - limit)
        return self._items[start:high][::-1], start > low
