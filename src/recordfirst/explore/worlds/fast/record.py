"""SQLite for the fast world: the record's own code, without the driver's thread and with the boundary.

Each statement runs in the calling thread, so a run has one thread and is the same each time. The record's clock is the
world's.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import sqlite3
from collections.abc import AsyncIterator, Callable, Generator
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any, cast

import aiosqlite

from recordfirst.explore.runs.schedule import Boundary
from recordfirst.explore.worlds.virtual.boundary import Process
from recordfirst.explore.worlds.virtual.errors import elsewhere
from recordfirst.explore.worlds.virtual.kept import KeptConnection, Role
from recordfirst.explore.worlds.virtual.known import names_by_text
from recordfirst.records.contract import Lease
from recordfirst.records.sqlite import SqliteRecord
from recordfirst.records.sqlite.lease import hold

_JULIAN_1970_MS = 210_866_760_000_000
"""Milliseconds between the day that SQLite's julianday() counts from and 1970."""
_SILENT = ("PRAGMA",)
"""Statements that are no points."""
_READS = "PRAGMA query_only = ON"
_TOLD = frozenset({_READS, "PRAGMA synchronous = FULL", "PRAGMA foreign_keys = ON", "PRAGMA journal_mode = WAL"})
"""The settings that a record makes on its connections; a kept connection has them already."""
_PLAIN = frozenset({
    "_execute_fetchall", "_execute_insert", "execute", "executemany", "commit", "rollback", "close", "cursor",
    "fetchone", "fetchmany", "fetchall", "set_authorizer", "rows",
})  # fmt: skip
_PLAIN_SQL = re.compile(
    r"\s*(SELECT|INSERT|UPDATE|DELETE|REPLACE|WITH|BEGIN|COMMIT|ROLLBACK|PRAGMA data_version)\b|$",
    re.IGNORECASE,
)
"""Statements that leave nothing on a connection for its next user. A savepoint does: the guard of a connection learns
the effect of a statement on savepoints when it is prepared, and the next user has its own guard."""
_APART = frozenset({"begin_timeline", "announce_mark", "confirm_mark", "alive", "dispatched", "save_pass"})
"""Statements that change nothing which is observed."""


class SimRecord(SqliteRecord):
    """The record of one process of the fast world.

    Args:
        path: the file.
        host: the host of the process. Leases are held per host: a process that stalled for too long has lost its
            lease to another host without knowing it, as if its connection to Postgres had been cut.
        process: the process whose points the statements are.
    """

    def __init__(self, path: Path, host: str, process: Process) -> None:
        super().__init__(path, connect=partial(_connect, process))
        self._host = host

    def peek(self) -> sqlite3.Connection:
        """A connection that sees only what is committed, as long as the record is open."""
        # A connection reads the whole schema at its first use. The one that writes has already done so.
        given = self._writer if self._writer is not None and not self._writer.in_transaction else self._reader
        assert isinstance(given, _Inline)
        connection: sqlite3.Connection = given._conn  # noqa: SLF001 - our own subclass
        return connection

    async def changed(self, timeout_s: float) -> None:
        # No other process commits while this one runs. Polling every 50 ms was half of all statements to SQLite.
        version = await self._data_version()
        if version == self._seen_version:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), timeout_s)
        self._seen_version = version
        self._news.clear()

    @contextlib.asynccontextmanager
    async def lease(self, name: str) -> AsyncIterator[Lease]:
        async with hold(self._path.with_name(f"{name}-{self._host}.lease"), self._sleeper) as lease:
            yield lease


def _connect(process: Process, path: Path, **options: Any) -> aiosqlite.Connection:
    return cast("aiosqlite.Connection", _Inline(process, lambda role: _opened(process, path, role, options)))


def _opened(process: Process, path: Path, role: Role, options: dict[str, Any]) -> KeptConnection:
    kept = process.connect(path, role, options | {"timeout": 0.0})
    process.opened.append(kept.closing())
    if kept.clock is None:
        kept.create_function("julianday", -1, lambda *_: (_JULIAN_1970_MS + _now_ms(kept)) / 86_400_000)
    kept.clock = process.clock.now_ms
    return kept


def _now_ms(kept: KeptConnection) -> int:
    assert kept.clock is not None
    return kept.clock()


class _Inline(aiosqlite.Connection):
    """An aiosqlite connection without a thread."""

    __module__ = aiosqlite.Connection.__module__  # steps that support several products recognise the driver by it
    _connection: KeptConnection | None

    def __init__(self, process: Process, connect: Callable[[Role], KeptConnection]) -> None:
        super().__init__(lambda: connect("writer"), 64)
        self._process, self._connect_as = process, connect

    def __await__(self) -> Generator[Any, None, aiosqlite.Connection]:
        return self._connect().__await__()

    def __del__(self) -> None:
        """Suppress the warning: a process that dies closes nothing."""

    async def _connect(self) -> aiosqlite.Connection:
        return self  # its first statement shows its purpose

    def stop(self) -> None:
        self._running = False
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def _execute(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if not self._running:
            raise ValueError("Connection closed")
        connection = self._connection
        if connection is None:
            connection = self._connection = self._connect_as("reader" if args[:1] == (_READS,) else "writer")
        process = self._process
        name = _name_of(fn, args)
        text = args[0] if args and isinstance(args[0], str) else ""
        if text in _TOLD:
            if text not in connection.told:
                connection.told[text] = fn(*args, **kwargs)
            return connection.told[text]
        connection.is_odd = connection.is_odd or fn.__name__ not in _PLAIN or not _is_plain(text)
        if name is None:
            return fn(*args, **kwargs)

        def run() -> Any:
            before = connection.total_changes
            result = fn(*args, **kwargs)
            process.in_transaction = connection.in_transaction
            if connection.total_changes == before and name != "COMMIT":
                process.changes -= 1  # a query is no progress
            elif not connection.in_transaction and name not in _APART:
                process.committed(connection)
            return result

        return await process.passes("record", name, run, detail=_detail(args))


def _name_of(fn: Callable[..., Any], args: tuple[Any, ...]) -> str | None:
    """The name of a statement for an operator; ``None`` if it is no point."""
    kind = fn.__name__
    if kind == "rollback":
        return None
    if kind == "commit":
        return "COMMIT"
    if not args or not isinstance(args[0], str) or args[0].startswith(_SILENT):
        return None
    text = args[0]
    return _known().get(text) or " ".join(text.split())[:60]


@lru_cache(1_000)
def _is_plain(text: str) -> bool:
    return text in _known() or _PLAIN_SQL.match(text) is not None


@cache
def _known() -> dict[str, str]:
    return names_by_text("sqlite")


def _detail(args: tuple[Any, ...]) -> str:
    given = args[1] if len(args) > 1 else None
    if not isinstance(given, dict):
        return "" if not given else ", ".join(map(str, given))[:120]
    return ": ".join(str(given[name]) for name in ("key", "id", "state") if given.get(name) is not None)


class SqliteErrors:
    """The errors of SQLite and of the embedded engine."""

    def not_applied(self, boundary: Boundary) -> BaseException:
        if boundary == "record":
            return _error("unable to open database file", sqlite3.SQLITE_CANTOPEN)
        return elsewhere(boundary, ConnectionRefusedError("refused: nothing was sent"))

    def lost(self, boundary: Boundary) -> BaseException:
        if boundary == "record":
            return _error("disk I/O error", sqlite3.SQLITE_IOERR)
        return elsewhere(boundary, ConnectionResetError("the connection was reset before the reply came"))

    def contended(self) -> BaseException:
        return _error("database is locked", sqlite3.SQLITE_BUSY)


def _error(text: str, code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(text)
    error.sqlite_errorcode = code
    return error
