"""What a decorated function may look like, found out when it is decorated, and what its signature makes of a call."""

from __future__ import annotations

import asyncio
import contextvars
import datetime
import functools
import threading
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from recordfirst import inject
from recordfirst.errors import BadArguments, Misuse
from recordfirst.steps.function import Function

if TYPE_CHECKING:
    from decimal import Decimal


class Order(msgspec.Struct):
    id: str
    at: datetime.date | None = None


class Pool: ...


async def charge(
    call, order: Order, amount: int = 1, *, note: str | None = None, pool: Pool = inject()
) -> Order | None: ...


CHARGE = Function(charge, kind="effect")


# ── what is refused, and how ────────────────────────────────────────────────


def no_parameters() -> None: ...
def only_keywords(*, order: str) -> None: ...
def only_injected(pool: Pool = inject()) -> None: ...
def many(w, *orders: str) -> None: ...
def named(w, **orders: str) -> None: ...
def injects_by_position(w, pool: Pool = inject()) -> None: ...
def injects_anything(w, *, pool=inject()) -> None: ...
def hidden_type(w, amount: Decimal) -> None: ...
def hidden_result(w) -> Decimal | None: ...
def misspelt(w, order: Ordr) -> None: ...  # type: ignore[name-defined]  # noqa: F821 - that is the point


REFUSED = [
    (no_parameters, "needs a first positional parameter"),
    (only_keywords, "needs a first positional parameter"),
    (only_injected, "needs a first positional parameter"),
    (many, "takes .*orders; name each argument, since they are stored by name"),
    (named, "takes .*orders; name each argument"),
    (injects_by_position, "injects 'pool', which must be keyword-only"),
    (injects_anything, "injects 'pool' without an annotation"),
    (hidden_type, "has the annotation amount: Decimal, .*outside `if TYPE_CHECKING:`"),
    (hidden_result, r"has the annotation return: Decimal \| None"),
    (misspelt, r"has the annotation order: Ordr, .*name 'Ordr' is not defined"),
]


@pytest.mark.parametrize(("fn", "why"), REFUSED, ids=[fn.__name__ for fn, _ in REFUSED])
def test_signature_that_cannot_be(fn, why):
    """P8: refused when it is decorated, naming the function and its place in the source."""
    with pytest.raises(Misuse, match=rf"^@write .*{fn.__name__} \(.*test_signatures.py:\d+\) {why}"):
        Function(fn, kind="write")


@pytest.mark.parametrize(
    "thing", [Pool, Pool(), functools.partial(charge, 1), print, None], ids=lambda thing: type(thing).__name__
)
def test_thing_that_is_no_function(thing):
    """P8: refused, naming it."""
    with pytest.raises(Misuse, match="@effect goes on a function, not on"):
        Function(thing, kind="effect")


# ── what is known of it ─────────────────────────────────────────────────────


def test_annotations_written_as_text_are_resolved():
    """P4: this module's annotations are all text; arguments are stored and read back by the types they stand for."""
    assert CHARGE.parameters == {"order": Order, "amount": int, "note": str | None}
    assert (CHARGE.injected, CHARGE.returns) == ({"pool": Pool}, Order | None)
    assert list(CHARGE.signature.parameters) == ["call", "order", "amount", "note"]


def test_parameter_without_annotation_is_anything():
    """P4: its arguments come back as JSON brings them."""

    def anything(w, a): ...

    function = Function(anything, kind="write")
    assert (function.parameters, function.returns) == ({"a": Any}, Any)


def test_type_of_the_first_parameter_need_not_exist():
    """P8: it is recordfirst's own, and a driver's type may be for the type checker alone."""

    def typed(w: Nowhere, a: int) -> None: ...  # type: ignore[name-defined]  # noqa: F821 - that is the point

    function = Function(typed, kind="write")
    assert (function.parameters, function.returns) == ({"a": int}, type(None))


def test_types_of_an_enclosing_function_are_found_if_used():
    """P4: closures are seen as Python sees them."""

    class Local(msgspec.Struct):
        x: int

    def closed(w, a: Local) -> Any:
        return Local

    assert Function(closed, kind="write").parameters == {"a": Local}


def test_name_is_the_functions_unless_given():
    """P8: a renamed function keeps its receipts under name=."""
    assert (CHARGE.name, repr(CHARGE)) == ("charge", "effect 'charge'")
    assert Function(charge, kind="effect", name="charge_card").name == "charge_card"


# ── arguments ───────────────────────────────────────────────────────────────


def test_defaults_are_not_filled_in():
    """P8: a parameter that is added with a default changes no fingerprint."""
    order = Order("1")
    assert CHARGE.bind((order,), {}) == {"order": order}
    assert CHARGE.bind((order, 2), {"note": "x"}) == {"order": order, "amount": 2, "note": "x"}


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((), {}), ((1, 2, 3), {}), ((1,), {"order": 2}), ((1,), {"colour": "red"}), ((1,), {"pool": Pool()})],
    ids=["none", "too many", "twice", "unknown", "injected"],
)
def test_arguments_that_do_not_fit(args, kwargs):
    """P8: refused with the signature as a caller sees it."""
    signature = r"charge\(order: .*Order'?>?, amount: .*int'?>? = 1, \*, note: .* = None\)"
    with pytest.raises(BadArguments, match=f"effect 'charge' does not take these arguments: .*; it is {signature}$"):
        CHARGE.bind(args, kwargs)


def test_stored_arguments_come_back_in_shape():
    """P4: builtins become what the parameters declare."""
    fitted = CHARGE.fit({"order": {"id": "1", "at": "2026-11-23"}, "amount": 5})
    assert fitted == {"order": Order("1", datetime.date(2026, 11, 23)), "amount": 5}


def test_stored_arguments_that_no_longer_fit():
    """P8: named, with the step."""
    with pytest.raises(BadArguments, match="argument 'amount' of effect 'charge' is not int"):
        CHARGE.fit({"order": {"id": "1"}, "amount": "much"})
    with pytest.raises(BadArguments, match=r"effect 'charge' has no parameter 'total'; it is charge\("):
        CHARGE.fit({"total": 5})


def test_result_that_never_comes_back_is_refused():
    """P3: found out when it is decorated, not after the charge."""

    def bad(call, order: Order) -> Pool:
        return Pool()

    with pytest.raises(Misuse, match=r"returns <class '.*Pool'>, which cannot be stored: .*Pool is not a type"):
        Function(bad, kind="effect").refuse_unstorable_result()
    CHARGE.refuse_unstorable_result()


# ── running ─────────────────────────────────────────────────────────────────


def test_sync_function_runs_in_a_thread_with_its_context():
    """P9: a blocking SDK starves no lease, and context variables reach it."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")

    def blocking(call, a: int, *, b: int = 2, pool: Pool = inject()):
        return call, a, b, pool, variable.get(), threading.get_ident()

    async def run():
        variable.set("set")
        return await Function(blocking, kind="effect").call("call", {"a": 1}, {"pool": "pool"}, None)

    *got, thread = asyncio.run(run())
    assert got == ["call", 1, 2, "pool", "set"]
    assert thread != threading.get_ident()


def test_async_function_runs_in_the_loop():
    """P4: defaults are filled in by Python, as the code is today."""

    async def step(call, a: int, b: int = 2):
        return call, a, b, threading.get_ident()

    assert asyncio.run(Function(step, kind="effect").call("c", {"a": 1}, {}, None)) == (
        "c",
        1,
        2,
        threading.get_ident(),
    )
