"""The official client on a Stripe inside of the process that asks it: what users get where a test has an Outside."""

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
    """Return a ``StripeClient`` that is answered here::

        Case(..., provide=lambda outside: {StripeClient: stripe_double(outside)})

    Args:
        outside: keeps what was asked, and tells the time.
        faults: what goes wrong, by seed and rates. ``slow`` answers late, and has executed at once.
        next: faults that hit the first requests that can be hit, one each: ``("error_after",)``.
        read: what an effect makes of a payment intent or refund. Default: as ``payment_of`` and ``refund_of`` of
            ``recordfirst.providers.stripe``, whatever the status. An operator who looks what became of a call finds
            this.
        search_lag_s: how long a payment intent is invisible to search.
        timeout_s: when the client gives a request up that is not answered.

    Raises:
        ModuleNotFoundError: if the stripe package is not installed.
        ValueError: if the outside is another process, and something is ordered that is the simulator's there.
    """
    from recordfirst.providers import stripe  # noqa: F401, PLC0415 - an extra; says so if it is missing
    from recordfirst.testing.stripe.client import client_of, client_reached  # noqa: PLC0415 - of the same extra

    if isinstance(outside, ReachedOutside):
        if faults is not None or next or read is not None:
            raise ValueError(
                "the real world's Stripe is a simulator in another process: faults=, next= and read= are not for it"
            )
        return client_reached(outside.url, API_KEY, timeout_s)
    double = double_of(outside, faults=faults, next=next, read=read, search_lag_s=search_lag_s)
    return client_of(double, API_KEY, timeout_s)
