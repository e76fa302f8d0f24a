"""Engines for tests with processes: the embedded one, and servers, which are skipped aloud if none is named."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from recordfirst import App
from recordfirst.conformance.record import run
from recordfirst.records.open import record_from_url
from tests.engine.program import engine_given, outside_of, spelt_for_sqlite
from tests.starts.harness import migrated

SERVER = "RECORDFIRST_TEST_RESONATE_URL"
SQL = "RECORDFIRST_TEST_RESONATE_SQL"
_HOW = {
    "server": f"set {SERVER}=http://127.0.0.1:8001 to the URL of a Resonate Server (resonate serve)",
    "resonate-pg": f"set {SQL}=PATH to resonate.sql of github.com/resonatehq/resonate-pg",
}
_numbers = itertools.count(1)


def resonate_sql() -> bytes:
    """The file that makes a database an engine."""
    path = os.environ.get(SQL)
    if not path:
        pytest.skip(f"NOT TESTED on Resonate in Postgres: {_HOW['resonate-pg']}")
    return Path(path).read_bytes()


def make_engine_of(dsn: str) -> None:
    """Apply ``resonate.sql``: one at a time, since it makes a role, and roles are the whole server's."""
    sql = resonate_sql()
    with (Path(os.environ["RECORDFIRST_TEST_HOME"]) / "roles").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("SET client_min_messages = error")  # it warns that there is no pg_cron
            connection.execute(sql)


def engine_url(kind: str, dsn: str) -> str:
    """The engine's URL; on resonate-pg in the record's own database; the embedded one's file."""
    if kind == "server":
        url = os.environ.get(SERVER)
        if not url:
            pytest.skip(f"NOT TESTED on a Resonate Server: {_HOW['server']}")
        return url
    if kind == "embedded":
        return str(Path(os.environ["RECORDFIRST_TEST_HOME"]) / f"{uuid.uuid4().hex}-engine")
    make_engine_of(dsn)
    return dsn


class Live:
    """One record, one engine, and an app's name that nobody else uses on it."""

    def __init__(self, kind: str, dsn: str) -> None:
        self.kind, self.dsn = kind, dsn
        self.engine = engine_url(kind, dsn)
        self.outside = "outside." if dsn.startswith("sqlite") else ""
        """How :meth:`rows` calls the outside world, where it is a file of its own."""
        self.name = f"shop-{uuid.uuid4().hex[:12]}"
        self.events: list[Any] = []
        """What the apps' observers were told."""

    @contextlib.asynccontextmanager
    async def app(self, *workflows: Any, provide: dict[Any, Any] | None = None, **options: Any) -> AsyncIterator[App]:
        """An app, open, whose record has all tables."""
        await migrated(self.dsn)
        given: dict[str, Any] = {"engine": engine_given(self.engine), "observer": self.events.append} | options
        app = App(self.name, record=record_from_url(self.dsn), workflows=workflows, **given)
        for key, value in (provide or {}).items():
            app.provide(value, as_=key)
        async with app:
            yield app

    @contextlib.asynccontextmanager
    async def working(self, *workflows: Any, group: str | None = None, **options: Any) -> AsyncIterator[App]:
        """An app with a worker that works."""
        async with self.app(*workflows, **options) as app, app.worker(group=group) as worker:
            await worker.working.wait()
            yield app

    def rows(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """What a query finds, if it finds rows at all."""
        if self.outside:
            with contextlib.closing(sqlite3.connect(self.dsn.removeprefix("sqlite:///"), timeout=60)) as file, file:
                file.execute("ATTACH ? AS outside", [outside_of(self.dsn)])
                return file.execute(spelt_for_sqlite(query), values).fetchall()
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            cursor = connection.execute(query.encode(), values or None)
            return cursor.fetchall() if cursor.description else []

    @contextlib.contextmanager
    def worker(self) -> Iterator[Process]:
        """A worker process of :mod:`tests.engine.program`; killed at the end, if it is still there."""
        process = Process(self.name, self.dsn, self.engine)
        try:
            yield process
        finally:
            process.kill()


def live_engine(kind: str, dsn: str, tables: Iterable[str] = ()) -> Live:
    """The engine, with a record that has its tables and these."""
    there = Live(kind, dsn)
    run(migrated(dsn))
    for table in tables:
        there.rows(table)
    return there


class Process:
    """A worker in a process of its own."""

    def __init__(self, name: str, dsn: str, engine: str) -> None:
        self._popen = subprocess.Popen(
            [sys.executable, "-m", "tests.engine.program", json.dumps([name, dsn, engine])], stdout=subprocess.PIPE
        )
        self.pid = self._popen.pid

    def hear(self, what: str) -> None:
        """Wait until it says so."""
        assert self._popen.stdout is not None
        line = self._popen.stdout.readline().decode().strip()
        assert line == what

    def kill(self) -> None:
        """SIGKILL."""
        self._popen.kill()
        self._popen.wait()
        assert self._popen.stdout is not None
        self._popen.stdout.close()

    def tell_to_stop(self) -> None:
        """SIGTERM."""
        self._popen.send_signal(signal.SIGTERM)

    def wait(self, timeout_s: float) -> int:
        """Its exit status."""
        return self._popen.wait(timeout_s)


def until(condition: Any, timeout_s: float = 60.0) -> None:
    """Look until it is so."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.02)
