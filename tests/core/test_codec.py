"""JSON as it is stored: one value, one text; and what cannot come back is refused with its type and field."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import json
import math
import os
import subprocess
import sys
import uuid
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordfirst.core import codec
from recordfirst.errors import Unencodable


class Item(msgspec.Struct, frozen=True):
    sku: str
    price: float | None = None


class Order(msgspec.Struct):
    id: str
    items: list[Item] = []


@dataclasses.dataclass
class Point:
    y: Any
    x: Any


class Colour(enum.Enum):
    RED = "red"


class Tree(msgspec.Struct):
    below: list[Tree]
    point: Point | None = None


class Model:
    """As Pydantic's are: dumps, validates, and is no struct."""

    def __init__(self, **fields):
        self.fields = fields

    def __eq__(self, other):
        return isinstance(other, Model) and other.fields == self.fields

    def __hash__(self):
        return 0

    def model_dump(self, mode="python"):
        return {name: list(v) if mode == "json" and isinstance(v, set) else v for name, v in self.fields.items()}

    @classmethod
    def model_validate(cls, value):
        if not isinstance(value, dict):
            raise ValueError("not a model")
        return cls(**value)


def encode(value):
    return codec.encode(value, "the value")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


# ── one value, one text ─────────────────────────────────────────────────────


def turned(value):
    """The same value, its dicts filled in the opposite order."""
    if isinstance(value, dict):
        return {name: turned(child) for name, child in reversed(value.items())}
    return [turned(child) for child in value] if isinstance(value, list) else value


def can_be_text(value):
    return "\\ud" not in json.dumps(value, ensure_ascii=True) or _is_text(json.dumps(value, ensure_ascii=False))


def _is_text(text):
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@given(JSON.filter(can_be_text))
def test_equal_values_have_equal_text(value):
    """P8: whatever the order in which they were made; and the text brings them back."""
    text = encode(value)
    assert encode(turned(value)) == text
    assert codec.decode(text) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ({"b": 1, "a": {"d": 2, "c": 3}}, '{"a":{"c":3,"d":2},"b":1}'),
        ({3, 1, 2}, "[1,2,3]"),
        (frozenset({"b", "a"}), '["a","b"]'),
        (Point(y=1.5, x=2), '{"y":1.5,"x":2}'),
        (Order("1", [Item("x")]), '{"id":"1","items":[{"sku":"x","price":null}]}'),
        (datetime.datetime(2026, 1, 2, 3, tzinfo=datetime.UTC), '"2026-01-02T03:00:00Z"'),
        (datetime.date(2026, 1, 2), '"2026-01-02"'),
        (Decimal("19.90"), '"19.90"'),
        (uuid.UUID(int=1), '"00000000-0000-0000-0000-000000000001"'),
        (Colour.RED, '"red"'),
        (b"x", '"eA=="'),
        (2**200 + 1, str(2**200 + 1)),
        (Model(a=1), '{"a":1}'),
        ({"m": Model(tags={"b", "a"}, rows=[{"x": {2, 1}}])}, '{"m":{"rows":[{"x":[1,2]}],"tags":["a","b"]}}'),
    ],
    ids=lambda value: type(value).__name__,
)
def test_text_of(value, text):
    """P8: the text of each kind of value, which never changes."""
    assert encode(value) == text


def test_text_is_the_same_in_every_process():
    """P8: sets of text have another order under another hash seed; their text has not."""
    program = (
        "from recordfirst.core.codec import encode\n"
        "class M:\n"
        "    def model_dump(self, mode='python'):\n"
        "        tags = {'one', 'two', 'three', 'four'}\n"
        "        return {'tags': list(tags) if mode == 'json' else tags}\n"
        "print(encode({'a': {'x', 'y', 'z', 'w'}, 'm': M()}, 'it'))"
    )
    texts = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert texts == {'{"a":["w","x","y","z"],"m":{"tags":["four","one","three","two"]}}\n'}


def test_fingerprint():
    """P8: equal texts and nothing else have equal fingerprints; the value never changes."""
    assert codec.fingerprint("a", "b") == codec.fingerprint("a", "b") != codec.fingerprint("ab", "")
    assert codec.fingerprint("charge", '{"amount":1999}') == "bcd53dd8b6134c1a85fa42e655384b47"


# ── what cannot be stored ───────────────────────────────────────────────────


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize(
    "wrap", [lambda n: n, lambda n: {"a": [None, n]}, lambda n: Item("x", n), lambda n: Model(a=n)]
)
def test_nan_does_not_become_null(number, wrap):
    """P3: a number that JSON does not have is refused, wherever it is, and never stored as another value."""
    with pytest.raises(Unencodable):
        encode(wrap(number))


def test_none_is_null():
    """P3: what is None stays None."""
    assert encode({"a": None, "b": [None], "c": "null"}) == '{"a":null,"b":[null],"c":"null"}'


class Client:
    pass


CYCLE: dict = {}
CYCLE["self"] = [CYCLE]


@pytest.mark.parametrize(
    ("value", "named"),
    [
        (Client(), "the value cannot be stored as JSON: it is .*Client"),
        ({"a": [1, {"b": Client()}]}, r"its field 'a\[1\].b' is .*Client"),
        (Order("1", [Item("x"), Item("y", math.nan)]), r"its field 'items\[1\].price' is float"),
        (Point(1, Client()), "its field 'x' is .*Client"),
        ({"o": {"k": {1: 2}}}, "its field 'o.k' is dict"),
        ({"k": {1: "a", "1": "b"}}, "its field 'k' is dict"),
        ({"s": {1, "a"}}, "its field 's' is set"),
        ({"s": {frozenset({1}), frozenset({2})}}, "its field 's' is set"),
        ({"t": "\ud800"}, "its field 't' is str"),
        ({"n": 10**5000}, "its field 'n' is int"),
        (CYCLE, "the value cannot be stored as JSON: it holds itself, or is nested too deeply"),
        (lambda: None, "it is function"),
    ],
    ids=["object", "nested", "struct", "dataclass", "int keys", "keys that collide", "mixed set", "sets of sets",
         "half a surrogate", "endless int", "cycle", "function"],
)  # fmt: skip
def test_unencodable_names_type_and_field(value, named):
    """P3: before anything depends on it, and so that an operator finds it."""
    with pytest.raises(Unencodable, match=named):
        encode(value)


# ── shapes ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("value", "type_"),
    [
        (Order("1", [Item("x", 1.5)]), Order),
        (Point(1.5, 2.5), Point),
        ({1, 2}, set[int]),
        ((1, "a"), tuple[int, str]),
        (datetime.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=datetime.UTC), datetime.datetime),
        (datetime.timedelta(days=1, microseconds=1), datetime.timedelta),
        (Decimal("1E+2"), Decimal),
        (Colour.RED, Colour),
        (b"\x00\xff", bytes),
        (None, type(None)),
        ([Model(a=1)], list[Model]),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_value_comes_back_in_its_shape(value, type_):
    """P4: what is called again gets what was first given."""
    assert codec.shape(codec.decode(encode(value)), type_, "it") == value


@pytest.mark.parametrize(("value", "type_"), [("x", int), ({"id": 1}, Order), ([], Model), ({}, Client)])
def test_wrong_shape_is_named(value, type_):
    """P8: with the type that was wanted."""
    with pytest.raises(Unencodable, match=rf"^the thing is not .*{type_.__name__}"):
        codec.shape(value, type_, "the thing")


@pytest.mark.parametrize(
    "type_", [int, Order, Point, list[Item], Model, dict[str, Decimal], Tree, "anything", object, None]
)
def test_storable_types(type_):
    """P3: what can come back, or of which nothing is known, may be declared."""
    assert codec.storable(Any if type_ == "anything" else type_) is None


class Holder(msgspec.Struct):
    client: Client | None = None


@pytest.mark.parametrize("type_", [Client, list[Client] | None, dict[str, Holder], type(lambda: 0)])
def test_types_that_never_come_back(type_):
    """P3: found out at the declaration, before any call."""
    assert codec.storable(type_) is not None
