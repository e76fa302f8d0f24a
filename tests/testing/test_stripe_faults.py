"""Faults are scripted: the same seed breaks the same requests, and an order breaks the next one."""

from __future__ import annotations

import msgspec
import pytest

from recordfirst.testing.stripe.api import Api
from recordfirst.testing.stripe.faults import KINDS, Faults, Scripted


def test_faults_are_a_function_of_seed_key_and_count():
    """P3: a run repeats, in whatever order its requests arrive."""
    faults = Faults(seed=7, lost_reply=0.3, decline=0.3)
    drawn = {(k, n): faults.draw(f"k{k}", n) for k in range(200) for n in (1, 2)}
    assert {at: faults.draw(f"k{at[0]}", at[1]) for at in reversed(drawn)} == drawn
    assert {at: Faults(seed=8, lost_reply=0.3, decline=0.3).draw(f"k{at[0]}", at[1]) for at in drawn} != drawn


def test_a_retry_draws_again():
    """P3: a key is not cursed: its second request has its own fate."""
    faults = Faults(seed=7, lost_reply=0.5)
    assert any(faults.draw(f"k{k}", 1) != faults.draw(f"k{k}", 2) for k in range(50))


@pytest.mark.parametrize("kind", KINDS)
def test_rates_are_kept(kind):
    """P3: a rate of one in ten hits about a tenth."""
    faults = msgspec.convert({"seed": 1, kind: 0.1}, Faults)
    hits = sum(faults.draw(f"k{k}", 1) == kind for k in range(5000))
    assert 400 < hits < 600


@pytest.mark.parametrize("wrong", [{"decline": -0.1}, {"decline": 0.6, "slow": 0.6}, {"slow": 0.1, "slow_s": -1}])
def test_rates_that_cannot_be_are_refused(wrong):
    """P8: a plan that makes no sense is an error where it is made."""
    with pytest.raises(ValueError, match=r"fault rates|not be negative"):
        Faults(**wrong)


def test_an_order_waits_for_the_request_it_is_meant_for(api: Api, post, get):
    """P3: an order for a refund leaves charges and reads alone."""
    api.plan.orders.append(Scripted(kind="error_before", on="POST /v1/refunds"))
    charge = api.handle(post())
    assert (charge.status, api.handle(get("/v1/refunds")).status) == (200, 200)
    intent = api.ledger().charges[0].payment_intent
    assert api.handle(post("/v1/refunds", key="r", payment_intent=intent)).status == 500


def test_an_order_to_execute_badly_is_not_spent_on_a_replay(api: Api, post):
    """P3: a replay executes nothing, so a fault of execution waits for the next that does."""
    api.handle(post(key="a"))
    api.plan.orders.append(Scripted(kind="error_before"))
    assert api.handle(post(key="a")).status == 200
    assert api.handle(post(key="b")).status == 500


@pytest.mark.parametrize(
    ("kind", "charges", "first", "then"),
    [
        ("reset_before", 0, (0, "cut"), 200),
        ("rate_limited", 0, (429, "send"), 200),
        ("error_before", 0, (500, "send"), 500),
        ("error_after", 1, (500, "send"), 500),
        ("lost_reply", 1, (200, "cut"), 200),
        ("timeout_after_applying", 1, (200, "hang"), 200),
        ("decline", 0, (402, "send"), 402),
        ("slow", 1, (200, "send"), 200),
    ],
)
def test_each_fault_does_what_it_says(api: Api, post, kind, charges, first, then):
    """P3: what was applied, what came back, and what the same key answers afterwards."""
    api.plan.orders.append(Scripted(kind=kind))
    reply = api.handle(post())
    assert (reply.status, reply.delivery) == first
    assert len(api.ledger().charges) == charges
    assert api.handle(post()).status == then


def test_replies_of_replays_can_be_lost_too(api: Api, post):
    """P3: the way back is no safer for a stored reply."""
    api.handle(post())
    api.plan.orders.extend([Scripted(kind="lost_reply"), Scripted(kind="timeout_after_applying")])
    assert [api.handle(post()).delivery for _ in range(3)] == ["cut", "hang", "send"]


def test_reads_are_spared_unless_ordered(api: Api, get):
    """P3: rates hit what changes something; a read breaks only when told to."""
    api.plan.faults = Faults(rate_limited=1.0)
    assert api.handle(get("/v1/payment_intents")).status == 200
    api.plan.orders.append(Scripted(kind="rate_limited", on="GET /v1/payment_intents"))
    assert api.handle(get("/v1/payment_intents")).status == 429
