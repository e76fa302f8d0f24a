"""Stripe's test payment methods (https://docs.stripe.com/testing), and what their issuer or bank does. Pure."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

type Waiting = Literal["requires_action", "processing"]
"""The status of a payment intent until its customer has confirmed, or a bank has answered."""


class Decline(msgspec.Struct, frozen=True):
    """A refusal by an issuer or a bank."""

    code: str
    decline_code: str
    message: str


class Behaviour(msgspec.Struct, frozen=True, kw_only=True):
    """What a payment method does, at once and later."""

    answer: Decline | Waiting | None = None
    """The answer to a confirmation; ``None``: the charge succeeds."""
    then: Decline | None = None
    """The outcome after the wait; ``None``: the charge succeeds."""
    for_ever: bool = False
    """The wait does not end by itself."""
    disputed: str | None = None
    """The reason of the dispute that follows the charge."""
    inquiry: bool = False
    """The dispute is an inquiry, which takes no money yet."""
    refunds: Literal["at once", "pending", "fail later"] = "at once"
    type: Literal["card", "us_bank_account"] = "card"


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
"""The answer to requests with ``error_on_requires_action``."""

NOT_AUTHENTICATED = Decline(
    "payment_intent_authentication_failure",
    "payment_intent_authentication_failure",
    "The provided PaymentMethod has failed authentication. You can provide payment_method_data or a new PaymentMethod "
    "to attempt to fulfill this PaymentIntent again.",
)
"""The error in a payment intent whose customer does not pass 3-D Secure."""
BANK_DECLINED = Decline("bank_account_declined", "bank_account_declined", "The bank has declined the debit.")


def _bank(then: Decline | None = None, **more: Any) -> Behaviour:
    return Behaviour(answer="processing", then=then, type="us_bank_account", refunds="pending", **more)


_BANKS = {
    "success": _bank(),
    "accountClosed": _bank(Decline("account_closed", "account_closed", "The bank account has been closed.")),
    "noAccount": _bank(Decline("no_account", "no_account", "The bank account could not be located.")),
    "insufficientFunds": _bank(
        Decline("insufficient_funds", "insufficient_funds", "The account has insufficient funds to cover this payment.")
    ),
    "debitNotAuthorized": _bank(
        Decline("debit_not_authorized", "debit_not_authorized", "The customer says that this debit is not authorized.")
    ),
    "dispute": _bank(disputed="debit_not_authorized"),
    "processing": _bank(for_ever=True),
}
"""https://docs.stripe.com/payments/ach-direct-debit/set-up-payment#test-account-numbers"""

PAYMENT_METHODS: dict[str, Behaviour] = {
    **{
        f"pm_card_{brand}": Behaviour()
        for brand in ("visa", "visa_debit", "mastercard", "amex", "discover", "bypassPending")
    },
    **{f"pm_card_{name}": Behaviour(answer=decline) for name, decline in _DECLINES.items()},
    **{f"pm_card_visa_{name}": Behaviour(answer=decline) for name, decline in _DECLINES.items()},
    **{f"pm_card_{name}": Behaviour(answer="requires_action") for name in _AUTHENTICATED},
    "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds": Behaviour(
        answer="requires_action", then=_DECLINES["chargeDeclinedInsufficientFunds"]
    ),
    "pm_card_createDispute": Behaviour(disputed="fraudulent"),
    "pm_card_createDisputeProductNotReceived": Behaviour(disputed="product_not_received"),
    "pm_card_createDisputeInquiry": Behaviour(disputed="fraudulent", inquiry=True),
    "pm_card_pendingRefund": Behaviour(refunds="pending"),
    "pm_card_refundFail": Behaviour(refunds="fail later"),
    **{f"pm_usBankAccount_{name}": behaviour for name, behaviour in _BANKS.items()},
}
"""The names of https://docs.stripe.com/testing. Some exist with the brand in their name and without it: both work."""

MINIMUM_AMOUNTS = {
    "aud": 50, "brl": 50, "cad": 50, "chf": 50, "czk": 1500, "dkk": 250, "eur": 50, "gbp": 30, "hkd": 400,
    "huf": 17500, "inr": 50, "jpy": 50, "mxn": 1000, "myr": 200, "nok": 300, "nzd": 50, "pln": 200, "ron": 200,
    "sek": 300, "sgd": 50, "thb": 1000, "usd": 50,
}  # fmt: skip
"""Minor units (https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts)."""
MAXIMUM_AMOUNT = 99_999_999
