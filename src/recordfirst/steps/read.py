"""A read: asks the record inside a workflow.

What it returns is kept by the engine for as long as this epoch of the workflow lasts, so a replay sees the same. It has
no receipt: after the engine was lost it is asked again, and the record as it is then answers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Concatenate, Protocol, overload

from recordfirst.steps.declared import Fails, check_fails
from recordfirst.steps.function import Function
from recordfirst.steps.step import Step


class Read[C]:
    """A read-only transaction of the record; ``tx`` is the driver's own connection."""

    def __init__(self, connection: C) -> None:
        self.tx: C = connection


class ReadStep[**P, R](Step[P, R]):
    """A ``@read``; see :func:`read`."""


class ReadDecorator(Protocol):
    """What ``read(name=...)`` gives: a decorator that keeps the function's parameters and result."""

    @overload
    def __call__[**P, R](self, fn: Callable[Concatenate[Read[Any], P], Awaitable[R]], /) -> ReadStep[P, R]: ...
    @overload
    def __call__[**P, R](self, fn: Callable[Concatenate[Read[Any], P], R], /) -> ReadStep[P, R]: ...


@overload
def read[**P, R](fn: Callable[Concatenate[Read[Any], P], Awaitable[R]], /) -> ReadStep[P, R]: ...
@overload
def read[**P, R](fn: Callable[Concatenate[Read[Any], P], R], /) -> ReadStep[P, R]: ...
@overload
def read(*, name: str | None = None, fails: Fails = ()) -> ReadDecorator: ...
def read(fn: Callable[..., Any] | None = None, /, *, name: str | None = None, fails: Fails = ()) -> Any:
    """Make a function a read: it asks the record in a read-only transaction, inside a workflow.

    The function's first parameter is a :class:`Read`. Its result must be JSON. It may run again when the connection is
    lost. In a sync function, which runs in a thread, ``r.tx`` blocks.

    Args:
        fn: the function, when used without parentheses.
        name: the name in errors. Default: the function's.
        fails: exceptions of it that are outcomes of your business; see :func:`write`.

    Raises:
        Misuse: if the signature cannot be a read's, or ``fails=`` names what is no outcome of a business.
    """

    def decorate(fn: Callable[..., Any]) -> ReadStep[..., Any]:
        function = Function(fn, kind="read", name=name)
        function.refuse_unstorable_result()
        made: ReadStep[..., Any] = ReadStep(function)
        made.fails = check_fails(fails, f"@read {function.place}")
        return made

    return decorate(fn) if fn is not None else decorate
