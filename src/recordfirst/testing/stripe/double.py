"""A Stripe double in the process of the caller: the simulator's API without a socket.

It outlives processes. Each request that could change something is stored in an :class:`Outside`. Before a process asks,
it replays to its API the requests that others have made, at the times of those requests. So keys are honoured for 24
hours of the outside's time, and every process sees the same stored replies, declines and listings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec

from recordfirst.testing.clock import SimClock
from recordfirst.testing.outside import Asked, Outside
from recordfirst.testing.stripe.api import Api, Delayed, Started
from recordfirst.testing.stripe.faults import FaultKind, Faults, Scripted
from recordfirst.testing.stripe.ledger import METADATA_KEY
from recordfirst.testing.stripe.objects import PaymentIntent, Refund
from recordfirst.testing.stripe.wire import Reply, Request, parse_form

API_KEY = "sk_test_double"
"""The API key of all its clients."""


def double_of(
    outside: Outside,
    *,
    faults: Faults | None = None,
    next: Iterable[FaultKind] = (),
    read: Callable[[Any], Any] | None = None,
    search_lag_s: float = 60.0,
) -> StripeDouble:
    """Return the double behind ``stripe_double``, which documents the arguments."""
    return StripeDouble(outside, faults or Faults(), next, read or _read_by_default, search_lag_s)


def _read_by_default(made: Any) -> Any:  # it has the fields that the SDK's object has
    from recordfirst.providers.stripe.probe import payment_as_it_is, refund_as_it_is  # noqa: PLC0415 - an extra

    return payment_as_it_is(made) if made.object == "payment_intent" else refund_as_it_is(made)


class StripeDouble:
    """The API's state, after the requests of all processes."""

    def __init__(
        self,
        outside: Outside,
        faults: Faults,
        next: Iterable[FaultKind],
        read: Callable[[Any], Any],
        search_lag_s: float,
    ) -> None:
        self._outside, self._read, self._seen = outside, read, 0
        self._now_ms = 0
        self.api = Api(SimClock(0, lambda: self._now_ms), faults, search_lag_s)
        self.api.plan.orders.extend(Scripted(kind=kind) for kind in next)

    def ask(self, method: str, url: str, headers: Mapping[str, str], body: str) -> tuple[Reply, float]:
        """Return the answer, and how many seconds late it comes."""
        parts = urlsplit(url)
        given = {name.lower(): value for name, value in headers.items()}
        request = Request(
            method=method.upper(),
            path=parts.path,
            params=parse_form(body or parts.query),
            api_key=given.get("authorization", "").removeprefix("Bearer ") or None,
            account=given.get("stripe-account", ""),
            idempotency_key=given.get("idempotency-key"),
        )
        with self._outside.lock:
            self._catch_up()
            reply, late_s, asked = self._handle(request, self._outside.now_ms())
            if asked is not None:
                self._outside.keep(asked)
                self._seen += 1
        return reply, late_s

    def _catch_up(self) -> None:
        """Apply the requests that others have made since."""
        for asked in self._outside.asked[self._seen :]:
            if asked.kind.startswith("stripe "):
                self._handle(_request_of(asked), asked.at_ms)
            self._seen += 1

    def _handle(self, request: Request, now_ms: int) -> tuple[Reply, float, Asked | None]:
        """Return the answer, its delay, and the request to store: none, if it only reads."""
        self._now_ms = now_ms
        self.api.books.agenda.run_until(now_ms)  # changes that were due before are not part of this request
        before = len(self.api.books.entries), len(self.api.books.intents)
        step = self.api.begin(request)
        executes = isinstance(step, Started)
        late_s = 0.0 if isinstance(step, Reply) else step.wait_s
        if isinstance(step, Started):
            step = self.api.finish(step)
        reply = step.reply if isinstance(step, Delayed) else step
        if request.method != "POST":
            return reply, late_s, None
        done = self._done_since(*before)
        asked = Asked(
            kind=f"stripe {request.path}",
            request={**request.params, **({_ACCOUNT: request.account} if request.account else {})},
            key=request.idempotency_key,
            marker=request.params.get(f"metadata[{METADATA_KEY}]"),
            at_ms=now_ms,
            repeats=not executes and reply.headers.get("Idempotent-Replayed") == "true",
            result=None if done is None else msgspec.to_builtins(self._read(done)),
            refused=None if done is not None else _why(reply),
        )
        return reply, late_s, asked

    def _done_since(self, entries: int, intents: int) -> PaymentIntent | Refund | None:
        """Return the object that was made, or moved money, after the first ``entries`` and ``intents``, if any."""
        books = self.api.books
        if len(books.entries) > entries:
            entry = books.entries[-1]
            match entry.kind:
                case "charge":
                    return books.intents[entry.payment_intent]
                case "refund":
                    return books.refunds.all.page(since=0, before=None, starting_after=None, limit=1)[0][0]
                case _:
                    return None
        return next(reversed(books.intents.values())) if len(books.intents) > intents else None


_ACCOUNT = "Stripe-Account"


def _request_of(asked: Asked) -> Request:
    params = dict(asked.request)
    return Request(
        method="POST",
        path=asked.kind.removeprefix("stripe "),
        api_key=API_KEY,
        account=params.pop(_ACCOUNT, ""),
        params=params,
        idempotency_key=asked.key,
    )


class _Error(msgspec.Struct, frozen=True):
    code: str = ""
    type: str = ""


class _Body(msgspec.Struct, frozen=True):
    error: _Error = _Error()


def _why(reply: Reply) -> str | None:
    """Return why nothing was applied, if the answer says so."""
    if reply.status == _OK:
        return None
    error = msgspec.json.decode(reply.body, type=_Body).error if reply.body else _Error()
    return error.code or error.type or (f"HTTP {reply.status}" if reply.status else "not reached")


_OK = 200
