"""What customers, banks and people at the dashboard do without the API. Pure state; the time is an argument."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec

from recordfirst.testing.stripe.books import Books

type HappeningName = Literal[
    "complete",
    "fail",
    "expire",
    "refund",
    "settle_refund",
    "fail_refund",
    "dispute",
    "win_dispute",
    "lose_dispute",
    "pay_payout",
    "fail_payout",
]


class Happening(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something that happens to the object ``id``.

    ``do`` is one of:

    ``complete``
        A payment intent's customer confirms, its bank pays, or it is captured.
    ``fail``
        A payment intent's customer does not pass 3-D Secure, or its bank declines.
    ``expire``
        A payment intent's authorisation expires.
    ``refund``
        Somebody refunds a payment intent at the dashboard: all, or ``amount``.
    ``dispute``
        A payment intent's customer disputes it: all, or ``amount``, for a ``reason``.
    ``settle_refund``, ``fail_refund``
        A pending refund arrives; a refund fails and its money comes back, for a ``reason``.
    ``win_dispute``, ``lose_dispute``
        The bank decides a dispute.
    ``pay_payout``, ``fail_payout``
        A payout arrives; a payout comes back, for a ``reason``.
    """

    do: HappeningName
    id: str
    amount: int | None = None
    reason: str | None = None


def done(books: Books, deed: Happening, now_ms: int) -> Any:
    """Apply it, and return the object that has changed, or the new one."""
    books.agenda.run_until(now_ms)
    id, reason = deed.id, deed.reason
    deeds: dict[HappeningName, Callable[[], Any]] = {
        "complete": lambda: books.complete(id, now_ms),
        "fail": lambda: books.fail(id, now_ms),
        "expire": lambda: books.expire(id, now_ms),
        "refund": lambda: books.refunds.create(_by_hand(deed), key="", now_ms=now_ms),
        "settle_refund": lambda: books.refunds.settle(id, now_ms),
        "fail_refund": lambda: books.refunds.fail(id, now_ms, reason or "expired_or_canceled_card"),
        "dispute": lambda: books.disputes.open(
            books.find(id), amount=deed.amount, reason=reason or "fraudulent", now_ms=now_ms
        ),
        "win_dispute": lambda: books.disputes.close(id, won=True, now_ms=now_ms),
        "lose_dispute": lambda: books.disputes.close(id, won=False, now_ms=now_ms),
        "pay_payout": lambda: books.payouts.arrive(id, now_ms),
        "fail_payout": lambda: books.payouts.fail(id, now_ms, reason or "account_closed"),
    }
    return deeds[deed.do]()


def _by_hand(deed: Happening) -> dict[str, Any]:
    """A refund as the dashboard requests it, without a marker of ours."""
    reason = deed.reason or "requested_by_customer"
    return {"charge": None, "payment_intent": deed.id, "amount": deed.amount, "metadata": {}, "reason": reason}
