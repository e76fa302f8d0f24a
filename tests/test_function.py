"""Arguments by name: the short way of binding them answers as Python's own does."""

from __future__ import annotations

import asyncio
import functools
import inspect
import itertools

import pytest

from recordfirst import Context, workflow
from recordfirst.errors import BadArguments, Misuse
from recordfirst.steps.function import Function


def none(first): ...
def plain(first, a, b): ...
def defaults(first, a, b=2, *, c=3): ...
def needs_keyword(first, a, *, c): ...
def by_position(first, a, /, b=2, *, c=3): ...


FUNCTIONS = [none, plain, defaults, needs_keyword, by_position]
CALLS = list(itertools.product(range(4), [{}, {"b": 5}, {"c": 6}, {"b": 5, "c": 6}, {"z": 7}]))


@pytest.mark.parametrize("fn", FUNCTIONS)
@pytest.mark.parametrize(("count", "kwargs"), CALLS)
def test_arguments_are_named_as_python_names_them(fn, count, kwargs):
    """P8: what is stored of a call, and compared on every replay, is what Python binds, or an error that names it."""
    args = tuple(range(count))
    try:
        bound = inspect.signature(fn).bind("first", *args, **kwargs).arguments
    except TypeError:
        with pytest.raises(BadArguments, match=fn.__name__):
            Function(fn, kind="write").bind(args, kwargs)
        return
    found = Function(fn, kind="write").bind(args, kwargs)
    assert list(found.items()) == [item for item in bound.items() if item[0] != "first"]


def test_parameters_that_take_no_name_are_given_by_position():
    """P4: stored arguments reach the function whichever way it takes them."""

    async def fn(first, a, /, b=2, *, c=3):
        return first, a, b, c

    assert asyncio.run(Function(fn, kind="effect").call(0, {"a": 1, "c": 9}, {}, None)) == (0, 1, 2, 9)


def test_p3_a_wrapped_async_function_is_awaited():
    """P3: an effect behind a sync wrapper is called before it is stored as having succeeded."""
    called = []

    async def inner(call, n: int) -> int:
        called.append(n)
        return n

    @functools.wraps(inner)
    def marked(*args, **kwargs):
        return inner(*args, **kwargs)

    def unmarked(call, n: int) -> int:
        return inner(call, n)  # type: ignore[return-value]

    for fn in (marked, unmarked):
        assert asyncio.run(Function(fn, kind="effect").call(None, {"n": 1}, {}, None)) == 1
    assert called == [1, 1]


def test_p3_a_generator_is_refused():
    """P3: what yields would be stored as done before it has run."""

    def yields(call, n: int):
        yield n

    with pytest.raises(Misuse, match="yields"):
        Function(yields, kind="effect")


def test_p8_steps_names_steps_alone():
    """A workflow among them failed with an AttributeError, when the app was made."""

    @workflow
    async def other(ctx: Context) -> None: ...

    with pytest.raises(Misuse, match=r"steps= names <workflow other>, which is no step"):

        @workflow(steps=(other,))  # type: ignore[arg-type]
        async def body(ctx: Context) -> None: ...
