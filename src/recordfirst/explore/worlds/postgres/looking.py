"""Reads a record on Postgres, in a session of its own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlencode

from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from recordfirst.explore.runs.observed import Observed, SeenEvent, SeenReceipt, SeenReversal, SeenStart
from recordfirst.explore.worlds.looking import Looker
from recordfirst.testing.outside import Asked

_COLUMNS = """
SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public' ORDER BY ordinal_position
"""


_RECEIPTS = """
SELECT function, key, attempt, kind, state, result::text, error::text, undone_by FROM recordfirst.receipt
ORDER BY key, attempt
"""


_STARTS = "SELECT id, state, result::text, error::text FROM recordfirst.start ORDER BY id"


_EVENTS = "SELECT coalesce(id, hash), state FROM recordfirst.event ORDER BY 1"


_REVERSALS = "SELECT key, attempt, kind, id, handled_by FROM recordfirst.reversal ORDER BY key, attempt, kind, id"


def as_url(conninfo: str) -> str:
    """Convert a connection string to a URL, for engines and records."""
    parts = conninfo_to_dict(conninfo)
    name = quote(str(parts.pop("dbname")), safe="")
    return f"postgresql:///{name}?{urlencode(parts, quote_via=quote)}"


class PostgresLooker(Looker):
    """Reads a Postgres record. All values are read as text."""

    def look(self, connection: Any, applied: Callable[[], list[Asked]]) -> Observed:
        queries = self._find(connection)
        tables = {table: tuple(connection.execute(query).fetchall()) for table, query in queries.items()}
        return Observed(
            receipts=tuple(
                SeenReceipt(key, attempt, kind, state, self._kept(function, result), error, undone_by)
                for function, key, attempt, kind, state, result, error, undone_by in connection.execute(_RECEIPTS)
            ),
            starts=tuple(SeenStart(*row) for row in connection.execute(_STARTS)),
            events=tuple(SeenEvent(*row) for row in connection.execute(_EVENTS)),
            reversals=tuple(SeenReversal(*row) for row in connection.execute(_REVERSALS)),
            tables=tables,
            applied=tuple(applied()),
            columns=self._columns,
        )

    def _find(self, connection: Any) -> dict[str, Any]:
        if self._queries is None:
            columns: dict[str, list[str]] = defaultdict(list)
            for table, column in connection.execute(_COLUMNS):
                if f"{table}.{column}" not in self._ignore:
                    columns[table].append(column)
            self._columns = {table: tuple(names) for table, names in columns.items()}
            self._queries = {table: _query(table, names) for table, names in self._columns.items()}
        return self._queries


def _query(table: str, columns: tuple[str, ...]) -> Any:
    shown = sql.SQL(", ").join(sql.SQL("{}::text").format(sql.Identifier(column)) for column in columns)
    order = sql.SQL(", ").join(sql.SQL(str(number)) for number in range(1, len(columns) + 1))
    return sql.SQL("SELECT {} FROM {} ORDER BY {}").format(shown, sql.Identifier("public", table), order)
