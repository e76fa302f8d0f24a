"""Key templates: what would make a key vague is refused, at the declaration if it shows there."""

from __future__ import annotations

import dataclasses
import datetime
import enum
import uuid
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordfirst.core import keys
from recordfirst.errors import BadKey


class Size(enum.Enum):
    BIG = "big"
    ON = True


class Customer(msgspec.Struct):
    email: str = "a@b.example"


class Order(msgspec.Struct):
    id: Any = "42"
    customer: Customer = msgspec.field(default_factory=Customer)

    @property
    def reference(self) -> str:
        return f"R{self.id}"


@dataclasses.dataclass
class Line:
    number: int


def parse(text, **parameters):
    return keys.parse(text, "effect 'charge'", parameters)


def render(text, **arguments):
    return parse(text, **dict.fromkeys(arguments, Any)).render(arguments, "effect 'charge'")


# ── rendering ───────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("42", "42"),
        (42, "42"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (datetime.date(2026, 11, 23), "2026-11-23"),
        (Decimal("1.50"), "1.50"),
        (Size.BIG, "big"),
        ("läden", "läden"),
    ],
)
def test_values_with_a_fixed_text(value, text):
    """P3: these read the same on every run."""
    assert render("order:{value}:charge", value=value) == f"order:{text}:charge"


@pytest.mark.parametrize(
    "value",
    [None, 1.5, True, Size.ON, "", "  ", "a\0b", "\ud800", b"x", [], {}, object(), Order()],
    ids=lambda value: type(value).__name__,
)
def test_values_that_tell_nothing_apart(value):
    """P3: refused, naming key, step and field."""
    with pytest.raises(BadKey, match=r"key 'order:\{value\}' of effect 'charge': \{value\} is"):
        render("order:{value}", value=value)


def test_fields_are_followed():
    """P3: through structs, dataclasses, properties and mappings."""
    assert render("{order.id}/{order.customer.email}/{order.reference}", order=Order()) == "42/a@b.example/R42"
    assert render("{line.number}", line=Line(7)) == "7"
    assert render("{data.a.b}", data={"a": {"b": "x"}}) == "x"


def test_literals_and_braces():
    """P3: a key may be one for all, and may hold braces."""
    assert render("nightly") == "nightly"
    assert render("{{{a}}}", a="x") == "{x}"


def test_missing_field_is_named():
    """P8: with the type that does not have it."""
    with pytest.raises(BadKey, match="Customer has no 'phone'"):
        render("{order.customer.phone}", order=Order())
    with pytest.raises(BadKey, match="dict has no 'b'"):
        render("{data.b}", data={"a": 1})


def test_argument_that_was_not_given():
    """P3: a default is not part of what is stored, so no key may rest on one."""
    with pytest.raises(BadKey, match="names an argument that the call did not give"):
        parse("{a}", a=int).render({}, "effect 'charge'")


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1).filter(str.strip))
def test_text_is_taken_as_it_is(text):
    """P3: braces and percent signs in a value mean nothing."""
    assert render("a:{value}:b", value=text) == f"a:{text}:b"


# ── declaring ───────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        "{",
        "}",
        "{}",
        "{0}",
        "{order[id]}",
        "{order.}",
        "{order..id}",
        "{order!r}",
        "{order:>5}",
        "{order.id:{order}}",
    ],
)
def test_malformed_template(text):
    """P8: refused at the declaration, naming the step."""
    with pytest.raises(BadKey, match="effect 'charge'"):
        parse(text, order=Order)


def test_unknown_parameter_is_named_with_the_known():
    """P8: both sides."""
    with pytest.raises(BadKey, match=r"names 'ordr'; its parameters are order, note"):
        parse("order:{ordr.id}", order=Order, note=str)


def test_unknown_field_is_found_at_the_declaration():
    """P8: as far as types are known."""
    with pytest.raises(BadKey, match=r"\{order\.number\}: Order has no field 'number'; it has id, customer"):
        parse("{order.number}", order=Order)
    with pytest.raises(BadKey, match="Line has no field 'id'"):
        parse("{line.id}", line=Line)
    assert parse("{order.customer.phone.x}", order=Any).names == ("order",)


def test_names_are_the_parameters_that_it_reads():
    """P1: an effect can tell which receipt to wait for, if it has these."""
    assert parse("{order.id}:{line.number}:{order.reference}", order=Order, line=Line).names == ("order", "line")
