"""Two ways in which SQL says "nothing happened" without an error, made loud (P8, trap 11).

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
        NoRow: if it changed none, or more than one.
    """
    if cursor.rowcount != 1:
        raise NoRow(f"{what}: the statement changed {cursor.rowcount} rows, not one")


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
        DifferentRow: if it exists with others; both are named.
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
    cursor = await tx.execute(f"SELECT {', '.join(values)} FROM {table} WHERE {where}", tuple(key.values()))  # noqa: S608
    stored = await cursor.fetchone()
    shown = f"{table} row {', '.join(f'{name}={value!r}' for name, value in key.items())}"
    if stored is None:
        raise NoRow(f"{shown}: it was neither inserted nor is it there")
    found = dict(zip(values, stored, strict=True))
    different = [name for name in values if found[name] != values[name]]
    if different:
        raise DifferentRow(shown, _show(found, different), _show(values, different))
    return False


def _show(row: Mapping[str, Any], names: list[str]) -> str:
    return ", ".join(f"{name}={row[name]!r}" for name in names)
