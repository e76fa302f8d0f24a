"""Runs an app's own ``@invariant`` on the blocking connection of an exploration."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Mapping
from typing import Any

from recordfirst.errors import Misuse
from recordfirst.steps.invariant import Invariant
from recordfirst.steps.read import Read


def found(invariant: Invariant, connection: Any, provided: Callable[[], Mapping[Any, Any]]) -> list[Any]:
    """Return what the invariant returns. The case provides what it has injected.

    Raises:
        Misuse: if the case does not provide that, or the invariant waits for something that is not the record.
    """
    source = invariant.source
    if isinstance(source, str):
        rows: list[Any] = connection.execute(source).fetchall()
        return rows
    missing = [key for key in source.injected.values() if key not in provided()]
    if missing:
        raise Misuse(f"it needs {missing[0]}, which provide= does not return")
    given = {name: provided()[key] for name, key in source.injected.items()}
    if not source.is_async:
        return list(source.fn(Read(connection), **given) or ())
    return list(_at_once(source.fn(Read(_awaited(connection)), **given)) or ())


def _at_once[T](coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that does not wait."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    coroutine.close()
    raise Misuse("it waits for something that is not the record; write it as a query, or as a sync function")


def _awaited(connection: Any) -> Any:
    """An async view of a connection. Its ``__module__`` tells callers which driver's connection it is."""
    driver = "aiosqlite" if isinstance(connection, sqlite3.Connection) else "psycopg"
    return type("Connection", (_Awaited,), {"__module__": driver})(connection)


class _Awaited:
    """An awaitable view of a connection or cursor that blocks: its results are available at once."""

    def __init__(self, target: Any) -> None:
        self._target = target

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._target, name)
        if not callable(value):
            return value

        def call(*args: Any, **kwargs: Any) -> _Given:
            result = value(*args, **kwargs)
            return _Given(_Awaited(result) if hasattr(result, "fetchall") else result)

        return call

    async def __aiter__(self) -> AsyncIterator[Any]:
        for row in self._target:
            yield row


class _Given:
    """A value that can be awaited or entered, like a driver's cursor."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def __await__(self) -> Generator[None, None, Any]:
        yield from ()
        return self._value

    async def __aenter__(self) -> Any:
        return self._value

    async def __aexit__(self, *exc: object) -> None:
        """Do nothing: it is closed with the connection."""
