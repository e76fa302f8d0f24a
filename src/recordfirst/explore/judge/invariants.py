"""Checks the user's own invariants against a record and an outside."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from recordfirst.errors import Misuse
from recordfirst.explore.case import GivenInvariant
from recordfirst.explore.judge.app_invariants import found as found_by_the_app
from recordfirst.steps.invariant import Invariant as AppInvariant
from recordfirst.testing.outside import Outside

type Provide = Callable[[Outside], Mapping[Any, Any]]

_SHOWN = 5


def offenders(
    invariants: Iterable[GivenInvariant], connection: Any, outside: Outside, provide: Provide
) -> Iterator[str]:
    """What breaks an invariant: rows that a query finds, what a function returns, or an ``assert`` that fails in it.

    Raises:
        Misuse: if an invariant cannot be checked.
    """
    for invariant in invariants:
        name = _name(invariant)
        try:
            rows = _found(invariant, connection, outside, provide)
        except AssertionError as error:
            said = next(iter(str(error).splitlines()), "")  # pytest adds lines about the parts of the expression
            yield f"{name}: {said or 'its assertion fails'}"
        except Exception as error:
            raise Misuse(f"the invariant {name} cannot be asked: {type(error).__name__}: {error}") from error
        else:
            if rows:
                yield f"{name}: {', '.join(map(str, rows[:_SHOWN]))}"


def _found(invariant: GivenInvariant, connection: Any, outside: Outside, provide: Provide) -> list[Any]:
    if isinstance(invariant, AppInvariant):
        return found_by_the_app(invariant, connection, lambda: provide(outside))
    if isinstance(invariant, str):
        found: list[Any] = connection.execute(invariant).fetchall()
        return found
    return list(invariant(connection, outside) or ())


def _name(invariant: GivenInvariant) -> str:
    if isinstance(invariant, AppInvariant):
        return invariant.name
    return " ".join(invariant.split()) if isinstance(invariant, str) else getattr(invariant, "__name__", "invariant")
