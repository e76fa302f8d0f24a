"""Ids and keys that survive everything: published with vectors, reversible, and never the same for two things."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from recordfirst.core import identity
from recordfirst.errors import BadId, BadKey

VECTORS = Path(__file__).parent / "vectors"
TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


def vectors(name: str) -> list:
    return json.loads((VECTORS / f"{name}.json").read_text())


# ── vectors: a changed derivation would make every open workflow a stranger ─


@pytest.mark.parametrize("vector", vectors("engine_id"), ids=lambda v: v["is"])
def test_engine_id_never_changes(vector):
    """P3: the id of a workflow at the engine is what it was, and reads back."""
    given = vector["app"], vector["id"], vector["epoch"]
    assert identity.engine_id(*given) == vector["is"]
    assert identity.parse_engine_id(vector["is"]) == (*given, "")


@pytest.mark.parametrize("vector", vectors("provider_key"), ids=lambda v: v["is"][:40])
def test_provider_key_never_changes(vector):
    """P3: a key that was sent once is sent again, by whatever version."""
    given = {name: value for name, value in vector.items() if name != "is"}
    assert identity.provider_key(**given) == vector["is"]


@pytest.mark.parametrize("vector", vectors("derived_uuid"), ids=lambda v: v["key"])
def test_derived_uuid_never_changes(vector):
    """P3: a row or message that takes its id from a key finds itself again."""
    assert str(identity.derived_uuid(vector["key"])) == vector["is"]


@pytest.mark.parametrize("vector", vectors("transfer_id"), ids=lambda v: v["is"])
def test_transfer_id_never_changes(vector):
    """P3, trap 29: a transfer that was sent once is sent again under its id, by whatever version."""
    given = {name: value for name, value in vector.items() if name != "is"}
    assert str(identity.transfer_id(**given)) == vector["is"]


@pytest.mark.parametrize("vector", vectors("ledger_mark"), ids=lambda v: v["is"])
def test_ledger_mark_never_changes(vector):
    """P10: what a ledger holds is found by its business key, by whatever version."""
    given = {name: value for name, value in vector.items() if name != "is"}
    assert str(identity.ledger_mark(**given)) == vector["is"]


@pytest.mark.parametrize("vector", vectors("account_id"), ids=lambda v: v["name"])
def test_account_id_never_changes(vector):
    """P3: an account that takes its id from a name finds itself again."""
    assert str(identity.account_id(vector["name"])) == vector["is"]


@given(keys=st.lists(st.tuples(TEXT, st.integers(1, 3), st.integers(0, 3)), min_size=2, unique=True), ms=st.integers(0))
def test_transfer_ids_differ_and_lead_with_time(keys, ms):
    """P3: no two keys, attempts or parts share an id; one made later, in milliseconds, is greater."""
    ms %= 1 << 47
    ids = [identity.transfer_id("shop", key, attempt, part, ms) for key, attempt, part in keys]
    later = [identity.transfer_id("shop", key, attempt, part, ms + 1) for key, attempt, part in keys]
    assert len(set(ids)) == len(ids)
    assert max(ids) < min(later) < 1 << 128
    assert [id & ((1 << 80) - 1) for id in ids] == [id & ((1 << 80) - 1) for id in later]


@pytest.mark.parametrize("vector", vectors("call_segment"), ids=lambda v: v["is"])
def test_call_segment_never_changes(vector):
    """P8: a workflow that an engine holds finds its own steps again, by whatever version."""
    given = {name: value for name, value in vector.items() if name != "is"}
    assert identity.call_segment(**given) == vector["is"]


# ── engine ids ──────────────────────────────────────────────────────────────


@given(app=TEXT, id=TEXT, epoch=st.integers(1, 10_000))
@example(app="shop", id="order:42", epoch=1)
@example(app="a~b", id="~2", epoch=2)
@example(app="%7E", id="100% ~:.", epoch=1)
@example(app="läden", id=" a.b c:d~3 ", epoch=3)
def test_engine_id_is_reversible(app, id, epoch):
    """P8: any id works, and is never taken for another."""
    engine = identity.engine_id(app, id, epoch)
    assert ":" not in engine
    assert identity.parse_engine_id(engine) == (app, id, epoch, "")


def test_engine_id_carries_its_lineage():
    """P10: what runs below a workflow names the workflow."""
    assert identity.parse_engine_id("shop~order%3A42~2:1:3") == ("shop", "order:42", 2, "1:3")


@given(st.tuples(TEXT, TEXT, st.integers(1, 3)), st.tuples(TEXT, TEXT, st.integers(1, 3)))
def test_engine_ids_differ(one, other):
    """P8: two workflows never share a promise, nor do two epochs of one."""
    assert (identity.engine_id(*one) == identity.engine_id(*other)) == (one == other)


@pytest.mark.parametrize("id", ["", None, 42, b"x", "a\0b", "\ud800"])
def test_id_that_no_store_can_carry(id):
    """P8: refused at the start, naming the id."""
    with pytest.raises(BadId) as refused:
        identity.check_id(id)
    assert str(pickle.loads(pickle.dumps(refused.value))) == str(refused.value)


# ── provider keys ───────────────────────────────────────────────────────────

type Parts = tuple[str, str, int, int]
PARTS = st.tuples(TEXT, TEXT, st.integers(1, 3), st.integers(0, 2))


@given(PARTS, PARTS)
@example(("shop", "order:1#2", 1, 0), ("shop", "order:1", 2, 0))
@example(("shop", "order:1~1", 1, 0), ("shop", "order:1", 1, 1))
@example(("a/b", "c", 1, 0), ("a", "b/c", 1, 0))
@example(("a", "%23", 1, 0), ("a", "#", 1, 0))
def test_provider_keys_differ(one: Parts, other: Parts):
    """P3 P8: two effects, attempts or reissues never share a key at the provider."""
    assert (identity.provider_key(*one, 10_000) == identity.provider_key(*other, 10_000)) == (one == other)


@given(PARTS, st.integers(20, 300))
def test_provider_key_is_within_its_limit(parts: Parts, limit):
    """P3: whatever the limit; what is cut becomes a hash, so that keys stay apart."""
    key = identity.provider_key(*parts, limit)
    assert 0 < len(key) <= limit
    app, text, attempt, reissue = parts
    longer = [identity.provider_key(app, f"{text}{'x' * 300}{end}", attempt, reissue, limit) for end in "yz"]
    assert longer[0] != longer[1]


@given(PARTS)
def test_provider_key_fits_a_header(parts: Parts):
    """P5: a key never makes a request that cannot be sent."""
    assert all("!" <= character <= "~" for character in identity.provider_key(*parts, 255))


def test_limit_that_leaves_no_room():
    """P3: a provider whose keys are too short to tell effects apart is refused, unless the key itself fits."""
    assert identity.provider_key("a", "b", 1, 0, 8) == "a/b"
    with pytest.raises(BadKey, match="takes 8 characters"):
        identity.provider_key("shop", "order:1", 1, 0, 8)


def test_marker_is_the_same_however_often_it_is_sent():
    """P3: a probe finds a call whatever became of its key."""
    assert identity.marker("shop", "order:1:charge", 2, 255) == "shop/order:1:charge#2"
    assert identity.provider_key("shop", "order:1:charge", 2, 3, 255) == "shop/order:1:charge#2~3"


@pytest.mark.parametrize("app", ["shop", "a/b#1~2", "ünï"])
@pytest.mark.parametrize("key", ["order:1:charge", "a/b", "50% #2", "~", "x#2", "é ü"])
@pytest.mark.parametrize("attempt", [1, 2, 17])
def test_a_marker_is_read_back(app, key, attempt):
    """P3: what a provider has under a marker is told by key and attempt; another app's, or one cut off, is not."""
    marker = identity.marker(app, key, attempt, 1 << 16)
    assert identity.parse_marker(app, marker) == (key, attempt)
    assert identity.parse_marker(f"{app}x", marker) is None
    assert identity.parse_marker(app, identity.marker(app, key * 50, attempt, 60)) is None
    assert identity.parse_marker(app, f"{marker.partition('#')[0]}#²") is None  # anybody can write there


def test_whose_wait_it_is():
    """P7: a step knows its own wait, and that of an epoch before its own; a later epoch's, and others', are not its."""
    step = "shop~order%3A1~3:charge-ab"
    for promise in ("shop~order%3A1~3:charge-ab.7", "shop~order%3A1:charge-ab.2"):
        assert identity.is_wait_of(promise, step)
    for promise in (
        "shop~order%3A1~4:charge-ab.2", "shop~order%3A1~10:charge-ab.2",
        "shop~order%3A11:charge-ab.2", "bank~order%3A1:charge-ab.2", "shop~order%3A1:part-cd.charge-ab.2",
        "shop~order%3A1:charge-ef.2", "shop~order%3A1", "shop~order%3A1:2", "no engine's",
    ):  # fmt: skip
        assert not identity.is_wait_of(promise, step)
    assert identity.is_wait_of("shop~order%3A1:part-cd.charge-ab.2", "shop~order%3A1:part-cd.charge-ab")
