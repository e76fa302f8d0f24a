"""The official client on a Stripe double in the process of the caller, for tests that have an Outside."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from recordfirst.testing.outside import Outside
from recordfirst.testing.reached import ReachedOutside
from recordfirst.testing.stripe.double import API_KEY, double_of
from recordfirst.testing.stripe.faults import FaultKind, Faults

if TYPE_CHECKING:
    from stripe import StripeClient


def stripe_double(
    outside: Outside,
    *,
    faults: Faults | None = None,
    next: Iterable[FaultKind] = (),
    read: Callable[[Any], Any] | None = None,
    search_lag_s: float = 60.0,
    timeout_s: float = 30.0,
) -> StripeClient:
    """Return a ``StripeClient`` that a double in this process answers::

        Case(..., provide=lambda outside: {StripeClient: stripe_double(outside)})

    Args:
        outside: stores the requests, and tells the time.
        faults: the faults, by seed and rates. ``slow`` executes at once, and answers late.
        next: faults that hit the first requests that can be hit, one each: ``("error_after",)``.
        read: makes an effect's result of a payment intent or refund. An operator who asks for the outcome of a call
            finds this result. Default: as ``payment_of`` and ``refund_of`` of ``recordfirst.providers.stripe``, for any
            status.
        search_lag_s: for how many seconds search does not find a new payment intent.
        timeout_s: after how many seconds without an answer the client gives up a request.

    Raises:
        ModuleNotFoundError: if the stripe package is not installed.
        ValueError: if the outside is in another process, and ``faults``, ``next`` or ``read`` is given: a simulator
            answers there.
    """
    from recordfirst.providers import stripe  # noqa: F401, PLC0415 - an extra; says so if it is missing
    from recordfirst.testing.stripe.client import client_of, client_reached  # noqa: PLC0415 - of the same extra

    if isinstance(outside, ReachedOutside):
        if faults is not None or next or read is not None:
            raise ValueError(
                "in the real world Stripe is a simulator in another process: faults=, next= and read= cannot be given"
            )
        return client_reached(outside.url, API_KEY, timeout_s)
    double = double_of(outside, faults=faults, next=next, read=read, search_lag_s=search_lag_s)
    return client_of(double, API_KEY, timeout_s)
