"""The API as a function from request and state to reply. It has no server, does not wait, and is given its clock.

``begin`` takes a request through authentication, the rate limiter, the idempotency layer and validation, in Stripe's
order. It returns the reply, or an execution that is due at once or after ``wait_s``; ``finish`` executes it. Between
the two, the key is in use.

A refusal of ``begin`` is not stored under the key; a refusal of ``finish`` is. So a missing or malformed parameter may
be corrected under the same key. An amount below the minimum, an unknown payment method or a charge that was already
refunded is found during execution, and is replayed.
"""

from __future__ import annotations

import msgspec

from recordfirst.testing.clock import SimClock
from recordfirst.testing.stripe.books import Books
from recordfirst.testing.stripe.endpoints import Endpoints, Execute
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
from recordfirst.testing.stripe.log import Delays
from recordfirst.testing.stripe.wire import Refusal, Reply, Request, invalid


class Started(msgspec.Struct, frozen=True, kw_only=True):
    """An execution that has begun."""

    request: Request
    request_id: str
    execute: Execute
    fault: FaultKind | None
    wait_s: float


class Delayed(msgspec.Struct, frozen=True, kw_only=True):
    """A reply that is ready, and is sent late."""

    reply: Reply
    wait_s: float


class Api:
    """One simulated Stripe."""

    def __init__(
        self,
        clock: SimClock,
        faults: Faults,
        search_lag_s: float,
        *,
        delays: Delays | None = None,
        livemode: bool = False,
    ) -> None:
        self.clock = clock
        self.plan = FaultPlan(faults)
        self.books = Books(delays, livemode=livemode)
        self.keys = KeyStore()
        self.requests: dict[str, int] = {}
        """How many requests came with each idempotency key, whatever their outcome."""
        self.count = 0
        self._endpoints = Endpoints(self.books, clock, search_lag_s)

    def ledger(self) -> ReplyStore:
        """Return everything that was applied until now."""
        return ReplyStore(
            entries=[
                msgspec.structs.replace(entry, requests=self.requests.get(entry.key, 0)) for entry in self.books.entries
            ]
        )

    def begin(self, request: Request) -> Reply | Delayed | Started:
        """Process a request up to its execution, or to its reply."""
        self.count += 1
        self.books.agenda.run_until(self.clock.now_ms())
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
            execute, charges = self._endpoints.route(request)
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
        """Execute the request, and store the reply under its key."""
        self.books.agenda.run_until(self.clock.now_ms())
        self.books.events.cause = (started.request_id, started.request.idempotency_key)
        try:
            reply = self._execute(started)
        except Refusal as refusal:
            reply = _refused(refusal, started.request_id)
        finally:
            self.books.events.cause = (None, None)
        if started.request.method == "POST":
            self.keys.store(started.request, reply)
        match started.fault:
            case "lost_reply":
                return msgspec.structs.replace(reply, delivery="cut")
            case "timeout_after_applying":
                return msgspec.structs.replace(reply, delivery="hang")
        return reply

    def _execute(self, started: Started) -> Reply:
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
        return _reply(200, msgspec.json.encode(shown), started.request_id)

    def handle(self, request: Request) -> Reply:
        """Answer without waiting, for tests of the logic."""
        step = self.begin(request)
        if isinstance(step, Started):
            return self.finish(step)
        return step.reply if isinstance(step, Delayed) else step

    # ── the layers before an endpoint ───────────────────────────────────────

    def _authenticate(self, request: Request) -> None:
        if request.api_key is None:
            raise invalid("You did not provide an API key: as a bearer token, or with curl -u sk_test_123:", status=401)
        if not request.api_key.startswith(("sk_", "rk_")):
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


def _reply(status: int, body: bytes, request_id: str, headers: dict[str, str] | None = None) -> Reply:
    return Reply(status=status, body=body, headers={"Request-Id": request_id} | (headers or {}))


def _refused(refusal: Refusal, request_id: str) -> Reply:
    return _reply(refusal.status, msgspec.json.encode({"error": refusal.error}), request_id, refusal.headers)


def _server_error() -> Refusal:
    """Stripe says not to retry these: its idempotency layer would only replay them."""
    error = {"message": "An unknown error occurred", "type": "api_error"}
    return Refusal(500, error, {"Stripe-Should-Retry": "false"})
