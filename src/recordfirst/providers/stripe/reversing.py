"""What Stripe has that takes back what had succeeded: refunds and disputes of a payment; of a refund, that it failed.

| Stripe has | it is |
|---|---|
| a refund of the payment, whatever its status | a refund; ``failed`` and ``canceled`` ones have ended |
| a dispute, ``needs_response`` or ``under_review`` | a dispute |
| ``won``; ``lost`` | a dispute that has ended; that is lost |
| a dispute for a reason of the bank's own, such as ``insufficient_funds`` | a bank debit that was returned |
| an inquiry (``warning_...``), a dispute that was prevented | nothing: no money moves |
| a refund that an effect has made, ``failed`` or ``canceled`` | its failure |

A bank debit that fails after it had succeeded is told as a dispute:
https://docs.stripe.com/payments/ach-direct-debit#handle-failures
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

import stripe

from recordfirst.core.reversal import TakenBack, TakenBackState
from recordfirst.providers.stripe.probe import METADATA_KEY

_PAGE = 100
_KINDS = {"pi": "payment_intent", "ch": "charge", "py": "charge", "re": "refund", "pyr": "refund"}
_RETURNS = frozenset({"bank_cannot_process", "check_returned", "incorrect_account_details", "insufficient_funds"})
"""Reasons of https://docs.stripe.com/api/disputes/object#dispute_object-reason that are a bank's own."""
_DISPUTES: dict[str, TakenBackState] = {"won": "ended", "lost": "lost"}
"""Statuses that are final; any other one of a dispute that has taken money stands."""
_FAILED = ("failed", "canceled")
_NO_NEWS = frozenset({
    "payment_intent.created", "payment_intent.requires_action", "payment_intent.processing", "payment_intent.succeeded",
    "payment_intent.amount_capturable_updated", "payment_intent.partially_funded", "payment_intent.payment_failed",
    "charge.pending", "charge.succeeded", "charge.captured",
})  # fmt: skip
"""What is told before anything can be taken back, or as it is paid. Every other type is looked into."""


def references_of(result: Any) -> dict[str, str]:
    """What Stripe calls that which a call has made: by the ids in its result, or the id that is its result.

    The charge that a refund names is what it takes back: no call of that effect has made it.
    """
    given = result if isinstance(result, dict) else {name: getattr(result, name, None) for name in ("id", "charge")}
    named = [result, given.get("id"), given.get("charge")]
    ids = [each for each in named if isinstance(each, str)]
    found = {_KINDS[each.partition("_")[0]]: each for each in ids if each.partition("_")[0] in _KINDS and "_" in each}
    return {"refund": found["refund"]} if "refund" in found else found


def may_reverse(type: str) -> bool:
    """Whether an event of this type may be about what takes back."""
    return type not in _NO_NEWS


async def taken_back(client: stripe.StripeClient, references: Mapping[str, str]) -> list[TakenBack] | None:
    """Say all that takes back, or took, a payment; or that a refund has failed."""
    for kind in ("payment_intent", "charge"):
        if kind in references:
            return await _of_payment(client, {kind: references[kind]})
    if "refund" not in references:
        return None
    refund = await client.v1.refunds.retrieve_async(references["refund"])
    if refund.status not in _FAILED:
        return []
    return [
        TakenBack(
            how="failure",
            id=refund.id,
            amount_minor=refund.amount,
            currency=refund.currency,
            at_ms=refund.created * 1000,
        )
    ]


async def _of_payment(client: stripe.StripeClient, of: dict[str, str]) -> list[TakenBack]:
    found = [_refund(each) async for each in _all(client.v1.refunds.list_async, of)]
    disputes = [_dispute(each) async for each in _all(client.v1.disputes.list_async, of)]
    return found + [each for each in disputes if each is not None]


async def _all(list_async: Callable[[Any], Awaitable[Any]], of: dict[str, str]) -> AsyncIterator[Any]:
    params: dict[str, Any] = {**of, "limit": _PAGE}
    while True:
        listed = await list_async(params)
        for each in listed.data:
            yield each
        if not listed.has_more or not listed.data:
            return
        params["starting_after"] = listed.data[-1].id


def _refund(refund: stripe.Refund) -> TakenBack:
    metadata = refund.metadata
    return TakenBack(
        how="refund",
        id=refund.id,
        state="ended" if refund.status in _FAILED else "stands",
        amount_minor=refund.amount,
        currency=refund.currency,
        at_ms=refund.created * 1000,
        marker=metadata[METADATA_KEY] if metadata and METADATA_KEY in metadata else None,
    )


def _dispute(dispute: stripe.Dispute) -> TakenBack | None:
    if dispute.status.startswith("warning_") or dispute.status == "prevented":
        return None
    return TakenBack(
        how="return" if dispute.reason in _RETURNS else "dispute",
        id=dispute.id,
        state=_DISPUTES.get(dispute.status, "stands"),
        amount_minor=dispute.amount,
        currency=dispute.currency,
        at_ms=dispute.created * 1000,
    )
