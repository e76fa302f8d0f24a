"""The record in SQLite: this file and those beside it alone import the driver.

Promised: what was committed is on the disk (WAL, ``synchronous=FULL``), and several processes on one machine may
write at once. One connection writes, one statement or transaction at a time; another one reads. May be lost: nothing
that was committed; but a commit that was cancelled while it ran may have happened.

A network file system breaks both locks and WAL: keep the file on a local disk.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiosqlite

from recordfirst.core.text import safe_text, shown
from recordfirst.errors import Misuse, RecordUnavailable, SchemaMismatch
from recordfirst.process.owner import Owned
from recordfirst.process.seams import Sleeper
from recordfirst.records import statements
from recordfirst.records.contract import Cover, Fault, Lease, Migration, Session
from recordfirst.records.one_connection import Params, Row
from recordfirst.records.session import SqlSession
from recordfirst.records.sqlite import beside
from recordfirst.records.sqlite.connection_lock import ConnectionLock
from recordfirst.records.sqlite.faults import CLOSED, CONTENTION, UNREACHABLE, code_of
from recordfirst.records.sqlite.guard import Block, Guard, GuardedConnection, guarded, to_the_end
from recordfirst.records.sqlite.holders import held_by
from recordfirst.records.sqlite.lease import hold
from recordfirst.records.sqlite.script import split

_PACKAGE = __package__ or ""
_BUSY_MS = 2_000
"""How long SQLite itself waits for another process's transaction before it says that it is busy."""
_OPEN_S = 5.0
_LOOK_S = 0.05
"""Between two looks for what other processes committed."""
_NOT_SEEN = -1
"""No count of commits is this one."""
_WRITES, _READS = "PRAGMA synchronous = FULL", "PRAGMA query_only = ON"
"""What makes a connection the one that writes, or the one that reads."""


class SqliteRecord:
    """A record in one SQLite file, in tables of its own beside the user's.

    Args:
        path: the file, on a local disk.
        connect: opens a connection of the driver. An argument for tests.
        sleeper: waits a number of seconds between two tries. An argument for tests.

    Raises:
        Misuse: if the path is a URL, or names nothing that outlives the process.
    """

    whole_number_max = (1 << 63) - 1
    migrations: Sequence[Migration]
    indexes: Mapping[str, str]
    path: Path | None

    def __init__(
        self,
        path: str | Path,
        *,
        connect: Callable[..., aiosqlite.Connection] = aiosqlite.connect,
        sleeper: Sleeper = asyncio.sleep,
    ) -> None:
        if str(path) in {"", ":memory:"} or str(path).startswith("file:"):
            raise Misuse(f"a record is a file that outlives the process; {str(path)!r} is none")
        if "://" in str(path):
            raise Misuse(f"SqliteRecord takes a path, such as SqliteRecord('shop.db'), not the URL {shown(str(path))}")
        # Without links: what lies beside the file is beside the same one under another name, too.
        self.path = self._path = Path(os.path.realpath(path))
        self.where = str(path)
        self._driver, self._sleeper = connect, sleeper
        self._statements = statements.load(_PACKAGE)
        self.migrations = statements.migrations(_PACKAGE)
        self.seen_mark: tuple[str, int, int] | None = None
        self._cover: Cover | None = None
        self.indexes = statements.indexes(self.migrations)
        self._app: str | None = None
        self._owned = Owned(f"the record at {self.where}")
        self._writer: aiosqlite.Connection | None = None
        self._reader: aiosqlite.Connection | None = None
        self._absent = False
        self._writing = ConnectionLock(self.where)
        self._reading = ConnectionLock(self.where)
        self._write_guard, self._read_guard = Guard(), Guard()
        self._news = asyncio.Event()
        self._seen_version = 0

    # ── open and close ──────────────────────────────────────────────────────

    async def open(self, app: str) -> None:
        if not self._owned.take():
            raise Misuse(f"the record at {self.where} is open already")
        self._app = app
        self._writing, self._reading = ConnectionLock(self.where), ConnectionLock(self.where)
        self._news = asyncio.Event()
        # To look, or to mistype the path, leaves no file behind: migrate() alone makes one.
        self._absent = not self._path.exists()
        if not self._absent:
            await self._connect_both()
        elif cause := self._cause(FileNotFoundError("")):
            self._owned.give_back()
            raise RecordUnavailable(self.where, cause)

    async def _connect_both(self) -> None:
        try:
            self._writer = await self._connect(self._write_guard, _WRITES)
            await self._until_free(self._keep_log)
            self._reader = await self._connect(self._read_guard, _READS)
            self._seen_version = await self._data_version()
        except (sqlite3.Error, OSError) as error:
            await self.close()
            raise RecordUnavailable(self.where, self._cause(error)) from error
        except BaseException:
            await self.close()
            raise

    async def _connect(self, guard: Guard, *pragmas: str) -> aiosqlite.Connection:
        connection = self._driver(self._path, timeout=_BUSY_MS / 1000, isolation_level=None)
        worker: threading.Thread = vars(connection).get("_thread", connection)
        worker.daemon = True  # a program that forgets to close its record must still be able to end
        try:
            await connection
        except BaseException:
            # The driver lets its thread go, which would speak to a loop that may be closed by then.
            await to_the_end(asyncio.to_thread(worker.join))
            raise
        try:
            for pragma in (*pragmas, "PRAGMA foreign_keys = ON"):
                await self._until_free(partial(connection.execute_fetchall, pragma))
            await connection.set_authorizer(guard.allows)
        except BaseException:
            await connection.close()
            raise
        return connection

    async def _until_free(self, work: Callable[[], Awaitable[object]]) -> None:
        """Repeat what SQLite refuses at once, without its usual wait, while others open the same file."""
        deadline = asyncio.get_running_loop().time() + _OPEN_S
        while True:
            try:
                await work()
            except sqlite3.OperationalError as error:
                if code_of(error) not in CONTENTION or asyncio.get_running_loop().time() > deadline:
                    raise
                await self._sleeper(0.02)
            else:
                return

    async def _keep_log(self, *, anyway: bool = False) -> None:
        """Write to a log beside the file, as it stays from then on: not where somebody only looks at another file."""
        connection = self._opened(self._writer)
        if anyway or await self._version(connection):
            await connection.execute_fetchall("PRAGMA journal_mode = WAL")

    async def close(self) -> None:
        if self._owned.is_inherited:
            return
        self._owned.check()
        reader, self._reader = self._reader, None
        writer, self._writer = self._writer, None
        self._absent = False
        try:
            for connection in (reader, writer):
                if connection is not None:
                    await connection.close()
        finally:
            self._owned.give_back()

    def _cause(self, error: Exception) -> str:
        """Say what SQLite leaves out: it has one message for all that can be wrong with a path."""
        folder = self._path.absolute().parent
        if not folder.is_dir():
            return f"there is no directory {folder}"
        if self._path.is_dir():
            return "it is a directory, not a file"
        if self._path.exists() and not os.access(self._path, os.R_OK | os.W_OK):
            return "no permission to read and write the file"
        if not os.access(folder, os.W_OK | os.X_OK):
            return f"no permission to write into {folder}, where SQLite keeps its log beside the file"
        if isinstance(error, sqlite3.DatabaseError) and code_of(error) == sqlite3.SQLITE_NOTADB:
            return "the file is not a SQLite database"
        return safe_text(error)

    # ── sessions ────────────────────────────────────────────────────────────

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Session[aiosqlite.Connection]]:
        self._opened(self._writer)
        async with self._writing:
            connection = await self._clean_writer()
            async with guarded(connection, self._write_guard, "BEGIN IMMEDIATE") as block:
                dialect = _InTransaction(block)
                given = GuardedConnection(block)
                yield SqlSession(given, dialect, self._statements, self._name, self.seen_mark, self._cover)
        if dialect.has_news:
            self._news.set()

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncIterator[Session[aiosqlite.Connection]]:
        connection = self._opened(self._writer)
        alone = _Alone(connection, self._writing, self._clean_writer)
        yield SqlSession(connection, alone, self._statements, self._name, self.seen_mark, self._cover)

    def must_be_free(self) -> None:
        self._writing.check()

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[aiosqlite.Connection]:
        self._opened(self._reader)
        async with self._reading:
            connection = await self._clean_reader()
            async with guarded(connection, self._read_guard, "BEGIN") as block:
                try:
                    yield GuardedConnection(block)
                except asyncio.CancelledError:
                    await connection.interrupt()  # a statement that was given up would hold the next one up
                    raise

    async def _clean_writer(self) -> aiosqlite.Connection:
        """The connection that writes, without anything that a block left on it. For the task whose turn it is."""
        left = self._opened(self._writer)
        if self._write_guard.must_replace:
            self._writer = await self._connect(self._write_guard, _WRITES)
            self._seen_version, self._write_guard.must_replace = _NOT_SEEN, False
            await to_the_end(left.close())
        return self._opened(self._writer)

    async def _clean_reader(self) -> aiosqlite.Connection:
        """The same for the one that reads."""
        left = self._opened(self._reader)
        if self._read_guard.must_replace:
            self._reader = await self._connect(self._read_guard, _READS)
            self._read_guard.must_replace = False
            await to_the_end(left.close())
        return self._opened(self._reader)

    @property
    def _name(self) -> str:
        return self._app or ""

    def _opened(self, connection: aiosqlite.Connection | None) -> aiosqlite.Connection:
        if self._app is None:
            raise Misuse(f"the record at {self.where} is not open")
        self._owned.check()
        if self._absent:
            raise SchemaMismatch(self.where, 0, self.migrations[-1].version)
        if connection is None:
            closed = sqlite3.OperationalError("the record is closed")
            closed.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
            raise closed
        return connection

    def cover_errors(self, cover: Cover | None) -> None:
        self._cover = cover

    def statements_of(self, package: str) -> Mapping[str, str]:
        return statements.folder(package, "sqlite")

    def fault(self, error: BaseException) -> Fault | None:
        # aiosqlite says the last in so many words when a connection was closed under a statement.
        if isinstance(error, RecordUnavailable) or (isinstance(error, ValueError) and str(error) in CLOSED):
            return "unreachable"
        if not isinstance(error, sqlite3.Error):
            return None
        code = code_of(error)
        if code in CONTENTION:
            return "contention"
        return "unreachable" if code in UNREACHABLE else None

    def holders(self) -> str:
        """Who holds the file, as far as the operating system tells, for an error's text."""
        return held_by(self._path)

    # ── the schema ──────────────────────────────────────────────────────────

    async def schema_version(self) -> int:
        if self._absent:
            return 0
        connection = self._opened(self._writer)
        async with self._writing:
            return await self._version(connection)

    async def _version(self, connection: aiosqlite.Connection) -> int:
        there = await _Dialect(connection).run(
            "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'recordfirst_migration'", {}
        )
        if not there:
            return 0
        [row] = await _Dialect(connection).run(self._statements.schema_version, {})
        return int(row[0])

    async def migrate(self, tell: Callable[[str], None] = lambda _: None) -> list[Migration]:
        del tell  # the file's lock is waited for as always
        if self._absent:
            self._absent = False
            await self._connect_both()
        connection = self._opened(self._writer)
        await self._until_free(lambda: self._keep_log(anyway=True))
        self._seen_version = await self._data_version()
        done = []
        for step in self.migrations:
            async with self._writing, _transaction(connection, "BEGIN IMMEDIATE"):
                if await self._version(connection) >= step.version:
                    continue
                for statement in split(step.sql):
                    await connection.execute_fetchall(statement)
                version = {"version": step.version, "name": step.name}
                await _Dialect(connection).run(self._statements.migrated, version)
                done.append(step)
        return done

    # ── leases and news ─────────────────────────────────────────────────────

    @contextlib.asynccontextmanager
    async def lease(self, name: str) -> AsyncIterator[Lease]:
        """Hold the lock on ``<path>.<app>.<name>.lease``; the file stays."""
        async with hold(self._beside(f"{quote(name, safe='')}.lease"), self._sleeper) as lease:
            yield lease

    def keep_mark(self, line: str | None) -> None:
        # Where it cannot be kept less is noticed; a worker that did not work for want of it would be the worse harm.
        with contextlib.suppress(OSError) if line is not None else contextlib.nullcontext():
            beside.keep(self._beside("mark"), line)

    def kept_mark(self) -> str | None:
        return beside.kept(self._beside("mark"))

    def _beside(self, name: str) -> Path:
        return self._path.with_name(f"{self._path.name}.{quote(self._name, safe='')}.{name}")

    async def changed(self, timeout_s: float) -> None:
        """Other processes' commits are seen within some 50 ms, whatever they stored; this one's when they notify."""
        try:
            async with asyncio.timeout(timeout_s):
                while not self._news.is_set():
                    version = await self._data_version()
                    if version != self._seen_version:
                        self._seen_version = version
                        break
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._news.wait(), _LOOK_S)
        except TimeoutError:
            pass
        self._news.clear()

    async def _data_version(self) -> int:
        """SQLite's count of what others committed: asked on the writing connection, whose own commits do not count."""
        [row] = await self._opened(self._writer).execute_fetchall("PRAGMA data_version")
        return int(row[0])

    async def notify(self, session: Session[Any]) -> None:
        dialect = session._dialect if isinstance(session, SqlSession) else None  # noqa: SLF001 - made in this file
        if isinstance(dialect, _InTransaction):
            dialect.has_news = True
        else:
            self._news.set()


class _Dialect:
    """Statements on an aiosqlite connection, each one trip to its thread."""

    def __init__(self, connection: aiosqlite.Connection) -> None:
        self._connection = connection

    async def run(self, sql: str, params: Params) -> list[Row]:
        rows = await self._connection.execute_fetchall(sql, params)
        return [tuple(row) for row in rows]

    def pack(self, rows: Sequence[Params]) -> Params:
        """One JSON text, for ``json_each``."""
        return {"rows": json.dumps(rows)}

    def promise(self, number: int) -> None:
        raise Misuse(f"promise {number} outside of a transaction, so nothing could take it back")

    async def promised(self) -> set[int]:
        return set()


class _Alone(_Dialect):
    """Each statement a transaction of its own, when it is its turn."""

    def __init__(
        self,
        connection: aiosqlite.Connection,
        turn: ConnectionLock,
        clean: Callable[[], Awaitable[aiosqlite.Connection]],
    ) -> None:
        super().__init__(connection)
        self._turn, self._clean = turn, clean

    async def run(self, sql: str, params: Params) -> list[Row]:
        async with self._turn:
            self._connection = await self._clean()
            return await super().run(sql, params)


class _InTransaction(_Dialect):
    """Statements that must not commit by themselves."""

    has_news = False

    def __init__(self, block: Block) -> None:
        super().__init__(block.connection)
        self._block = block

    def promise(self, number: int) -> None:
        self._block.check("start() or intend")
        self._block.savepoints.note(number)

    async def promised(self) -> set[int]:
        self._block.close_to_the_user()
        return self._block.savepoints.promises

    async def run(self, sql: str, params: Params) -> list[Row]:
        return await self._block.run(sql, params)


@contextlib.asynccontextmanager
async def _transaction(connection: aiosqlite.Connection, begin: str) -> AsyncIterator[None]:
    try:
        await connection.execute_fetchall(begin)
        yield
        await connection.commit()
    except BaseException:
        # Also if BEGIN or COMMIT itself was cancelled: its thread takes one thing after the other, so by then it is
        # known whether there is a transaction, and without one this does nothing.
        await to_the_end(connection.rollback())
        raise
