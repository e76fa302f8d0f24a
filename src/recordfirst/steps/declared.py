"""What the author of a workflow has declared to be business, as against a defect (P9).

A workflow fails, and undoes, on what is declared alone: ``Declined``, and exceptions that ``fails=`` names on it or on
one of its steps. Any other error is a defect: it stops the workflow, visibly, and moves no money.

One more kind reaches the body, so that it may decide: an exception class of the app's own, which its own code has
raised in a step. If the body does not catch it, it is a defect all the same.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from recordfirst.core.exceptions import AllowedErrors, why_class_not_storable
from recordfirst.errors import Declined, Misuse, RecordfirstError, Undone

type Fails = type[Exception] | tuple[type[Exception], ...]
"""What ``fails=`` takes."""


_SHOWN = 3
"""Of the classes that an error lists."""


class OwnErrors(AllowedErrors):
    """What may be rebuilt in an app: what is declared, and exception classes of its own packages, once imported."""

    def __init__(self, classes: Iterable[type[Exception]] = (), packages: Iterable[str] = ()) -> None:
        super().__init__(classes)
        self.packages = set(packages)

    def find(self, name: str) -> type[Exception] | None:
        found = super().find(name)
        if found is None and name.partition(".")[0] in self.packages:
            own = _imported(name)
            if own is not None and not issubclass(own, RecordfirstError):
                return own
        return found


def _imported(name: str) -> type[Exception] | None:
    """The exception class of this full name, in a module that is imported already: nothing is imported for it."""
    module, _, rest = name.rpartition(".")
    path = [rest]
    while module and module not in sys.modules:
        module, _, part = module.rpartition(".")
        path.insert(0, part)
    found: Any = sys.modules.get(module)
    for part in path:
        found = getattr(found, part, None)
    return found if isinstance(found, type) and issubclass(found, Exception) else None


class Declared:
    """The exceptions that one workflow fails on, and those that its body may see."""

    def __init__(self, fails: Iterable[type[Exception]] = (), packages: Iterable[str] = ()) -> None:
        """``packages``: top-level packages of the app's own code."""
        self.fails = tuple(dict.fromkeys(fails))
        self.packages = frozenset(packages)

    def fails_on(self, error: BaseException) -> bool:
        """Whether a workflow that raises this ends in failure. A group does if all that it holds does."""
        return all(isinstance(each, (Declined, Undone, *self.fails)) for each in _leaves(error))

    def reaches_body(self, error: BaseException) -> bool:
        """Whether a step that raises this has come to an outcome that the body decides about."""
        return all(self.fails_on(each) or self._is_own(each) for each in _leaves(error))

    def _is_own(self, error: BaseException) -> bool:
        return (
            isinstance(error, Exception)
            and not isinstance(error, RecordfirstError)
            and package_of(type(error)) in self.packages
        )


def check_no_plumbing(fails: Iterable[type[Exception]], fault: Callable[[BaseException], str | None]) -> None:
    """Refuse classes whose exceptions the record takes for plumbing: they are tried again, and never come to a body.

    Raises:
        Misuse: if one of these, or of the classes below it, is such a class. ``fault`` says what an exception means.
    """
    for each in fails:
        passing = sorted({cls.__qualname__ for cls in _family(each) if _is_plumbing(cls, fault)})
        if passing:
            raise Misuse(
                f"fails={each.__qualname__} names what passes by itself and is tried again, so it is no outcome: "
                f"{', '.join(passing[:_SHOWN])}; name the classes that are outcomes (UniqueViolation, say), or catch "
                "it in the step and raise an exception of your own from it"
            )


def _family(cls: type[Exception]) -> Iterator[type[Exception]]:
    yield cls
    for child in cls.__subclasses__():
        yield from _family(child)


def _is_plumbing(cls: type[Exception], fault: Callable[[BaseException], str | None]) -> bool:
    try:
        return fault(_made(cls)) is not None
    except Exception:  # noqa: BLE001 - what cannot be made without its own arguments says nothing
        return False


def _made(cls: type[Exception]) -> Exception:
    """An exception of this class. A class of the app's own may want arguments: its driver's class above it does not."""
    error = cls.__new__(cls)
    for each in cls.__mro__:
        with contextlib.suppress(Exception):
            each.__init__(error)  # type: ignore[misc]  # the classes of this very object, nearest first
            break
    return error


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _leaves(each)
    else:
        yield error


def package_of(named: Any) -> str:
    """The top-level package of a class or function."""
    return str(getattr(named, "__module__", None)).partition(".")[0]


def check_fails(fails: Any, place: str) -> tuple[type[Exception], ...]:
    """Return the classes that ``fails=`` names.

    Raises:
        Misuse: if it names something that is no exception class, or one that would make every defect business.
    """
    classes = fails if isinstance(fails, tuple) else (fails,)
    for each in classes:
        if not isinstance(each, type) or not issubclass(each, Exception):
            raise Misuse(f"{place}: fails= takes exception classes, such as fails=OutOfStock, not {each!r}")
        if each is Exception or (issubclass(each, RecordfirstError) and not issubclass(each, Declined)):
            raise Misuse(
                f"{place}: fails={each.__name__} would make defects fail the workflow, and undo what it did; name the "
                "exceptions of your own that are outcomes of your business"
            )
        why = why_class_not_storable(each)
        if why is not None:
            raise Misuse(f"{place}: fails={each.__name__} cannot be stored and rebuilt: {why}")
    return classes
