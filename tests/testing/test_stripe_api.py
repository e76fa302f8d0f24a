"""Payments, refunds, lists and search, as Stripe's reference describes them."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from recordfirst.testing.stripe.api import Api
from recordfirst.testing.stripe.search import parse_query
from recordfirst.testing.stripe.wire import Refusal, Reply


def body(reply: Reply) -> Any:
    return json.loads(reply.body)


@pytest.mark.parametrize(
    ("method", "code", "decline_code"),
    [
        ("pm_card_chargeDeclined", "card_declined", "generic_decline"),
        ("pm_card_visa_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card"),
    ],
)
def test_declines_tell_why_and_stay_readable(api: Api, post, get, pay, method, code, decline_code):
    """P5: a decline is a 402 whose payment intent stays, with the reason in it."""
    reply = api.handle(post(**pay | {"payment_method": method}))
    error = body(reply)["error"]
    assert (reply.status, error["code"], error["decline_code"]) == (402, code, decline_code)
    intent = body(api.handle(get(f"/v1/payment_intents/{error['payment_intent']['id']}")))
    assert (intent["status"], intent["last_payment_error"]["decline_code"]) == ("requires_payment_method", decline_code)
    assert [entry.code for entry in api.ledger().declines] == [decline_code]


def test_two_steps(api: Api, post):
    """P3: created without confirm nothing is charged; confirming charges, once."""
    intent = body(api.handle(post(amount="500", currency="eur")))
    assert (intent["status"], api.ledger().charges) == ("requires_payment_method", [])
    confirm = f"/v1/payment_intents/{intent['id']}/confirm"
    paid = body(api.handle(post(confirm, key="c", payment_method="pm_card_visa")))
    again = api.handle(post(confirm, key="d", payment_method="pm_card_visa"))
    assert (paid["status"], paid["amount_received"]) == ("succeeded", 500)
    assert body(again)["error"]["code"] == "payment_intent_unexpected_state"
    assert len(api.ledger().charges) == 1


def test_declined_intent_takes_another_card(api: Api, post, pay):
    """P5: after a decline the same intent can be confirmed with another payment method, under another key."""
    declined = body(api.handle(post(**pay | {"payment_method": "pm_card_chargeDeclined"})))["error"]
    confirm = f"/v1/payment_intents/{declined['payment_intent']['id']}/confirm"
    assert body(api.handle(post(confirm, key="2", payment_method="pm_card_visa")))["status"] == "succeeded"


def test_refunds_never_exceed_the_charge(api: Api, post):
    """P3: parts are refunded until nothing is left; more is refused."""
    intent = body(api.handle(post()))["id"]

    def refund(key: str, **more: str) -> Reply:
        return api.handle(post("/v1/refunds", key=key, payment_intent=intent, **more))

    assert body(refund("r1", amount="999"))["amount"] == 999
    assert refund("r2", amount="1001").status == 400
    assert body(refund("r3"))["amount"] == 1000
    assert body(refund("r4"))["error"]["code"] == "charge_already_refunded"
    assert api.ledger().totals()["refund"] == {"count": 2, "usd": 1999}


def test_lists_page_newest_first(api: Api, clock, post, get):
    """P10: pages follow each other without gap or repetition, within the time asked for."""
    times = []
    for n in range(7):
        api.handle(post(key=f"k{n}"))
        times.append(clock.now_ms() // 1000)
        clock.advance(10)
    everything = body(api.handle(get("/v1/payment_intents", limit="100")))["data"]
    params, pages = {"limit": "3", "created[gte]": str(times[1])}, []
    while True:
        page = body(api.handle(get("/v1/payment_intents", **params)))
        pages.append([item["created"] for item in page["data"]])
        if not page["has_more"]:
            break
        params["starting_after"] = page["data"][-1]["id"]
    assert pages == [times[6:3:-1], times[3:0:-1]]
    assert [item["created"] for item in everything] == times[::-1]


def test_lists_by_customer(api: Api, post, get, pay):
    """P10: one customer's payments are listed alone."""
    for n in range(6):
        api.handle(post(key=f"k{n}", **pay | {"customer": f"cus_{n % 2}"}))
    page = body(api.handle(get("/v1/payment_intents", customer="cus_1")))
    assert [item["customer"] for item in page["data"]] == ["cus_1"] * 3


def test_search_lags(api: Api, clock, post, get, pay):
    """P3: what was just created is not found yet; a minute later it is."""
    api.handle(post(**pay | {"metadata[order]": "o'1"}))
    query = {"query": r"metadata['order']:'o\'1' AND status:'succeeded'"}
    assert body(api.handle(get("/v1/payment_intents/search", **query)))["data"] == []
    clock.advance(60)
    assert len(body(api.handle(get("/v1/payment_intents/search", **query)))["data"]) == 1


@pytest.mark.parametrize("text", ["", "amount>1", "status:'succeeded'", "metadata['a']:'b' OR status:'x'"])
def test_queries_it_does_not_know_are_refused(text):
    """P8: a query is answered in full, or not at all."""
    with pytest.raises(Refusal):
        parse_query(text)


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"api_key": None}, 401),
        ({"api_key": "pk_test"}, 401),
        ({"path": "/v1/customers"}, 404),
        ({"method": "DELETE"}, 404),
    ],
)
def test_what_it_cannot_do_it_says(api: Api, post, change, status):
    """P8: wrong credentials and unknown endpoints are errors, never silence."""
    assert api.handle(msgspec.structs.replace(post(), **change)).status == status


def test_what_does_not_matter_to_a_test_card_is_taken(api: Api, post, pay):
    """P8: parameters of a real integration do not stop a test, and count when the key comes again."""
    more = {"allowed_payment_method_types[0]": "card", "return_url": "https://shop.example"}
    assert api.handle(post(**pay | more)).status == 200
    assert api.handle(post(**pay)).status == 400


def test_ledger_shows_duplicates_and_requests(api: Api, post, pay):
    """P10: two charges under one marker stand out, with the requests that each key took."""
    marked = pay | {"metadata[recordfirst_key]": "shop/o1"}
    for key in ("a", "a", "b"):
        api.handle(post(key=key, **marked))
    ledger = api.ledger()
    assert ledger.duplicates() == {"shop/o1": [entry.id for entry in ledger.charges]}
    assert [entry.requests for entry in ledger.charges] == [2, 1]
    assert ledger.totals()["charge"] == {"count": 2, "usd": 3998}
    assert list(ledger.charges_by()) == ["shop/o1"]
