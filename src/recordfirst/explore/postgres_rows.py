"""A database that worlds begin anew in: the rows that it had at first, put back before every schedule."""

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
_ENDED = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""


def check_empty(connection: Looking) -> None:
    """Raise ``Misuse`` if somebody has tables there."""
    if connection.execute(_TABLES).fetchall():
        raise Misuse(f"{connection.info.dbname!r} is not empty; a world deletes whatever its database holds")


def keep_rows(connection: Looking) -> None:
    """Make a function that puts every table back to the rows it has now, in the schema ``recordfirst_explore``."""
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
            body.append(sql.SQL("INSERT INTO {} OVERRIDING SYSTEM VALUE SELECT * FROM {};").format(table, kept))
    if not may_ignore_keys:  # and to empty all at once is slower, yet needs no order
        emptied = [sql.SQL("TRUNCATE {};").format(sql.SQL(", ").join(emptied))]
    text = "\n".join(each.as_string(connection) for each in (*emptied, *body))
    setting = "SET session_replication_role = replica" if may_ignore_keys else ""
    connection.execute(
        "CREATE FUNCTION recordfirst_explore.reset() RETURNS void LANGUAGE plpgsql "
        f"{setting} AS $$ BEGIN {text} END $$".encode()
    )


def put_back(connection: Looking) -> None:
    """End every other session, and put the rows back."""
    connection.execute(_ENDED)
    connection.execute("SELECT recordfirst_explore.reset()")


def lose_engine(connection: Looking) -> None:
    """Delete what an engine in the database has, as if ``resonate.sql`` had been applied anew."""
    tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'resonate'").fetchall()
    names = sql.SQL(", ").join(sql.Identifier("resonate", table) for (table,) in tables)
    connection.execute(sql.SQL("TRUNCATE {}").format(names))
