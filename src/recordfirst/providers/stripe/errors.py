"""What Stripe guarantees, and what the exceptions of its SDK mean (P5).

| Stripe answers | it means |
|---|---|
| 402 ``CardError`` | declined; the code is the issuer's ``decline_code`` where there is one |
| 400, 404 ``InvalidRequestError`` | declined: the same request will never be taken |
| 429, ``lock_timeout`` among them | not done; same key, after ``Retry-After`` if given |
| 409, another request with this key is running | not done by this request; same key, later |
| 401, 403 | not done; our credentials are wrong, not the request: a warning and a finding until one goes through |
| 400 ``idempotency_error`` | unknown: the key stands for another request, so only a probe can tell |
| 5xx in Stripe's own words | unknown, and stored under the key (``replayed``), so only a probe can tell |
| 5xx with ``Stripe-Should-Retry: true``, or a gateway's | unknown; nothing says that it was stored: same key |
| connection refused, host not found, TLS not agreed, connect time-out | not done: the request was never sent |
| time-out, reset, answer cut off or unreadable | unknown; same key |
| any other exception, a ``KeyError`` of the SDK's, say | unknown; same key; five of them stop the effect |

This holds for one request per call. The SDK's own retries hide what came before the last request (a time-out, say,
before a refused connection), so they must be off, as :func:`~recordfirst.providers.stripe.stripe_client` has them.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

import aiohttp
import stripe

from recordfirst.core.event import EventNames
from recordfirst.core.reversal import TakenBack
from recordfirst.errors import REFUSED_CREDENTIAL, Declined, NotDone, Unknown
from recordfirst.providers.contract import Provider, Verdict, describe
from recordfirst.providers.stripe.events import named_type, names_under
from recordfirst.providers.stripe.reversing import may_reverse, references_of, taken_back

SEARCH_LAG_S = 60.0
"""Search sees a payment "in under 1 minute" under normal conditions, up to an hour late during outages
(https://docs.stripe.com/search#data-freshness). An effect whose probe searches needs ``Stripe(lag_s=SEARCH_LAG_S)``."""


class Stripe(Provider, frozen=True, kw_only=True):
    """Stripe's API, version 1, through the official SDK.

    Keys are honoured for 24 hours at least (https://docs.stripe.com/api/idempotent_requests).

    ``lag_s``: the list endpoints are read-after-write ("for read-after-write flows ... use the various list APIs",
    https://docs.stripe.com/search#data-freshness), but a request that we gave up on may still be running. A payment
    is over in two or three seconds; five leave room. If the probe searches, use :data:`SEARCH_LAG_S`.

    ``arrives_within_s``: a request that we gave up on may still be on its way to Stripe, or at work there. A kernel
    sends what a closed connection left for less than two minutes (``tcp_orphan_retries``), and Stripe's clients wait
    for 80 s, "to coordinate with other timeouts configured in the Stripe infrastructure" (``defaultHTTPTimeout`` in
    https://github.com/stripe/stripe-go/blob/master/stripe.go). Five minutes leave room; behind a proxy that keeps
    requests for longer, say so.
    """

    name: str = "stripe"
    retention_s: int | None = 24 * 3600
    key_limit: int = 255
    lag_s: float = 5.0
    arrives_within_s: float = 300.0

    def references(self, result: Any) -> Mapping[str, str]:
        """The ids of what was made: of a payment its intent and its charge, of a refund its own."""
        return references_of(result)

    def classify(self, error: Exception) -> Verdict:
        """Say what an exception of the SDK, or of its HTTP client, means."""
        if isinstance(error, stripe.StripeError) and not isinstance(error, stripe.APIConnectionError):
            return _answered(error)
        *_, root = _causes(error)
        if _never_sent(error):
            return NotDone(f"Stripe was not reached: {describe(root)}")
        if isinstance(error, stripe.APIConnectionError):
            return Unknown(f"no answer from Stripe: {describe(root)}")
        return Provider.classify(self, error)

    async def names_under(self, get: Callable[[Any], Awaitable[Any]], reference: str) -> EventNames:
        """The marker in an object's metadata, and the ids of the payment that it is about."""
        return await names_under(await get(stripe.StripeClient), reference)

    def event_type(self, type: str) -> str:
        """A thin event's type, ``v1.charge.refunded``, is that of the snapshot event: ``charge.refunded``.

        Raises:
            ValueError: if Stripe could have none of this type: a pattern, or another version's prefix.
        """
        return named_type(type)

    async def taken_back(
        self, get: Callable[[Any], Awaitable[Any]], references: Mapping[str, str]
    ) -> list[TakenBack] | None:
        """Refunds and disputes of a payment; of a refund, that it has failed."""
        return await taken_back(await get(stripe.StripeClient), references) if references else None

    def may_reverse(self, type: str) -> bool:
        """Every type may, but for those that are told until a payment is paid."""
        return may_reverse(type)


def _answered(error: stripe.StripeError) -> Verdict:  # noqa: PLR0911 - one line per row of the table
    """Read an HTTP answer, Stripe's or that of something in between."""
    status, detail = error.http_status or 0, _detail(error)
    kind, code = detail.get("type"), detail.get("code")
    reason = str(detail.get("message") or describe(error))
    if isinstance(error, stripe.RateLimitError) or status == 429:  # noqa: PLR2004 - an HTTP status
        return NotDone(reason, _retry_after_ms(error.headers))
    if code == "idempotency_key_in_use":
        return NotDone(reason)
    if kind == "idempotency_error" or isinstance(error, stripe.IdempotencyError):
        return Unknown(
            f"KEY CONFLICT: Stripe knows this idempotency key from another request, so this one was refused and what "
            f"the other did is not known: {reason}",
            replayed=True,
        )
    match status:
        case 409 if detail:
            return NotDone(reason)
        case 402 if detail:
            return Declined(reason, str(detail.get("decline_code") or code or "card_declined"))
    if isinstance(error, stripe.AuthenticationError | stripe.PermissionError) or status in (401, 403):
        return NotDone(reason, code=REFUSED_CREDENTIAL)
    if isinstance(error, stripe.InvalidRequestError):
        return Declined(reason, str(code or kind or "invalid_request_error"))
    stored = status >= 500 and bool(detail) and _header(error.headers, "stripe-should-retry") != "true"  # noqa: PLR2004
    return Unknown(f"HTTP {status}: {reason}" if status else reason, replayed=stored)


def _detail(error: stripe.StripeError) -> dict[str, Any]:
    """Return Stripe's error object; empty if the body was not Stripe's (the SDK then puts other things there)."""
    body = error.json_body
    detail = body.get("error") if isinstance(body, dict) else None
    return detail if isinstance(detail, dict) else {}


def _retry_after_ms(headers: Mapping[str, str] | None) -> int | None:
    text = (_header(headers, "retry-after") or "").strip()
    return int(text) * 1000 if text.isascii() and text.isdigit() else None


def _header(headers: Mapping[str, str] | None, name: str) -> str | None:
    """Look a header up whatever its case: each HTTP client of the SDK has its own kind of mapping."""
    return next((value for key, value in (headers or {}).items() if key.lower() == name), None)


_BEFORE_SENDING = (
    aiohttp.ClientConnectorError,  # name look-up, TCP, TLS, or a proxy that is not there
    aiohttp.ConnectionTimeoutError,  # no connection, or none free in the pool, in time
    ConnectionRefusedError,
    socket.gaierror,
)
_BEFORE_SENDING_NAMES = frozenset({"urllib3.exceptions.NewConnectionError", "urllib3.exceptions.ConnectTimeoutError"})
"""What the SDK's synchronous client, ``requests``, rests on; by name, so that nothing is imported for it."""


def _never_sent(error: BaseException) -> bool:
    """Tell whether the chain of causes proves that no byte of the request left."""
    return any(isinstance(cause, _BEFORE_SENDING) or _names(cause) & _BEFORE_SENDING_NAMES for cause in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it says that it came from; never what merely was on the stack (``__context__``)."""
    seen: set[int] = set()
    cause: object = error
    while isinstance(cause, BaseException) and id(cause) not in seen:
        seen.add(id(cause))
        yield cause
        # requests wraps urllib3's MaxRetryError as its argument, and that has its cause in ``reason``.
        wrapped = cause.args[0] if cause.args and isinstance(cause.args[0], BaseException) else None
        cause = cause.__cause__ or getattr(cause, "reason", None) or wrapped


def _names(error: BaseException) -> set[str]:
    return {f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__}
