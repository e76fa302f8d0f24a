"""The API's endpoints: each validates a request, and returns a function that executes it. Pure, except for the books.

A refusal here is not stored under the idempotency key; a refusal by an execution is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from recordfirst.testing.clock import SimClock
from recordfirst.testing.stripe import wire
from recordfirst.testing.stripe.books import Books
from recordfirst.testing.stripe.cards import MINIMUM_AMOUNTS
from recordfirst.testing.stripe.objects import Dated, PaymentIntent, StripeEvent, StripeTimeline
from recordfirst.testing.stripe.search import parse_query
from recordfirst.testing.stripe.wire import Params, Request, invalid

type Execute = Callable[[bool], object]
"""Runs an endpoint, and returns the object to show. The argument says whether the card must be declined."""

MOST_PER_PAGE = 100
"""https://docs.stripe.com/api/pagination"""
EVENTS_KEPT_S = 30 * 24 * 3600
"""https://docs.stripe.com/api/events: "the last 30 days"."""

_TAKEN = frozenset({
    "allowed_payment_method_types", "automatic_payment_methods", "error_on_requires_action",
    "excluded_payment_method_types", "off_session", "payment_method_types", "return_url", "setup_future_usage",
    "shipping", "statement_descriptor", "statement_descriptor_suffix", "transfer_group", "use_stripe_sdk",
})  # fmt: skip
"""These are compared if a key is repeated, like all parameters. They do not change what a test card does."""
_CREATE = _TAKEN | {
    "amount", "capture_method", "confirm", "currency", "customer", "description", "metadata", "payment_method",
    "receipt_email",
}  # fmt: skip
_CONFIRM = _TAKEN | {"payment_method"}
_CAPTURE = frozenset({"amount_to_capture", "metadata", "statement_descriptor", "statement_descriptor_suffix"})
_REASONS = ("duplicate", "fraudulent", "requested_by_customer", "abandoned")
_REFUND = frozenset({"amount", "charge", "metadata", "payment_intent", "reason"})
_PAYOUT = frozenset({"amount", "currency", "description", "metadata", "method", "statement_descriptor"})
_LIST = frozenset({"created", "limit", "starting_after"})
_SEARCH = frozenset({"limit", "page", "query"})
_ACTION = re.compile(r"/v1/(payment_intents|refunds|disputes|payouts)/([^/]+)(?:/(\w+))?")
_ONE = re.compile(r"/v1/(payment_intents|charges|refunds|disputes|payouts|events)/([^/]+)")


class Endpoints:
    """The endpoints of one simulator."""

    def __init__(self, books: Books, clock: SimClock, search_lag_s: float) -> None:
        self._books, self._clock = books, clock
        self._search_lag_ms = round(search_lag_s * 1000)

    def route(self, request: Request) -> tuple[Execute, bool]:
        """Validate a request; return its execution, and whether that charges a card."""
        execute = self._post(request) if request.method == "POST" else self._get(request)
        if execute is None:
            raise invalid(
                f"Unrecognized request URL ({request.method}: {request.path}), or one that this simulator does not "
                "know.",
                status=404,
            )
        creates = request.path == "/v1/payment_intents" and request.method == "POST"
        return execute, request.path.endswith("/confirm") or (creates and wire.boolean(request.params, "confirm"))

    def _post(self, request: Request) -> Execute | None:
        match request.path:
            case "/v1/payment_intents":
                return self._create_intent(request)
            case "/v1/refunds":
                return self._create_refund(request)
            case "/v1/payouts":
                return self._create_payout(request)
        found = _ACTION.fullmatch(request.path)
        return self._act(found[1], found[2], found[3], request) if found else None

    def _act(self, what: str, id: str, action: str | None, request: Request) -> Execute | None:
        books, params = self._books, request.params
        match what, action:
            case "payment_intents", "confirm":
                return self._confirm_intent(id, request)
            case "payment_intents", "capture":
                wire.allow(params, _CAPTURE)
                amount, key = wire.positive(params, "amount_to_capture"), request.idempotency_key or ""
                return lambda _: books.capture(books.find(id), amount, key=key, now_ms=self._now_ms())
            case "payment_intents", "cancel":
                wire.allow(params, frozenset({"cancellation_reason"}))
                reason = params.get("cancellation_reason")
                if reason not in (None, *_REASONS):
                    raise invalid(f"Invalid cancellation_reason: {reason}", param="cancellation_reason")
                return lambda _: books.cancel(books.find(id), reason, self._now_ms())
            case "disputes", None:
                wire.allow(params, frozenset({"evidence", "submit"}))
                evidence = {name[9:-1]: value for name, value in params.items() if name.startswith("evidence[")}
                return lambda _: books.disputes.respond(id, evidence, self._now_ms())
        plain: dict[tuple[str, str | None], Callable[[], object]] = {
            ("refunds", "cancel"): lambda: books.refunds.cancel(id, self._now_ms()),
            ("disputes", "close"): lambda: books.disputes.close(id, won=False, now_ms=self._now_ms()),
            ("payouts", "cancel"): lambda: books.payouts.cancel(id, self._now_ms()),
        }
        execute = plain.get((what, action))
        if execute is None:
            return None
        wire.allow(params, frozenset())
        return lambda _: execute()

    def _get(self, request: Request) -> Execute | None:
        params, path = request.params, request.path
        lists: dict[str, Callable[[], Execute]] = {
            "/v1/payment_intents": lambda: self._list_intents(params),
            "/v1/payment_intents/search": lambda: self._search_intents(params),
            "/v1/refunds": lambda: self._list_refunds(params),
            "/v1/disputes": lambda: self._list_of(self._books.disputes.all, params, path, "charge", "payment_intent"),
            "/v1/payouts": lambda: self._list_of(self._books.payouts.all, params, path, "status"),
            "/v1/events": lambda: self._list_events(params),
        }
        if request.method != "GET":
            return None
        if path in lists:
            return lists[path]()
        found = _ONE.fullmatch(path)
        return self._retrieve(found[1], found[2], params) if found else None

    def _retrieve(self, what: str, id: str, params: Params) -> Execute:
        wire.allow(params, frozenset({"expand"}))
        expands = _expands(params, {"latest_charge"} if what == "payment_intents" else set())
        books = self._books
        find: dict[str, Callable[[], Any]] = {
            "payment_intents": lambda: books.find(id),
            "charges": lambda: books.charge_of(id),
            "refunds": lambda: books.refunds.all.find(id, "refund"),
            "disputes": lambda: books.disputes.all.find(id, "dispute"),
            "payouts": lambda: books.payouts.all.find(id, "payout"),
            "events": lambda: books.events.all.find(id, "event"),
        }

        def execute(_: bool) -> object:  # noqa: FBT001 - Execute's shape
            found = find[what]()
            if not expands or found.latest_charge is None:
                return found
            return msgspec.to_builtins(found) | {"latest_charge": books.charges[found.latest_charge]}

        return execute

    def _now_ms(self) -> int:
        return self._clock.now_ms()

    # ── create ──────────────────────────────────────────────────────────────

    def _create_intent(self, request: Request) -> Execute:
        params = request.params
        wire.allow(params, _CREATE)
        wire.required(params, "amount")
        capture_method = params.get("capture_method", "automatic_async")
        currency = _currency(params)
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
            now_ms = self._now_ms()
            intent = self._books.create_intent(draft, now_ms, request.account)
            if not confirm:
                return intent
            return self._books.confirm(
                intent,
                None,
                key=request.idempotency_key or "",
                now_ms=now_ms,
                decline=decline,
                refuses_action=refuses,
                return_url=params.get("return_url"),
            )

        return execute

    def _confirm_intent(self, id: str, request: Request) -> Execute:
        wire.allow(request.params, _CONFIRM)
        refuses = wire.boolean(request.params, "error_on_requires_action")

        def execute(decline: bool) -> PaymentIntent:  # noqa: FBT001 - Execute's shape
            return self._books.confirm(
                self._books.find(id),
                request.params.get("payment_method"),
                key=request.idempotency_key or "",
                now_ms=self._now_ms(),
                decline=decline,
                refuses_action=refuses,
                return_url=request.params.get("return_url"),
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
        return lambda _: self._books.refunds.create(draft, key=request.idempotency_key or "", now_ms=self._now_ms())

    def _create_payout(self, request: Request) -> Execute:
        params = request.params
        wire.allow(params, _PAYOUT)
        wire.required(params, "amount")
        method = params.get("method", "standard")
        if method not in ("standard", "instant"):
            raise invalid(f"Invalid method: {method}", param="method")
        draft: dict[str, Any] = {
            "amount": wire.positive(params, "amount"),
            "currency": _currency(params),
            "description": params.get("description"),
            "metadata": wire.metadata(params),
            "method": method,
            "statement_descriptor": params.get("statement_descriptor"),
        }
        return lambda _: self._books.payouts.create(draft, self._now_ms())

    # ── read ────────────────────────────────────────────────────────────────

    def _list_intents(self, params: Params) -> Execute:
        wire.allow(params, _LIST | {"customer", "expand"})
        timeline = self._books.timeline
        if "customer" in params:
            timeline = self._books.by_customer.get(params["customer"], StripeTimeline())
        listed = _list(timeline, params, "/v1/payment_intents")
        if not _expands(params, {"data.latest_charge"}):
            return listed
        return _expanded(listed, "latest_charge", self._books.charges)

    def _list_refunds(self, params: Params) -> Execute:
        wire.allow(params, _LIST | {"expand", "payment_intent"})
        timeline = self._books.refunds.all
        if "payment_intent" in params:
            timeline = self._books.refunds.of.get(params["payment_intent"], StripeTimeline())
        listed = _list(timeline, params, "/v1/refunds")
        if not _expands(params, {"data.payment_intent"}):
            return listed
        return _expanded(listed, "payment_intent", self._books.intents)

    def _list_of(self, timeline: StripeTimeline[Any], params: Params, url: str, *filters: str) -> Execute:
        wire.allow(params, _LIST | set(filters))
        given = {name: params[name] for name in filters if name in params}
        return _list(
            timeline, params, url, lambda each: all(getattr(each, name) == value for name, value in given.items())
        )

    def _list_events(self, params: Params) -> Execute:
        wire.allow(params, _LIST | {"type", "types"})
        types = [value for name, value in params.items() if name.partition("[")[0] == "types"]
        if types and "type" in params:
            raise invalid("You may pass either type or types, but not both.", param="types")
        patterns = [_pattern(each) for each in types or ([params["type"]] if "type" in params else ["*"])]

        def is_wanted(event: StripeEvent) -> bool:
            kept = event.created > self._now_ms() // 1000 - EVENTS_KEPT_S
            return kept and any(pattern.fullmatch(event.type) for pattern in patterns)

        return _list(self._books.events.all, params, "/v1/events", is_wanted)

    def _search_intents(self, params: Params) -> Execute:
        wire.allow(params, _SEARCH)
        query = parse_query(wire.required(params, "query"))
        limit, start = _limit(params), wire.integer(params, "page") or 0

        def execute(_: bool) -> dict[str, Any]:  # noqa: FBT001 - Execute's shape
            indexed_ms = self._now_ms() - self._search_lag_ms
            found = [
                intent
                for created_ms, intent in reversed(self._books.by_metadata.get(query.pair, []))
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


def _list[T: Dated](
    timeline: StripeTimeline[T], params: Params, url: str, wanted: Callable[[T], bool] | None = None
) -> Execute:
    limit, (since, before) = _limit(params), _created(params)
    cursor = params.get("starting_after")

    def execute(_: bool) -> dict[str, Any]:  # noqa: FBT001 - Execute's shape
        data, more = timeline.page(since=since, before=before, starting_after=cursor, limit=limit, wanted=wanted)
        return {"object": "list", "url": url, "has_more": more, "data": data}

    return execute


def _expanded(listed: Execute, name: str, objects: Mapping[str, object]) -> Execute:
    """A list in which this field has the whole object instead of its id."""

    def execute(decline: bool) -> dict[str, Any]:  # noqa: FBT001 - Execute's shape
        shown: Any = listed(decline)
        data = [msgspec.to_builtins(each) for each in shown["data"]]
        return {**shown, "data": [each | {name: objects.get(each[name])} for each in data]}

    return execute


def _currency(params: Params) -> str:
    currency = wire.required(params, "currency").lower()
    if currency not in MINIMUM_AMOUNTS:
        raise invalid(f"Invalid currency: {currency}", param="currency")
    return currency


def _expands(params: Params, known: set[str]) -> list[str]:
    expands = [value for name, value in params.items() if name.startswith("expand")]
    if set(expands) - known:
        raise invalid(f"This simulator does not expand {', '.join(expands)}.", param="expand")
    return expands


def _pattern(type: str) -> re.Pattern[str]:
    """The pattern of a name "or group of events using * as a wildcard" (https://docs.stripe.com/api/events/list)."""
    return re.compile(re.escape(type).replace(r"\*", ".*"))


def _limit(params: Params) -> int:
    limit = wire.integer(params, "limit")
    if limit is None:
        return 10
    if not 1 <= limit <= MOST_PER_PAGE:
        raise invalid(f"Limit must be between 1 and {MOST_PER_PAGE}.", code="parameter_invalid_integer", param="limit")
    return limit


def _created(params: Params) -> tuple[int, int | None]:
    """Return the half-open range of seconds that ``created``, ``created[gte]`` and the like select."""
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
