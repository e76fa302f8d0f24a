"""The API as a function from request and state to reply: no server, no waiting, no clock but the one given.

``begin`` takes a request as far as its endpoint's execution: through authentication, the rate limiter, the
idempotency layer and validation, in Stripe's order. It returns the reply, or the execution that is now due (at once,
or after ``wait_s``); ``finish`` executes it. Between the two, the key is in use.

Which refusals are stored under the key follows from that line: what ``begin`` refuses is not, what ``finish``
refuses is. So a missing or malformed parameter may be corrected under the same key; an amount below the minimum, an
unknown payment method or a charge already refunded is found in execution, and is replayed.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from recordfirst.testing.clock import SimClock
from recordfirst.testing.stripe import wire
from recordfirst.testing.stripe.books import Books, PaymentIntent, Refund, StripeTimeline
from recordfirst.testing.stripe.cards import MINIMUM_AMOUNTS
from recordfirst.testing.stripe.faults import (
    AT_THE_DOOR,
    DECLINE,
    IN_EXECUTION,
    ON_THE_WAY_BACK,
    FaultKind,
    FaultPlan,
    Faults,
)
from recordfirst.testing.stripe.keys import KeyStore
from recordfirst.testing.stripe.ledger import ReplyStore
from recordfirst.testing.stripe.search import parse_query
from recordfirst.testing.stripe.wire import Params, Refusal, Reply, Request, invalid

_TAKEN = frozenset({
    "allowed_payment_method_types", "automatic_payment_methods", "error_on_requires_action",
    "excluded_payment_method_types", "off_session", "payment_method_types", "return_url", "setup_future_usage",
    "shipping", "statement_descriptor", "statement_descriptor_suffix", "transfer_group", "use_stripe_sdk",
})  # fmt: skip
"""Compared like all parameters when a key comes again; otherwise without effect on what a test card does."""
_CREATE = _TAKEN | {
    "amount", "capture_method", "confirm", "currency", "customer", "description", "metadata", "payment_method",
    "receipt_email",
}  # fmt: skip
MOST_PER_PAGE = 100
"""https://docs.stripe.com/api/pagination"""

_CONFIRM = _TAKEN | {"payment_method"}
_REFUND = frozenset({"amount", "charge", "metadata", "payment_intent", "reason"})
_LIST_INTENTS = frozenset({"created", "customer", "limit", "starting_after"})
_LIST_REFUNDS = frozenset({"created", "expand", "payment_intent", "limit", "starting_after"})
_SEARCH = frozenset({"limit", "page", "query"})
_INTENT_PATH = re.compile(r"/v1/payment_intents/([^/]+)(/confirm)?")

type Execute = Callable[[bool], object]
"""Runs an endpoint; the argument says that the card is to be declined. Returns the object to show."""


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """An execution that has begun."""

    request: Request
    request_id: str
    execute: Execute
    fault: FaultKind | None
    wait_s: float


class Delayed(msgspec.Struct, frozen=True, kw_only=True):
    """A reply that is ready, and goes out late."""

    reply: Reply
    wait_s: float


class Api:
    """One simulated Stripe."""

    def __init__(self, clock: SimClock, faults: Faults, search_lag_s: float) -> None:
        self.clock = clock
        self.plan = FaultPlan(faults)
        self.books = Books()
        self.keys = KeyStore()
        self.requests: dict[str, int] = {}
        """How often each idempotency key was seen, whatever became of the request."""
        self.count = 0
        self._search_lag_ms = round(search_lag_s * 1000)

    def ledger(self) -> ReplyStore:
        """Return what was applied until now."""
        return ReplyStore(
            entries=[
                msgspec.structs.replace(entry, requests=self.requests.get(entry.key, 0)) for entry in self.books.entries
            ]
        )

    def begin(self, request: Request) -> Reply | Delayed | Started:
        """Take a request up to its execution, or to its reply."""
        self.count += 1
        request_id = f"req_sim{self.count:012d}"
        key = request.idempotency_key or ""
        nth = self.requests.get(key, 0) + 1
        if key:
            self.requests[key] = nth

        def hit(among: frozenset[FaultKind]) -> FaultKind | None:
            return self.plan.take(request.method, request.path, key, nth, among)

        try:
            door = hit(AT_THE_DOOR)
            if door == "reset_before":
                return Reply(status=0, delivery="cut")
            self._authenticate(request)
            if door == "rate_limited":
                raise self._rate_limited()
            stored = self.keys.check(request, self.clock.now_ms()) if request.method == "POST" else None
            if stored is not None:
                stored.headers["Request-Id"] = request_id
                return self._on_the_way_back(stored, hit(ON_THE_WAY_BACK))
            execute, charges = self._route(request)
        except Refusal as refusal:
            return _refused(refusal, request_id)
        fault = hit(IN_EXECUTION | ON_THE_WAY_BACK | (DECLINE if charges else frozenset()))
        if request.method == "POST":
            self.keys.start(request, self.clock.now_ms(), request_id)
        return Started(
            request=request,
            request_id=request_id,
            execute=execute,
            fault=fault,
            wait_s=self.plan.faults.slow_s if fault == "slow" else 0.0,
        )

    def finish(self, started: Started) -> Reply:
        """Execute, and store the reply under the key."""
        try:
            if started.fault == "error_before":
                raise _server_error()
            try:
                shown = started.execute(started.fault == "decline")
            except Refusal:
                if started.fault == "error_after":
                    raise _server_error() from None
                raise
            if started.fault == "error_after":
                raise _server_error()
            reply = _reply(200, msgspec.json.encode(shown), started.request_id)
        except Refusal as refusal:
            reply = _refused(refusal, started.request_id)
        if started.request.method == "POST":
            self.keys.store(started.request, reply)
        match started.fault:
            case "lost_reply":
                return msgspec.structs.replace(reply, delivery="cut")
            case "timeout_after_applying":
                return msgspec.structs.replace(reply, delivery="hang")
        return reply

    def handle(self, request: Request) -> Reply:
        """Answer without waiting: for tests of the logic alone."""
        step = self.begin(request)
        if isinstance(step, Started):
            return self.finish(step)
        return step.reply if isinstance(step, Delayed) else step

    # ── the layers before an endpoint ───────────────────────────────────────

    def _authenticate(self, request: Request) -> None:
        if request.api_key is None or not request.api_key.startswith(("sk_", "rk_")):
            raise invalid(f"Invalid API Key provided: {request.api_key}", status=401)

    def _rate_limited(self) -> Refusal:
        error = {
            "message": "Request rate limit exceeded. Learn more about rate limits here "
            "https://docs.stripe.com/rate-limits.",
            "type": "invalid_request_error",
            "code": "rate_limit",
        }
        headers = {"Retry-After": str(self.plan.faults.retry_after_s), "Stripe-Rate-Limited-Reason": "global-rate"}
        return Refusal(429, error, headers)

    def _on_the_way_back(self, reply: Reply, fault: FaultKind | None) -> Reply | Delayed:
        match fault:
            case "lost_reply":
                return msgspec.structs.replace(reply, delivery="cut")
            case "timeout_after_applying":
                return msgspec.structs.replace(reply, delivery="hang")
            case "slow":
                return Delayed(reply=reply, wait_s=self.plan.faults.slow_s)
        return reply

    # ── endpoints: validation now, execution later ──────────────────────────

    def _route(self, request: Request) -> tuple[Execute, bool]:  # noqa: PLR0911 - one line per endpoint
        """Validate, and return what is to be executed and whether it charges a card."""
        match request.method, request.path:
            case "POST", "/v1/payment_intents":
                return self._create_intent(request)
            case "GET", "/v1/payment_intents":
                return self._list_intents(request.params), False
            case "GET", "/v1/payment_intents/search":
                return self._search_intents(request.params), False
            case "POST", "/v1/refunds":
                return self._create_refund(request), False
            case "GET", "/v1/refunds":
                return self._list_refunds(request.params), False
        intent = _INTENT_PATH.fullmatch(request.path)
        if intent and request.method == "POST" and intent[2]:
            return self._confirm_intent(intent[1], request), True
        if intent and request.method == "GET" and not intent[2]:
            wire.allow(request.params, frozenset())
            return lambda _: self.books.find(intent[1]), False
        raise invalid(
            f"Unrecognized request URL ({request.method}: {request.path}), or one that this simulator does not know.",
            status=404,
        )

    def _create_intent(self, request: Request) -> tuple[Execute, bool]:
        params = request.params
        wire.allow(params, _CREATE)
        wire.required(params, "amount")
        currency = wire.required(params, "currency").lower()
        if currency not in MINIMUM_AMOUNTS:
            raise invalid(f"Invalid currency: {currency}", param="currency")
        capture_method = params.get("capture_method", "automatic_async")
        if capture_method not in ("automatic", "automatic_async", "manual"):
            raise invalid(f"Invalid capture_method: {capture_method}", param="capture_method")
        confirm, refuses = wire.boolean(params, "confirm"), wire.boolean(params, "error_on_requires_action")
        draft = {
            "amount": wire.positive(params, "amount"),
            "capture_method": capture_method,
            "currency": currency,
            "customer": params.get("customer"),
            "description": params.get("description"),
            "metadata": wire.metadata(params),
            "payment_method": params.get("payment_method"),
            "receipt_email": params.get("receipt_email"),
        }

        def execute(decline: bool) -> PaymentIntent:  # noqa: FBT001 - Execute's shape
            now_ms = self.clock.now_ms()
            intent = self.books.create_intent(draft, now_ms)
            if not confirm:
                return intent
            key = request.idempotency_key or ""
            return self.books.confirm(intent, None, key=key, now_ms=now_ms, decline=decline, refuses_action=refuses)

        return execute, confirm

    def _confirm_intent(self, id: str, request: Request) -> Execute:
        wire.allow(request.params, _CONFIRM)
        refuses = wire.boolean(request.params, "error_on_requires_action")

        def execute(decline: bool) -> PaymentIntent:  # noqa: FBT001 - Execute's shape
            return self.books.confirm(
                self.books.find(id),
                request.params.get("payment_method"),
                key=request.idempotency_key or "",
                now_ms=self.clock.now_ms(),
                decline=decline,
                refuses_action=refuses,
            )

        return execute

    def _create_refund(self, request: Request) -> Execute:
        params = request.params
        wire.allow(params, _REFUND)
        if ("charge" in params) == ("payment_intent" in params):
            raise invalid(
                "One of the following params should be provided for this request: payment_intent or charge.",
                code="parameter_missing",
            )
        draft: dict[str, Any] = {
            "amount": wire.positive(params, "amount"),
            "charge": params.get("charge"),
            "metadata": wire.metadata(params),
            "payment_intent": params.get("payment_intent"),
            "reason": params.get("reason"),
        }
        return lambda _: self.books.refund(draft, key=request.idempotency_key or "", now_ms=self.clock.now_ms())

    def _list_intents(self, params: Params) -> Execute:
        wire.allow(params, _LIST_INTENTS)
        timeline = self.books.timeline
        if "customer" in params:
            timeline = self.books.by_customer.get(params["customer"], StripeTimeline())
        return _list(timeline, params, "/v1/payment_intents")

    def _list_refunds(self, params: Params) -> Execute:
        wire.allow(params, _LIST_REFUNDS)
        timeline = self.books.refunds
        if "payment_intent" in params:
            timeline = self.books.refunds_of.get(params["payment_intent"], StripeTimeline())
        expands = [value for name, value in params.items() if name.startswith("expand")]
        if set(expands) - {"data.payment_intent"}:
            raise invalid(f"This simulator does not expand {', '.join(expands)}.", param="expand")
        listed = _list(timeline, params, "/v1/refunds")
        if not expands:
            return listed

        def execute(decline: bool) -> dict[str, Any]:  # noqa: FBT001 - Execute's shape
            shown: Any = listed(decline)
            refunds = [msgspec.to_builtins(each) for each in shown["data"]]
            data = [each | {"payment_intent": self.books.intents[each["payment_intent"]]} for each in refunds]
            return {**shown, "data": data}

        return execute

    def _search_intents(self, params: Params) -> Execute:
        wire.allow(params, _SEARCH)
        query = parse_query(wire.required(params, "query"))
        limit, start = _limit(params), wire.integer(params, "page") or 0

        def execute(_: bool) -> dict[str, Any]:  # noqa: FBT001 - Execute's shape
            indexed_ms = self.clock.now_ms() - self._search_lag_ms
            found = [
                intent
                for created_ms, intent in reversed(self.books.by_metadata.get(query.pair, []))
                if created_ms <= indexed_ms and query.matches(intent.metadata, intent.status)
            ]
            more = len(found) > start + limit
            return {
                "object": "search_result",
                "url": "/v1/payment_intents/search",
                "has_more": more,
                "next_page": str(start + limit) if more else None,
                "data": found[start : start + limit],
            }

        return execute


def _list[T: (PaymentIntent, Refund)](timeline: StripeTimeline[T], params: Params, url: str) -> Execute:
    limit, (since, before) = _limit(params), _created(params)
    cursor = params.get("starting_after")

    def execute(_: bool) -> dict[str, Any]:  # noqa: FBT001 - Execute's shape
        data, more = timeline.page(since=since, before=before, starting_after=cursor, limit=limit)
        return {"object": "list", "url": url, "has_more": more, "data": data}

    return execute


def _limit(params: Params) -> int:
    limit = wire.integer(params, "limit")
    if limit is None:
        return 10
    if not 1 <= limit <= MOST_PER_PAGE:
        raise invalid(f"Limit must be between 1 and {MOST_PER_PAGE}.", code="parameter_invalid_integer", param="limit")
    return limit


def _created(params: Params) -> tuple[int, int | None]:
    """Return the half-open range of seconds that ``created`` or ``created[gte]`` and the like ask for."""
    since, before = 0, None
    for name in params:
        if not name.startswith("created"):
            continue
        at = wire.integer(params, name) or 0
        match name:
            case "created":
                since, before = at, at + 1
            case "created[gte]":
                since = at
            case "created[gt]":
                since = at + 1
            case "created[lt]":
                before = at
            case "created[lte]":
                before = at + 1
            case _:
                raise invalid(f"Received unknown parameter: {name}", code="parameter_unknown", param=name)
    return since, before


def _reply(status: int, body: bytes, request_id: str, headers: dict[str, str] | None = None) -> Reply:
    return Reply(status=status, body=body, headers={"Request-Id": request_id} | (headers or {}))


def _refused(refusal: Refusal, request_id: str) -> Reply:
    return _reply(refusal.status, msgspec.json.encode({"error": refusal.error}), request_id, refusal.headers)


def _server_error() -> Refusal:
    """Stripe asks not to retry these: its idempotency layer would only replay them."""
    error = {"message": "An unknown error occurred", "type": "api_error"}
    return Refusal(500, error, {"Stripe-Should-Retry": "false"})
