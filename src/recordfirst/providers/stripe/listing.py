"""Streaming what Stripe has, for a reconcile that compares it with the receipts.

Stripe lists payment intents and refunds by the time of their creation, newest first, a hundred at a time. Listing is
exact at once, unlike searching. What stands is what a probe finds: also a payment that its customer has yet to confirm.
"""

from __future__ import annotations

from typing import Any

import stripe

from recordfirst.providers.contract import Item, Listing
from recordfirst.providers.stripe.probe import METADATA_KEY, refused_payment, refused_refund

_PAGE = 100


async def _payment_intents(
    client: stripe.StripeClient, since_ms: int, before_ms: int, after: str | None
) -> tuple[list[Item], str | None]:
    # With their charges, which say how much of them was given back, and whether they were disputed.
    expanded = _params(since_ms, before_ms, after) | {"expand": ["data.latest_charge"]}
    listed = await client.v1.payment_intents.list_async(expanded)
    return [_payment(each) for each in listed.data], _next(listed)


async def _refunds(
    client: stripe.StripeClient, since_ms: int, before_ms: int, after: str | None
) -> tuple[list[Item], str | None]:
    # With the payments that they take back: by their markers a refund is told that somebody has made by hand.
    expanded = _params(since_ms, before_ms, after) | {"expand": ["data.payment_intent"]}
    listed = await client.v1.refunds.list_async(expanded)
    return [_refund(each) for each in listed.data], _next(listed)


def _params(since_ms: int, before_ms: int, after: str | None) -> Any:
    """Stripe counts in seconds: both ends are rounded outwards."""
    created = {"gte": since_ms // 1000, "lt": -(-before_ms // 1000)}
    return {"created": created, "limit": _PAGE} | ({"starting_after": after} if after is not None else {})


def _next(listed: Any) -> str | None:
    return str(listed.data[-1].id) if listed.has_more and listed.data else None


def _marker(made: Any) -> str | None:
    """The marker in an object's metadata; an object that is not there, or only named, has none."""
    metadata = getattr(made, "metadata", None)
    return metadata[METADATA_KEY] if metadata and METADATA_KEY in metadata else None


def _payment(each: Any) -> Item:
    charge = each.latest_charge
    return Item(
        id=each.id,
        marker=_marker(each),
        at_ms=each.created * 1000,
        stands=refused_payment(each) is None,
        amount_minor=each.amount,
        currency=each.currency,
        refunded_minor=getattr(charge, "amount_refunded", None),
        disputed=getattr(charge, "disputed", None),
    )


def _refund(each: Any) -> Item:
    payment = each.payment_intent
    return Item(
        id=each.id,
        marker=_marker(each),
        reverses=_marker(payment),
        reverses_id=payment if payment is None or isinstance(payment, str) else payment.id,
        at_ms=each.created * 1000,
        stands=refused_refund(each) is None,
        amount_minor=each.amount,
        currency=each.currency,
    )


PAYMENT_INTENTS = Listing(name="Stripe payment intents", client=stripe.StripeClient, page=_payment_intents)
"""For effects that charge: ``@effect(provider=Stripe(listing=PAYMENT_INTENTS), ...)``."""
REFUNDS = Listing(name="Stripe refunds", client=stripe.StripeClient, page=_refunds)
"""For effects that refund. It also shows what somebody has refunded by hand, of a payment that a call of ours made."""
