"""Invariants: conditions of the user's on the record, which a reconcile checks.

An invariant returns the rows that break it. It runs in a read-only transaction, for a limited time and a limited number
of rows, and changes nothing. The rows become findings, which close when the rows are gone.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast, overload

from recordfirst.errors import Misuse
from recordfirst.steps.function import Function


class Invariant:
    """An ``@invariant``; see :func:`invariant`."""

    def __init__(self, name: str, limit_s: float, source: Function | str) -> None:
        self.name, self.limit_s, self._source = name, limit_s, source

    def __repr__(self) -> str:
        return f"<invariant {self.name!r}>"

    @property
    def source(self) -> Function | str:
        """The user's function, or query."""
        return self._source

    def functions(self) -> list[Function]:
        """The user's function, for the check of what it needs injected."""
        return [self._source] if isinstance(self._source, Function) else []


@overload
def invariant[F: Callable[..., Any]](fn: F, /, *, name: str | None = None, limit_s: float = 10.0) -> Invariant: ...
@overload
def invariant(*, sql: str | Path, name: str | None = None, limit_s: float = 10.0) -> Invariant: ...
@overload
def invariant(*, name: str | None = None, limit_s: float = 10.0) -> Callable[[Callable[..., Any]], Invariant]: ...
def invariant(
    fn: Callable[..., Any] | None = None,
    /,
    *,
    sql: str | Path | None = None,
    name: str | None = None,
    limit_s: float = 10.0,
) -> Any:
    """Say what must hold in the record, as what offends against it: a function, or a query.

    A function gets a :class:`Read`, and whatever it asks to have injected, and returns offending rows; a query selects
    them. The first column says which row it is. Give the ``App`` its ``invariants=``.

    Args:
        fn: the function, when used as a decorator.
        sql: the query, or the path of a file that holds it, instead of a function.
        name: the name in findings. Default: the function's, or the file's.
        limit_s: how long it may take, in seconds; then it is stopped, which is a finding, too.

    Raises:
        Misuse: if the function takes more than the read, or a query has no name.
    """
    if limit_s <= 0:
        raise Misuse(f"an invariant needs time: limit_s must be more than 0, not {limit_s}")
    if sql is not None:
        text = sql.read_text() if isinstance(sql, Path) else sql
        named = name or (sql.stem if isinstance(sql, Path) else None)
        if not named:
            raise Misuse(f'an invariant in SQL needs a name: invariant(sql="{text[:40]}", name="...")')
        return Invariant(named, limit_s, text.strip().rstrip(";"))

    def decorate(fn: Callable[..., Any]) -> Invariant:
        function = Function(fn, kind="invariant", name=name)
        if function.parameters:
            raise Misuse(
                f"@invariant {function.place} takes {', '.join(function.parameters)}; it gets the read, and what it "
                "has injected"
            )
        return Invariant(function.name, limit_s, function)

    return decorate(fn) if fn is not None else cast("Any", decorate)
