"""Reads the SQLite files of a record and of an embedded engine, outside the processes that use them."""

from __future__ import annotations

import contextlib
import sqlite3
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import msgspec

from recordfirst.explore.runs.observed import Observed, SeenEvent, SeenPromise, SeenReceipt, SeenReversal, SeenStart
from recordfirst.testing.outside import Asked

_EVENTS = "SELECT coalesce(id, hash), state FROM recordfirst_event ORDER BY 1"
_REVERSALS = "SELECT key, attempt, kind, id, handled_by FROM recordfirst_reversal ORDER BY key, attempt, kind, id"


class Looker:
    """Reads an SQLite record with its own statement for each table.

    Args:
        ignore: columns to leave out, as ``table.column``, and fields of results, as ``step.field``.
    """

    def __init__(self, ignore: frozenset[str]) -> None:
        self._ignore = ignore
        self._fields: dict[str, set[str]] = defaultdict(set)
        for name in ignore:
            step, _, field = name.rpartition(".")
            self._fields[step].add(field)
        self._queries: dict[str, str] | None = None
        self._columns: dict[str, tuple[str, ...]] = {}
        self._is_ours = False

    def look(self, connection: sqlite3.Connection, applied: Callable[[], list[Asked]]) -> Observed:
        """Read everything."""
        queries = self._find(connection)
        tables = {table: tuple(connection.execute(query).fetchall()) for table, query in queries.items()}
        if not self._is_ours:
            return Observed(tables=tables, applied=tuple(applied()), columns=self._columns)
        receipts = connection.execute(
            "SELECT function, key, attempt, kind, state, result, error, undone_by FROM recordfirst_receipt "
            "ORDER BY key, attempt"
        )
        starts = connection.execute("SELECT id, state, result, error FROM recordfirst_start ORDER BY id")
        return Observed(
            receipts=tuple(
                SeenReceipt(key, attempt, kind, state, self._kept(function, result), error, undone_by)
                for function, key, attempt, kind, state, result, error, undone_by in receipts
            ),
            starts=tuple(SeenStart(*row) for row in starts),
            events=tuple(SeenEvent(*row) for row in connection.execute(_EVENTS)),
            reversals=tuple(SeenReversal(*row) for row in connection.execute(_REVERSALS)),
            tables=tables,
            applied=tuple(applied()),
            columns=self._columns,
        )

    def _kept(self, function: str, result: str | None) -> str | None:
        """Return a result without the ignored fields."""
        fields = self._fields.get(function)
        value = msgspec.json.decode(result) if fields and result is not None else None
        if not fields or not isinstance(value, dict):
            return result
        return msgspec.json.encode({name: each for name, each in value.items() if name not in fields}).decode()

    def _find(self, connection: sqlite3.Connection) -> dict[str, str]:
        if self._queries is None:
            names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
            self._is_ours = "recordfirst_receipt" in names
            own = [name for name in names if not name.startswith(("recordfirst_", "sqlite_"))]
            self._queries = {name: self._query(connection, name) for name in sorted(own)}
        return self._queries

    def _query(self, connection: sqlite3.Connection, table: str) -> str:
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        self._columns[table] = tuple(column for column in columns if f"{table}.{column}" not in self._ignore)
        kept = [f'"{column}"' for column in self._columns[table]] or ["1"]
        return f'SELECT {", ".join(kept)} FROM "{table}" ORDER BY {", ".join(kept)}'  # noqa: S608 - names from the schema


def look_into_engine(file: Path) -> tuple[SeenPromise, ...]:
    """Return the promises in an embedded engine's file, except its own."""
    if not file.exists():
        return ()
    with contextlib.closing(sqlite3.connect(file)) as connection:
        rows = connection.execute("SELECT id, state, task FROM promises WHERE id NOT LIKE 'recordfirst~%' ORDER BY id")
        return tuple(SeenPromise(*row) for row in rows)
