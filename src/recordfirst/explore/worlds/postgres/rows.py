"""Restores the first rows of a database before every schedule."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg import sql

from recordfirst.errors import Misuse

type Looking = psycopg.Connection[tuple[Any, ...]]

_TABLES = """
SELECT schemaname, tablename FROM pg_tables
WHERE schemaname NOT IN ('pg_catalog', 'information_schema', 'recordfirst_explore') ORDER BY 1, 2
"""
_STORED = """
SELECT column_name FROM information_schema.columns
WHERE table_schema = %s AND table_name = %s AND is_generated = 'NEVER' ORDER BY ordinal_position
"""
_ENDED = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""


def check_empty(connection: Looking) -> None:
    """Raise ``Misuse`` if the database has tables."""
    if connection.execute(_TABLES).fetchall():
        raise Misuse(f"{connection.info.dbname!r} is not empty; a world deletes everything in its database")


def keep_rows(connection: Looking) -> None:
    """Create a function in the schema ``recordfirst_explore`` that restores the present rows of every table."""
    body, emptied = [], []
    [may_ignore_keys] = connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone() or (
        False,
    )
    for number, name in enumerate(connection.execute(_TABLES).fetchall()):
        table, kept = sql.Identifier(*name), sql.Identifier("recordfirst_explore", f"kept_{number}")
        connection.execute(sql.SQL("CREATE TABLE {} AS TABLE {}").format(kept, table))
        [count] = connection.execute(sql.SQL("SELECT count(*) FROM {}").format(kept)).fetchone() or (0,)
        emptied.append(sql.SQL("DELETE FROM {};").format(table) if may_ignore_keys else table)
        if count:
            body.append(_filling(connection, name, table, kept))
    if not may_ignore_keys:  # emptying all tables at once is slower, but needs no order
        emptied = [sql.SQL("TRUNCATE {};").format(sql.SQL(", ").join(emptied))]
    text = "\n".join(each.as_string(connection) for each in (*emptied, *body))
    setting = "SET session_replication_role = replica" if may_ignore_keys else ""
    connection.execute(
        "CREATE FUNCTION recordfirst_explore.reset() RETURNS void LANGUAGE plpgsql "
        f"{setting} AS $$ BEGIN {text} END $$".encode()
    )


def put_back(connection: Looking) -> None:
    """End every other session, and restore the rows."""
    connection.execute(_ENDED)
    connection.execute("SELECT recordfirst_explore.reset()")


def lose_engine(connection: Looking) -> None:
    """Delete the rows of an engine in the database, as if ``resonate.sql`` had been applied again."""
    names = sql.SQL(", ").join(sql.Identifier("resonate", table) for table in _engines_tables(connection))
    connection.execute(sql.SQL("TRUNCATE {}").format(names))


def keep_engine(connection: Looking) -> None:
    """Copy the rows of an engine in the database, at one moment."""
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    for table in _engines_tables(connection):
        kept, whole = sql.Identifier("recordfirst_explore", f"older_{table}"), sql.Identifier("resonate", table)
        connection.execute(sql.SQL("DROP TABLE IF EXISTS {}").format(kept))
        connection.execute(sql.SQL("CREATE TABLE {} AS TABLE {}").format(kept, whole))
    connection.execute("COMMIT")


def set_engine_back(connection: Looking) -> None:
    """Restore the copied rows of an engine in the database, as from a backup of its schema alone."""
    connection.execute("BEGIN")
    connection.execute("SET LOCAL session_replication_role = replica")
    lose_engine(connection)
    for table in _engines_tables(connection):
        kept, whole = sql.Identifier("recordfirst_explore", f"older_{table}"), sql.Identifier("resonate", table)
        connection.execute(_filling(connection, ("resonate", table), whole, kept))
    connection.execute("COMMIT")


def _filling(connection: Looking, name: tuple[str, str], table: sql.Identifier, kept: sql.Identifier) -> sql.Composed:
    """The statement that restores the rows of a table; generated columns are computed again."""
    found = connection.execute(_STORED, name).fetchall()
    columns = sql.SQL(", ").join(sql.Identifier(column) for (column,) in found)
    text = sql.SQL("INSERT INTO {0} ({1}) OVERRIDING SYSTEM VALUE SELECT {1} FROM {2};")
    return text.format(table, columns, kept)


def _engines_tables(connection: Looking) -> list[str]:
    return [name for (name,) in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'resonate'")]
