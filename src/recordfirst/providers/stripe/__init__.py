"""Stripe as a provider: what it guarantees, how its errors read, how to find out what became of a call.

An effect on Stripe reads like this::

    async def find_charge(call: Call, order: Order, *, stripe: StripeClient = inject()) -> Probed:
        return await find_payment_intent(stripe, marker=call.marker, since_ms=call.since_ms, known=call.references)

    @effect(key="order:{order.id}:charge", provider=Stripe, after=insert_order, probe=find_charge)
    async def charge_card(call: Call, order: Order, *, stripe: StripeClient = inject()) -> Payment:
        intent = await stripe.v1.payment_intents.create_async(
            {"amount": ..., "confirm": True, "metadata": {METADATA_KEY: call.marker}, ...},
            {"idempotency_key": call.key},
        )
        return payment_of(intent)
"""

try:
    import stripe as _stripe  # noqa: F401 - only to say what is missing, once and well
except ModuleNotFoundError as _missing:
    raise ModuleNotFoundError(
        "recordfirst.providers.stripe needs the stripe package; run: pip install 'recordfirst[stripe]'", name="stripe"
    ) from _missing

from recordfirst.providers.stripe.client import stripe_client
from recordfirst.providers.stripe.errors import SEARCH_LAG_S, Stripe
from recordfirst.providers.stripe.events import StripeEvents
from recordfirst.providers.stripe.listing import PAYMENT_INTENTS, REFUNDS
from recordfirst.providers.stripe.probe import (
    METADATA_KEY,
    Payment,
    Refund,
    find_payment_intent,
    find_refund,
    payment_of,
    refund_of,
    search_payment_intent,
)

__all__ = [
    "METADATA_KEY",
    "PAYMENT_INTENTS",
    "REFUNDS",
    "SEARCH_LAG_S",
    "Payment",
    "Refund",
    "Stripe",
    "StripeEvents",
    "find_payment_intent",
    "find_refund",
    "payment_of",
    "refund_of",
    "search_payment_intent",
    "stripe_client",
]
