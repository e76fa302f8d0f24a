"""P12: what was read back equals what was given, in type and value, or it is said where it does not."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import math
import uuid
import zoneinfo
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from decimal import Decimal
from typing import Any, NamedTuple, TypedDict

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordfirst.core import codec, values
from recordfirst.errors import Unencodable

D = Decimal
UTC = datetime.UTC
NAIVE = datetime.datetime(2026, 1, 1, 2, 3, 4, 5)  # noqa: DTZ001 - what users give


class Colour(enum.StrEnum):
    RED = "red"


class Size(enum.IntEnum):
    BIG = 1


class Flat(msgspec.Struct, frozen=True):
    id: str
    n: int | None = None


class Order(msgspec.Struct):
    id: str
    lines: list[Flat] = []
    note: Any = None


class Express(Order):
    by: str = "air"


class Renamed(msgspec.Struct, rename="camel", tag="r", omit_defaults=True):
    some_id: str = "x"
    tags: Sequence[str] = ()


@dataclasses.dataclass
class Line:
    sku: str
    total: int = dataclasses.field(init=False, default=0)
    seen: int = dataclasses.field(default=0, compare=False)


class Pair(NamedTuple):
    a: int
    b: str


class Doc(TypedDict):
    a: int


class Card(pydantic.BaseModel):
    id: str
    token: pydantic.SecretStr


class Hidden(pydantic.BaseModel):
    id: str
    pin: str = pydantic.Field(default="", exclude=True)


class Aliased(pydantic.BaseModel):
    some_id: str = pydantic.Field(alias="someId")


class Trimmed(pydantic.BaseModel):
    id: str

    @pydantic.field_validator("id")
    @classmethod
    def trim(cls, id: str) -> str:
        return id.strip()


class Sum(pydantic.BaseModel):
    a: int
    rows: list[dict[str, Decimal]] = []

    @pydantic.computed_field  # type: ignore[prop-decorator]
    @property
    def twice(self) -> int:
        return 2 * self.a


class Private(pydantic.BaseModel):
    id: str
    _token: str = pydantic.PrivateAttr(default="")


class ById(pydantic.BaseModel):
    id: str
    pin: str = pydantic.Field(default="", exclude=True)

    def __eq__(self, other):
        return isinstance(other, ById) and other.id == self.id

    def __hash__(self):
        return hash(self.id)


def line_of(total):
    line = Line("x")
    line.total = total
    return line


def private():
    made = Private(id="1")
    made._token = "t"
    return made


def found(value, declared, *, result=False):
    """Where it differs; ``""`` for the whole; ``None`` if it does not. What cannot be stored is refused before that."""
    try:
        back = codec.shape(codec.decode(codec.encode(value, "it")), declared, "it")
    except Unencodable:
        return "refused"
    difference = values.difference(value, back, declared, result=result)
    return None if difference is None else difference.path


SAME = [
    (1, int), (True, bool), ("x", str), (None, type(None)), (1.5, float), (-0.0, float), (1, float), (b"x", bytes),
    (2**70, int), (D("1.00"), D), (uuid.UUID(int=1), uuid.UUID), (Colour.RED, Colour), (Size.BIG, Size),
    (Colour.RED, str), ((1, "a"), tuple[int, str]), ((1, 2), tuple[int, ...]), ((1, 2), Sequence[int]), ({1}, set[int]),
    (frozenset({1}), AbstractSet[int]), (frozenset({1}), frozenset[int]), ({"a": 1}, Mapping[str, int]),
    ({Colour.RED: 1}, dict[Colour, int]), ({"a": [1, None, {"b": 1.5}]}, Any),
    (NAIVE, datetime.datetime),
    (datetime.datetime(2026, 1, 1, tzinfo=UTC), datetime.datetime),
    (datetime.datetime(2026, 1, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")), datetime.datetime),
    (datetime.timedelta(days=-1, microseconds=5), datetime.timedelta), (datetime.time(1, 2, 3, 4), datetime.time),
    (Flat("1"), Flat), (Order("1", [Flat("a", 1)], {"x": [1]}), Order), (Renamed("y", ["a"]), Renamed),
    (Renamed(tags=("a",)), Renamed), (line_of(9), Line), (Pair(1, "x"), Pair), ({"a": 1}, Doc),
    (Sum(a=1, rows=[{"x": D("1.0")}]), Sum), ([Sum(a=1)], list[Sum]), (Private(id="1"), Private),
]  # fmt: skip


@pytest.mark.parametrize(("value", "declared"), SAME, ids=repr)
def test_comes_back(value, declared):
    """P12: of every kind of value that comes back as it is, so that nothing is refused for nothing."""
    assert found(value, declared) is None
    assert found(value, declared, result=True) is None


DIFFERENT = [
    ((1, 2), Any, ""), ({"a": {"b": (1,)}}, Any, ".a.b"), ({1}, Any, ""), (D("1.0"), Any, ""), (b"x", Any, ""),
    (datetime.date(2026, 1, 1), Any, ""), (uuid.UUID(int=1), Any, ""), (Colour.RED, Any, ""), (Flat("1"), Any, ""),
    (Order("1", [], (1,)), Order, ".note"), (2**53 + 1, float, ""), (Express("1"), Order, ""),
    ({"a": 1, "b": 2}, Doc, ".b"), (Card(id="1", token=pydantic.SecretStr("t")), Card, ".token"),
    (pydantic.SecretStr("t"), Any, "refused"), (Hidden(id="1", pin="9"), Hidden, ".pin"),
    (ById(id="1", pin="9"), ById, ".pin"), (Aliased(someId="1"), Aliased, "refused"),
    (Trimmed.model_construct(id=" x "), Trimmed, ".id"), (private(), Private, "._token"),
    ([Card(id="1", token=pydantic.SecretStr("t"))], list[Card], "[0].token"), ({1: 2}, dict[int, int], "refused"),
    (NAIVE.replace(fold=1), datetime.datetime, ""), (math.nan, float, "refused"),
    (datetime.datetime(1800, 1, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin")), datetime.datetime, ""),
    (Flat("1", True), Flat, "refused"), ([Pair(1, "x")], Any, "[0]"), (D("NaN"), D, ""),
]  # fmt: skip


@pytest.mark.parametrize(("value", "declared", "where"), DIFFERENT, ids=repr)
def test_does_not_come_back(value, declared, where):
    """P12: what is masked, left out, dropped, changed or of another type is named, however equal its bytes are."""
    assert found(value, declared) == where


RETURNED = [
    ((1, {"a": (2,)}), Any, None), ({D("1.0")}, Any, None), (Flat("1"), Any, None), (Pair(1, "x"), Any, None),
    (datetime.datetime(2026, 1, 1, tzinfo=UTC), Any, None), ([uuid.UUID(int=1)], Any, None), (line_of(3), Any, None),
    ({"a": 1, "b": object}, Any, "refused"), ({"a": 1, "more": "of it"}, Doc, None), (Express("1"), Order, None),
    ({"id": "1", "more": 2}, Flat, None), (Card(id="1", token=pydantic.SecretStr("t")), Any, ".token"),
    (Hidden(id="1", pin="9"), Hidden, ".pin"), (Sum(a=1), Any, None), ({"m": Sum(a=1)}, Any, None),
]  # fmt: skip


@pytest.mark.parametrize(("value", "declared", "where"), RETURNED, ids=repr)
def test_what_a_step_returns(value, declared, where):
    """P12: only what is read back is ever seen of it, so it may be builtins, or less; it may not be another value."""
    assert found(value, declared, result=True) == where


# ── generated ───────────────────────────────────────────────────────────────

SCALARS = {
    int: st.integers(),
    str: st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    bool: st.booleans(),
    float: st.floats(allow_nan=False, allow_infinity=False),
    type(None): st.none(),
    bytes: st.binary(max_size=4),
    D: st.decimals(allow_nan=False, allow_infinity=False),
    uuid.UUID: st.uuids(),
    datetime.date: st.dates(),
    # Whole minutes of offset, and no fold that only a zone could tell: what ISO 8601 carries.
    datetime.datetime: st.datetimes(
        NAIVE.replace(year=1980), timezones=st.sampled_from([None, UTC, zoneinfo.ZoneInfo("Asia/Kolkata")])
    ).map(lambda at: at.replace(fold=0)),
    datetime.timedelta: st.timedeltas(datetime.timedelta(days=-999), datetime.timedelta(days=999)),
    Colour: st.sampled_from(Colour),
    Size: st.sampled_from(Size),
}
KEYS = st.text("abc", min_size=1, max_size=2)


def of_type(inner: Any) -> Any:
    """A type made of another, and values of it."""
    type_: Any = inner[0]
    some: Any = inner[1]
    hashable = type_ in SCALARS
    made: list[Any] = [
        st.just((list[type_], st.lists(some, max_size=3))),
        st.just((tuple[type_, ...], st.lists(some, max_size=3).map(tuple))),
        st.just((dict[str, type_], st.dictionaries(KEYS, some, max_size=3))),
        st.just((tuple[type_, int], st.tuples(some, st.integers()))),
    ]
    if hashable:
        made.append(st.just((set[type_], st.sets(some, max_size=3))))
        made.append(st.just((type_ | None, some | st.none())))
    holder: Any = msgspec.defstruct("Holder", [("it", type_), ("also", Any, None)], frozen=True)
    made.append(st.just((holder, st.builds(holder, some))))
    data: Any = dataclasses.make_dataclass("Data", [("it", type_)])
    made.append(st.just((data, st.builds(data, some))))
    return st.one_of(made)


TYPED = st.recursive(st.sampled_from([*SCALARS.items()]), lambda inner: inner.flatmap(of_type), max_leaves=4)


@given(TYPED.flatmap(lambda typed: st.tuples(st.just(typed[0]), typed[1])))
def test_declared_types_come_back(case):
    """P12: of types that are declared as what they are, every value that can be stored comes back equal."""
    declared, value = case
    where = found(value, declared)
    assert where in (None, "refused")
    if where == "refused":
        assert not values.is_plain(value, values.plan(declared))


ANY = st.recursive(
    st.one_of(*SCALARS.values()),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(KEYS, inner, max_size=3),
        st.builds(Order, KEYS, note=inner),
    ),
    max_leaves=6,
)


def the_same(one, other):
    """By another way than the code's: same types all the way down, and the same text of every leaf."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(the_same(one[name], other[name]) for name in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(the_same, one, other))
    if isinstance(one, Order):
        return the_same(vars_of(one), vars_of(other))
    return repr(one) == repr(other)


def vars_of(order):
    return {name: getattr(order, name) for name in order.__struct_fields__}


@given(ANY)
def test_undeclared_is_equal_or_refused(value):
    """P12: what is read back as builtins is exactly what was given, or it is said that it is not."""
    if (where := found(value, Any)) == "refused":
        return
    back = codec.decode(codec.encode(value, "it"))
    assert (where is None) == the_same(value, back)


@given(ANY, ANY)
def test_two_values_are_told_apart(one, other):
    """P12: ``==`` is not believed where it lies: 1 and True, 1 and 1.0, "1.0" and "1.00" of a Decimal."""
    assert (values.difference(one, other, Any) is None) == the_same(one, other)


@given(ANY)
def test_results_prove_themselves(value):
    """P12: whatever a step returns that is made of data is not refused for being builtins afterwards."""
    assert found(value, Any, result=True) in (None, "refused")


@given(st.builds(Flat, st.one_of(SCALARS[str], SCALARS[int]), st.one_of(st.none(), st.booleans(), st.integers())))
def test_a_plan_lets_through_what_comes_back(value):
    """P12: what is not read back, to save the time, would come back as it is."""
    if values.is_plain(value, values.plan(Flat)):
        assert codec.shape(codec.decode(codec.encode(value, "it")), Flat, "it") == value
        assert found(value, Flat) is None
    else:
        assert found(value, Flat) == "refused"
