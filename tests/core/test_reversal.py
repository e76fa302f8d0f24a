"""The table of reversals: what a provider has, and what is so by that (P11)."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from recordfirst.core.reversal import (
    FACTS,
    TRIES_MOST,
    Reversal,
    TakenBack,
    compare,
    is_ours,
    next_try_ms,
    reversal_hash,
)

TABLE = [
    ("refund", "stands", [("refunded", 500)]),
    ("refund", "ended", [("refunded", 500), ("refund_failed", -500)]),
    ("dispute", "stands", [("disputed", 500)]),
    ("dispute", "ended", [("disputed", 500), ("dispute_won", -500)]),
    ("dispute", "lost", [("disputed", 500), ("dispute_lost", 0)]),
    ("return", "stands", [("returned", 500)]),
    ("return", "ended", [("returned", 500), ("return_ended", -500)]),
    ("return", "lost", [("returned", 500)]),
    ("failure", "stands", [("failed", 500)]),
]


def taken(how: Any = "refund", state: Any = "stands", id: str = "re_1", **what: Any) -> TakenBack:
    given: dict[str, Any] = {"amount_minor": 500, "currency": "usd", "at_ms": 1} | what
    return TakenBack(how=how, state=state, id=id, **given)


def facts(*found: TakenBack, stored: Any = ()) -> list[Reversal]:
    return compare(stored, found).new


@pytest.mark.parametrize(("how", "state", "expected"), TABLE)
def test_p11_what_a_provider_has_says_what_is_so(how, state, expected):
    """Kinds in order, and what of the effect each takes back."""
    assert [(each.kind, each.taken_minor) for each in facts(taken(how, state))] == expected


def test_the_table_is_whole():
    """No row of the code is left out here, and what is no row is refused."""
    assert {(how, state) for how, state, _ in TABLE} == set(FACTS)
    with pytest.raises(ValueError, match="a failure is not lost"):
        taken("failure", "lost")


@pytest.mark.parametrize("how", ["refund", "dispute", "return"])
def test_p11_whenever_it_is_looked_at_the_facts_are_the_same(how):
    """Looked at at each state or only at the end, in whichever order looks are stored: each fact is stored once."""
    states = [state for kind, state in FACTS if kind == how and state != "lost"]
    whole = {each.kind for each in facts(taken(how, "ended"))}
    for looks in itertools.permutations([*states, "ended"]):
        stored: list[Reversal] = []
        for state in looks:
            stored += facts(taken(how, state), stored=stored)
        kinds = [each.kind for each in stored]
        assert set(kinds) == whole, looks
        assert len(kinds) == len(set(kinds))


def test_p11_several_are_told_in_the_order_of_their_time():
    """Two refunds and a dispute, each its own fact; another amount or id is another."""
    found = [taken(id="re_2", at_ms=3), taken("dispute", "lost", id="du_1", at_ms=2), taken(id="re_1", amount_minor=1)]
    assert [(each.kind, each.id) for each in facts(*found)] == [
        ("refunded", "re_1"), ("disputed", "du_1"), ("dispute_lost", "du_1"), ("refunded", "re_2"),
    ]  # fmt: skip
    hashes = {reversal_hash("stripe", each) for each in facts(*found)} | {reversal_hash("bank", facts(taken())[0])}
    assert len(hashes) == 5


def test_p11_what_is_stored_and_not_so_is_told():
    """Gone, another amount or currency, or a state that it had not come to; what is stored stays."""
    stored = facts(taken(), taken("dispute", "ended", id="du_1"))
    assert compare(stored, [taken(), taken("dispute", "ended", id="du_1")]) == ([], [])
    assert compare(stored, [taken("dispute", "ended", id="du_1")]).differs == [
        "refunded re_1 of 500 usd (minor units) is stored, and the provider has nothing of it"
    ]
    assert compare(stored[-1:], [taken(amount_minor=400, currency="eur")]) == (
        [],
        ["refunded re_1 of 500 usd (minor units) is stored, and the provider has 400 eur"],
    )
    assert "the provider says dispute stands" in compare(stored, [taken(), taken("dispute", id="du_1")]).differs[0]


def test_p11_what_a_call_of_ours_has_made_is_no_reversal():
    """By its marker, another attempt's or one whose tail was cut off too, or by a receipt that has its id."""
    assert is_ours(taken(marker="shop/order:1:refund"), "shop/", made_by_a_call=False)
    assert is_ours(taken(marker="shop/order:1~4d1c"), "shop/", made_by_a_call=False)
    assert is_ours(taken(), "shop/", made_by_a_call=True)
    assert not is_ours(taken(), "shop/", made_by_a_call=False)
    assert not is_ours(taken(marker="shopping/order:1:refund"), "shop/", made_by_a_call=False)
    assert not is_ours(taken("failure", marker="shop/order:1:refund"), "shop/", made_by_a_call=True)


def test_p9_a_handler_is_tried_later_and_later_and_then_stopped():
    """As often as it is said."""
    waits = [next_try_ms(failed) for failed in range(1, TRIES_MOST + 1)]
    assert waits == [1_000, 2_000, 5_000, 10_000, 30_000, 60_000, 60_000, None]


def test_p11_what_takes_back_is_told_once_whatever_it_is_called_by_now():
    """A bank calls it a dispute, and later a return, or this code does: no amount counts twice, and it is told."""
    stored = facts(taken("dispute", id="dp_1"))
    found = compare(stored, [taken("return", id="dp_1")])
    assert (found.new, len(found.differs)) == ([], 1)


def test_p11_only_a_refund_may_be_ours():
    """An effect that answers a dispute refers to it, and has not made it."""
    assert is_ours(taken("refund"), "shop/", made_by_a_call=True)
    for how in ("dispute", "return", "failure"):
        assert not is_ours(taken(how, marker="shop/1"), "shop/", made_by_a_call=True)
