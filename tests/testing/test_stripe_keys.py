"""Idempotency keys behave as https://docs.stripe.com/api/idempotent_requests says, sentence by sentence."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from recordfirst.testing.stripe.api import Started
from recordfirst.testing.stripe.faults import Scripted
from recordfirst.testing.stripe.wire import Reply


def error(reply: Reply) -> Any:
    return json.loads(reply.body)["error"]


def test_first_result_is_stored_and_replayed(api, post):
    """P3: the same key and parameters get the first result, marked as replayed, and nothing happens again."""
    first, second = api.handle(post()), api.handle(post())
    assert (second.status, second.body) == (first.status, first.body) == (200, first.body)
    assert second.headers["Idempotent-Replayed"] == "true"
    assert second.headers["Original-Request"] == first.headers["Request-Id"] != second.headers["Request-Id"]
    assert len(api.ledger().charges) == 1


def test_order_of_parameters_does_not_matter(api, post, pay):
    """P3: the same parameters in another order are the same request."""
    api.handle(post(**pay))
    assert api.handle(post(**dict(reversed(pay.items())))).headers["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize("fault", ["error_before", "error_after", "decline"])
def test_failures_are_stored_too(api, post, fault):
    """P5: a 402 or 500 replays for as long as the key epochs; what was applied stays applied."""
    api.plan.orders.append(Scripted(kind=fault))
    first = api.handle(post())
    replays = [api.handle(post()) for _ in range(3)]
    assert {(r.status, r.body) for r in replays} == {(first.status, first.body)}
    assert first.status == (402 if fault == "decline" else 500)
    assert len(api.ledger().charges) == (1 if fault == "error_after" else 0)


def test_other_parameters_are_refused(api, post, pay):
    """P8: a key stands for one request: with another amount it is a 400 idempotency_error."""
    api.handle(post(**pay))
    reply = api.handle(post(**pay | {"amount": "2000"}))
    assert (reply.status, error(reply)["type"]) == (400, "idempotency_error")
    assert "same parameters" in error(reply)["message"]


def test_another_endpoint_is_refused(api, post):
    """P8: a refund cannot use the key of its charge."""
    intent = json.loads(api.handle(post()).body)["id"]
    reply = api.handle(post("/v1/refunds", payment_intent=intent))
    assert (reply.status, error(reply)["type"]) == (400, "idempotency_error")
    assert "'/v1/refunds' vs '/v1/payment_intents'" in error(reply)["message"]
    assert api.ledger().refunds == []


def test_refused_reuse_leaves_the_first_result(api, post, pay):
    """P3: a conflict changes nothing about what the key stands for."""
    first = api.handle(post(**pay))
    api.handle(post(**pay | {"amount": "2000"}))
    assert api.handle(post(**pay)).body == first.body


def test_key_in_use_is_a_conflict(api, post):
    """P3: while the first request runs, a second with its key gets 409; once it ended, the result."""
    running = api.begin(post())
    assert isinstance(running, Started)
    busy = api.handle(post())
    assert (busy.status, error(busy)["code"]) == (409, "idempotency_key_in_use")
    done = api.finish(running)
    assert api.handle(post()).body == done.body


@pytest.mark.parametrize("wrong", [{"amount": "x"}, {"amount": "0"}, {"currency": "zzz"}, {"colour": "red"}])
def test_what_fails_validation_stores_nothing(api, post, pay, wrong):
    """P3: refused before execution, the key is free: the corrected request executes under it."""
    assert api.handle(post(**pay | wrong)).status == 400
    assert api.handle(post(**pay)).status == 200


def test_what_execution_refuses_is_stored(api, post, pay):
    """P5: an amount below the minimum is found by the endpoint, and stays the key's answer."""
    first = api.handle(post(**pay | {"amount": "49"}))
    again = api.handle(post(**pay | {"amount": "49"}))
    assert (first.status, error(first)["code"]) == (400, "amount_too_small")
    assert again.headers["Idempotent-Replayed"] == "true"


def test_rate_limit_comes_before_the_key(api, post):
    """P3: a 429 stores nothing, claims nothing, and says when to come back."""
    api.plan.orders.append(Scripted(kind="rate_limited"))
    limited = api.handle(post())
    assert (limited.status, limited.headers["Retry-After"]) == (429, "1")
    assert api.handle(post()).status == 200


def test_key_expires_after_a_day(api, clock, post):
    """P3: one millisecond short of 24 hours the key replays; then it is forgotten, and the charge happens again."""
    api.handle(post())
    clock.advance(24 * 3600 - 0.001)
    api.handle(post())
    assert len(api.ledger().charges) == 1
    clock.advance(0.001)
    api.handle(post())
    assert len(api.ledger().charges) == 2


def test_an_expired_key_behind_a_running_one_is_forgotten(api, clock, post):
    """P3: a request that runs for a day keeps its own key, and no other."""
    running = api.begin(post(key="slow"))
    api.handle(post(key="k"))
    clock.advance(24 * 3600)
    api.handle(post(key="k"))
    assert len(api.ledger().charges) == 2
    assert api.handle(post(key="slow")).status == 409
    api.finish(running)


def test_expired_keys_take_no_memory(api, clock, post):
    """P3: what expired is dropped, not kept for ever."""
    for n in range(50):
        api.handle(post(key=f"k{n}"))
    clock.advance(24 * 3600)
    api.handle(post(key="new"))
    assert len(api.keys) == 1


def test_accounts_share_no_keys(api, post):
    """P3: a key belongs to an account."""
    api.handle(post())
    api.handle(msgspec.structs.replace(post(), account="acct_2"))
    assert len(api.ledger().charges) == 2


def test_key_longer_than_255_is_refused(api, post):
    """P8: too long a key is an error, not cut off."""
    assert api.handle(post(key="k" * 256)).status == 400
    assert api.handle(post(key="k" * 255)).status == 200
