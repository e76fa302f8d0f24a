"""Stripe's test payment methods (https://docs.stripe.com/testing), by what their issuer answers. Pure."""

from __future__ import annotations

from typing import Literal

import msgspec

type Waiting = Literal["requires_action", "processing"]
"""What a payment intent is while its customer has yet to confirm, or a bank to answer."""


class Decline(msgspec.Struct, frozen=True):
    """An issuer's no."""

    code: str
    decline_code: str
    message: str


GENERIC = Decline("card_declined", "generic_decline", "Your card was declined.")

_DECLINES = {
    "chargeDeclined": GENERIC,
    "chargeDeclinedInsufficientFunds": Decline(
        "card_declined", "insufficient_funds", "Your card has insufficient funds."
    ),
    "chargeDeclinedLostCard": Decline("card_declined", "lost_card", "Your card was declined."),
    "chargeDeclinedStolenCard": Decline("card_declined", "stolen_card", "Your card was declined."),
    "chargeDeclinedFraudulent": Decline("card_declined", "fraudulent", "Your card was declined."),
    "chargeDeclinedExpiredCard": Decline("expired_card", "expired_card", "Your card has expired."),
    "chargeDeclinedIncorrectCvc": Decline("incorrect_cvc", "incorrect_cvc", "Your card's security code is incorrect."),
    "chargeDeclinedProcessingError": Decline(
        "processing_error",
        "processing_error",
        "An error occurred while processing your card. Try again in a little bit.",
    ),
}

_AUTHENTICATED = (
    "authenticationRequired",
    "authenticationRequiredOnSetup",
    "threeDSecureRequired",
    "threeDSecure2Required",
)

AUTHENTICATION_REQUIRED = Decline(
    "authentication_required",
    "authentication_required",
    "Your card was declined. This transaction requires authentication.",
)
"""What those get that ask for ``error_on_requires_action``."""

PAYMENT_METHODS: dict[str, Decline | Waiting | None] = {
    **{f"pm_card_{brand}": None for brand in ("visa", "visa_debit", "mastercard", "amex", "discover")},
    **{f"pm_card_{name}": decline for name, decline in _DECLINES.items()},
    **{f"pm_card_visa_{name}": decline for name, decline in _DECLINES.items()},
    **dict.fromkeys((f"pm_card_{name}" for name in _AUTHENTICATED), "requires_action"),
    "pm_usBankAccount_processing": "processing",
}
"""``None``: the charge succeeds. Some are documented with the brand in their name, some without: both work."""

MINIMUM_AMOUNTS = {
    "aud": 50, "brl": 50, "cad": 50, "chf": 50, "czk": 1500, "dkk": 250, "eur": 50, "gbp": 30, "hkd": 400,
    "huf": 17500, "inr": 50, "jpy": 50, "mxn": 1000, "myr": 200, "nok": 300, "nzd": 50, "pln": 200, "ron": 200,
    "sek": 300, "sgd": 50, "thb": 1000, "usd": 50,
}  # fmt: skip
"""Minor units (https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts)."""
MAXIMUM_AMOUNT = 99_999_999
