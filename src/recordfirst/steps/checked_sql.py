"""Two ways in which SQL says "nothing happened" without an error, made loud (P8).

``ON CONFLICT DO NOTHING`` returns no row when the row exists, whatever is in it; an ``UPDATE`` that matches nothing
succeeds. Neither is ever success in a write.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recordfirst.errors import DifferentRow, NoRow


def changed_one(cursor: Any, what: str) -> None:
    """Raise unless the statement behind ``cursor`` changed exactly one row.

    Args:
        cursor: what the driver's ``execute`` returned.
        what: what was to be changed, for the error: ``"order 42, to be marked paid"``.

    Raises:
        NoRow: if it changed none, or more than one. On SQLite a statement with RETURNING counts what it has changed
            only when its rows have been read (Python's sqlite3, ``Cursor.rowcount``), so read them before.
    """
    if cursor.rowcount != 1:
        returning = cursor.rowcount == 0 and cursor.description is not None
        hint = (
            "; if this is SQLite, read the rows of its RETURNING first: it counts them only then" if returning else ""
        )
        raise NoRow(f"{what}: the statement changed {cursor.rowcount} rows, not one{hint}")


async def insert_or_same(tx: Any, table: str, key: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    """Insert a row, or make sure that the one which is there has the same values.

    Args:
        tx: the write's connection (``w.tx``): psycopg's or aiosqlite's, in an async function.
        table: the table's name, as SQL; never from outside.
        key: the columns that identify the row, which must carry a unique constraint.
        values: the other columns to insert and to compare. Both go by name; names are SQL, values are bound.

    Returns:
        ``True`` if the row was inserted, ``False`` if it existed with these values.

    Raises:
        DifferentRow: if it exists with other values; both are named.
        NoRow: if it was not inserted and is not there: a trigger or a rule has taken the insert away, say.
    """
    row = {**key, **values}
    mark = "?" if type(tx).__module__.startswith("aiosqlite") else "%s"
    names, marks = ", ".join(row), ", ".join([mark] * len(row))
    # Names come from the program, values are bound.
    cursor = await tx.execute(
        f"INSERT INTO {table} ({names}) VALUES ({marks}) ON CONFLICT ({', '.join(key)}) DO NOTHING",  # noqa: S608
        tuple(row.values()),
    )
    if cursor.rowcount == 1:
        return True
    where = " AND ".join(f"{name} = {mark}" for name in key)
    read = _in_sqlite if mark == "?" else _in_postgres
    found = await read(tx, table, where, tuple(key.values()), values)
    shown = f"{table} row {', '.join(f'{name}={value!r}' for name, value in key.items())}"
    if found is None:
        raise NoRow(f"{shown}: it was neither inserted nor is it there")
    different = [name for name, (_, is_same) in found.items() if not is_same]
    if different:
        stored = {name: value for name, (value, _) in found.items()}
        raise DifferentRow(shown, _show(stored, different), _show(values, different))
    return False


type _Found = dict[str, tuple[Any, bool]]
"""By column: what is stored, and whether it is what the database makes of the value that is given."""


async def _in_sqlite(tx: Any, table: str, where: str, key: tuple[Any, ...], values: Mapping[str, Any]) -> _Found | None:
    """Compare by the column's affinity (1 in a column of text is '1'), and byte by byte, whatever it sorts by."""
    columns = ", ".join(f"{name}, ({name} COLLATE BINARY) IS ?" for name in values)
    select = f"SELECT 1{', ' * bool(values)}{columns} FROM {table} WHERE {where}"  # noqa: S608
    cursor = await tx.execute(select, (*values.values(), *key))
    stored = await cursor.fetchone()
    if stored is None:
        return None
    return {name: (stored[1 + 2 * n], bool(stored[2 + 2 * n])) for n, name in enumerate(values)}


async def _in_postgres(
    tx: Any, table: str, where: str, key: tuple[Any, ...], values: Mapping[str, Any]
) -> _Found | None:
    """Compare with what the column would hold of the value: rounded, padded, or as ``jsonb`` writes it.

    Not every type has an equality (``json`` has none), so the text of both is compared, and then what the driver reads
    of both.
    """
    of_columns = "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = %s::regclass"
    cursor = await tx.execute(of_columns, (table,))
    types = {str(name): str(type_) for name, type_ in await cursor.fetchall()}
    columns, given = ["1"], []
    for name, value in values.items():
        type_ = types.get(name[1:-1].replace('""', '"') if name.startswith('"') else name.lower())
        as_column = f"CAST(%s AS {type_})" if type_ is not None else "%s"
        columns += [name, as_column, f"{name}::text IS NOT DISTINCT FROM {as_column}::text"]
        given += [value, value]
    cursor = await tx.execute(f"SELECT {', '.join(columns)} FROM {table} WHERE {where}", (*given, *key))  # noqa: S608
    stored = await cursor.fetchone()
    if stored is None:
        return None
    rows = (stored[1 + 3 * n : 4 + 3 * n] for n in range(len(values)))
    return {
        name: (held, bool(is_same) or _equal(held, asked))
        for name, (held, asked, is_same) in zip(values, rows, strict=True)
    }


def _equal(held: Any, asked: Any) -> bool:
    """Whether two values of a column are equal. ``true`` and 1 are not, though Python says so."""
    if isinstance(held, dict) and isinstance(asked, dict):
        return held.keys() == asked.keys() and all(_equal(held[name], asked[name]) for name in held)
    if isinstance(held, list) and isinstance(asked, list):
        return len(held) == len(asked) and all(map(_equal, held, asked))
    return isinstance(held, bool) == isinstance(asked, bool) and bool(held == asked)


def _show(row: Mapping[str, Any], names: list[str]) -> str:
    return ", ".join(f"{name}={row[name]!r}" for name in names)
