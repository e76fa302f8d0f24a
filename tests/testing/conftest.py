"""The API without a server, and async tests."""

from __future__ import annotations

import pytest

from recordfirst.testing import Faults, SimClock
from recordfirst.testing.stripe.api import Api
from recordfirst.testing.stripe.wire import Request


@pytest.fixture
def clock() -> SimClock:
    """Time that moves only when told to."""
    return SimClock(start_ms=1_800_000_000_000, monotonic_ms=lambda: 0)


@pytest.fixture
def api(clock: SimClock) -> Api:
    return Api(clock, Faults(), search_lag_s=60)


PAY = {"amount": "1999", "currency": "usd", "confirm": "true", "payment_method": "pm_card_visa"}


def post(path: str = "/v1/payment_intents", key: str | None = "k", **params: str) -> Request:
    """A POST; a payment, if nothing else is said."""
    chosen = params or PAY
    return Request(method="POST", path=path, params=chosen, api_key="sk_test_x", idempotency_key=key)


def get(path: str, **params: str) -> Request:
    return Request(method="GET", path=path, params=params, api_key="sk_test_x")


@pytest.fixture(name="post")
def fixture_post():
    return post


@pytest.fixture(name="get")
def fixture_get():
    return get


@pytest.fixture
def pay() -> dict[str, str]:
    return dict(PAY)
