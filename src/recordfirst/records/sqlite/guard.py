"""The connection that user code gets for one transaction: guarded, and of no use after it (P2).

Kept: what the code executes commits together with recordfirst's own statements, or not at all. It is refused

- after the transaction, also from a task that still runs, or by a cursor that was kept;
- once the transaction has ended inside the block: the check runs in the driver's thread, right before each statement;
- if it would end the transaction, or change what SQLite does for everybody: SQLite asks before it prepares a statement,
  and what is not on a list is refused.

A statement that was given up (a timeout, a cancelled task) is skipped if it had not begun; if it had, the transaction
cannot commit, unless a savepoint takes the statement back. Cursors are closed with the transaction: one that is not
read to its end keeps SQLite's snapshot, and the next transaction would see an old one. A connection with something on
it that others would find (a temporary table, a function) is replaced before its next use.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Generator, Iterable, Mapping
from typing import Any, NoReturn

import aiosqlite
from aiosqlite.context import contextmanager

from recordfirst.errors import Misuse
from recordfirst.records.one_connection import Row
from recordfirst.records.savepoints import Does, Savepoint, Savepoints

_ENDED = (
    "the transaction was ended inside its block (by INSERT OR ROLLBACK, by a trigger's RAISE(ROLLBACK, ...), or by an "
    "error that ends it), so nothing of it is kept; leave COMMIT and ROLLBACK to recordfirst, and use SAVEPOINT for "
    "what may fail"
)
_REFUSED_HERE = "{} is refused inside the transaction, which goes on"
_ENDS = f"{_REFUSED_HERE}: leave COMMIT and ROLLBACK to recordfirst"
_OVER = "{}() was refused: this connection was given for one transaction, which has ended; use the one of your own"
_GIVEN_UP = (
    "a statement was given up while it ran (a timeout, or a cancelled task: {}), so what the transaction holds is not "
    "what its code believes, and nothing of it is kept; put what may be given up into a SAVEPOINT, and roll that back"
)
_NOT_AWAITED = "{} statement(s) had not come back when the block ended, so nothing of it is kept; await each one"
_SAVEPOINTS_MOST = 1_000
"""Savepoint statements that are remembered for one connection. The driver keeps 128 statements in all."""
_DOES: dict[str | None, Does] = {"BEGIN": "opens", "RELEASE": "releases", "ROLLBACK": "takes back"}
"""What a statement does to a savepoint, as SQLite says it."""
_OPEN_AND_CLOSE = "the connection is recordfirst's to open and to close; use it as it is"

_ALLOWED = frozenset({
    sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ, sqlite3.SQLITE_FUNCTION, sqlite3.SQLITE_RECURSIVE,
    sqlite3.SQLITE_INSERT, sqlite3.SQLITE_UPDATE, sqlite3.SQLITE_DELETE, sqlite3.SQLITE_SAVEPOINT,
    sqlite3.SQLITE_CREATE_TABLE, sqlite3.SQLITE_CREATE_INDEX, sqlite3.SQLITE_CREATE_VIEW, sqlite3.SQLITE_CREATE_TRIGGER,
    sqlite3.SQLITE_CREATE_VTABLE, sqlite3.SQLITE_DROP_TABLE, sqlite3.SQLITE_DROP_INDEX, sqlite3.SQLITE_DROP_VIEW,
    sqlite3.SQLITE_DROP_TRIGGER, sqlite3.SQLITE_DROP_VTABLE, sqlite3.SQLITE_ALTER_TABLE, sqlite3.SQLITE_REINDEX,
    sqlite3.SQLITE_ANALYZE,
})  # fmt: skip
"""What stays in the file, and in its transaction."""
_TEMPORARY = frozenset({
    sqlite3.SQLITE_CREATE_TEMP_TABLE, sqlite3.SQLITE_CREATE_TEMP_INDEX, sqlite3.SQLITE_CREATE_TEMP_VIEW,
    sqlite3.SQLITE_CREATE_TEMP_TRIGGER, sqlite3.SQLITE_DROP_TEMP_TABLE, sqlite3.SQLITE_DROP_TEMP_INDEX,
    sqlite3.SQLITE_DROP_TEMP_VIEW, sqlite3.SQLITE_DROP_TEMP_TRIGGER,
})  # fmt: skip
"""What stays on the connection."""
_PRAGMAS_READ = frozenset({
    "application_id", "collation_list", "compile_options", "data_version", "database_list", "defer_foreign_keys",
    "encoding", "foreign_key_check", "foreign_keys", "freelist_count", "function_list", "integrity_check",
    "journal_mode", "module_list", "page_count", "page_size", "pragma_list", "query_only", "quick_check",
    "recursive_triggers", "schema_version", "synchronous", "table_list", "user_version",
})  # fmt: skip
"""Pragmas that, without an argument, only tell something."""
_PRAGMAS_WITH_ARGUMENT = frozenset({
    "application_id", "defer_foreign_keys", "foreign_key_check", "foreign_key_list", "index_info", "index_list",
    "index_xinfo", "integrity_check", "quick_check", "table_info", "table_list", "table_xinfo", "user_version",
})  # fmt: skip
"""Pragmas whose argument is what they look at, or sets what is part of the transaction."""
_METHODS = frozenset({
    "execute", "executemany", "_execute_fetchall", "_execute_insert", "cursor", "fetchone", "fetchmany", "fetchall",
    "close",
})  # fmt: skip
"""What user code may have the driver's thread do on a connection (or a cursor, which alone it can close)."""
_STATEMENTS = frozenset({"execute", "executemany", "_execute_fetchall", "_execute_insert"})
_STAYS = frozenset({"create_function", "set_trace_callback", "set_progress_handler"})
"""What else it may do; but it stays on the connection."""
_REFUSED = {
    sqlite3.SQLITE_TRANSACTION: "what begins or ends a transaction",
    sqlite3.SQLITE_ATTACH: "ATTACH, whose file does not commit together with this one,",
    sqlite3.SQLITE_DETACH: "DETACH",
}


class Guard:
    """What SQLite asks before it prepares a statement on one connection: for a block's code, or for recordfirst."""

    def __init__(self) -> None:
        self.block: Block | None = None
        """Whose statement the driver's thread prepares; ``None``: recordfirst's own."""
        self.must_replace = False
        """Whether the connection has something on it that another block would find."""
        self.savepoints: dict[str, Savepoint] = {}
        """What the statements that SQLite was asked to prepare do to savepoints, by their text."""

    def allows(self, action: int, first: str | None, second: str | None, database: str | None, _: str | None) -> int:
        """Answer SQLite, in the driver's thread.

        It does not ask again for a statement that the driver has kept. So what is refused is never kept, and a
        connection on which something stays is not used again.
        """
        if self.block is None:
            return sqlite3.SQLITE_OK
        if action == sqlite3.SQLITE_PRAGMA:
            refused = _refused_pragma(first or "", second)
        elif action in _TEMPORARY or (action in _ALLOWED and "temp" in (first, database)):
            self.must_replace = True
            refused = _refused_temporary(action, first or "")
        elif action in _ALLOWED:
            refused = ""
            if action == sqlite3.SQLITE_SAVEPOINT:
                self._remember(self.block.text, Savepoint(_DOES[first], (second or "").lower().encode()))
        else:
            refused = _REFUSED.get(action, "this")
        why = _ENDS if action == sqlite3.SQLITE_TRANSACTION else _REFUSED_HERE
        self.block.refused = why.format(refused) if refused else ""
        return sqlite3.SQLITE_DENY if refused else sqlite3.SQLITE_OK

    def _remember(self, text: str, step: Savepoint) -> None:
        """Remember it for longer than the driver keeps the statement."""
        self.savepoints.pop(text, None)
        self.savepoints[text] = step
        if len(self.savepoints) > _SAVEPOINTS_MOST:
            del self.savepoints[next(iter(self.savepoints))]

    def savepoint_of(self, text: str) -> Savepoint | None:
        """What a statement that has succeeded did to a savepoint."""
        step = self.savepoints.get(text)
        if step is not None:
            self._remember(text, step)
        return step


def _refused_pragma(name: str, argument: str | None) -> str:
    if name.lower() in (_PRAGMAS_READ if argument is None else _PRAGMAS_WITH_ARGUMENT):
        return ""
    return f"PRAGMA {name}{'' if argument is None else f' = {argument}'}, which would hold for every workflow,"


def _refused_temporary(action: int, name: str) -> str:
    """A temporary table stands before one of the file that has the same name."""
    if action == sqlite3.SQLITE_ALTER_TABLE or name.lower().startswith("recordfirst_"):
        return f"a temporary {name!r}, which could stand before recordfirst's own,"
    return ""


class Block:
    """One transaction on a connection of the driver's. The event loop asks; the driver's thread executes."""

    def __init__(self, connection: aiosqlite.Connection, guard: Guard) -> None:
        self.connection = connection
        self.raw: sqlite3.Connection = connection._conn  # noqa: SLF001 - there is no public way to the driver's thread
        self.guard = guard
        self.is_over = False
        self.text = self.refused = ""
        """The statement that the driver's thread prepares, and why it was refused."""
        self.savepoints = Savepoints()
        self.row_factory: Any = None
        self.text_factory: Any = str
        self._on_their_way = 0
        self._cursors: weakref.WeakSet[sqlite3.Cursor] = weakref.WeakSet()

    # ── for the block's code ────────────────────────────────────────────────

    async def ask(self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Have the driver's thread do something for the block's code.

        Raises:
            Misuse: if it may not, or may no longer.
        """
        name = fn.__name__
        if name == "close" and (self.is_over or not self.raw.in_transaction):
            return None  # a cursor's: it is closed with the transaction
        self.check(name)
        if name in _STAYS:
            self.guard.must_replace = True
        elif name not in _METHODS:
            raise Misuse(_ENDS.format(f"{name}()"))
        call = _Call(self, fn)
        self._on_their_way += 1
        try:
            result = await self.connection._execute(call, *args, **kwargs)  # type: ignore[no-untyped-call]  # noqa: SLF001
        except asyncio.CancelledError:
            call.is_given_up = True
            if call.has_begun and name in _STATEMENTS:
                self.savepoints.note(_GIVEN_UP.format(" ".join(str(args[0]).split())[:80]))
            raise
        finally:
            self._on_their_way -= 1
        if name in _STATEMENTS and (step := self.guard.savepoint_of(args[0])) is not None:
            self.savepoints.done(step)
        return result

    def check(self, name: str) -> None:
        """Raise if the transaction is over."""
        if self.is_over:
            raise Misuse(_OVER.format(name.removeprefix("_")))

    def do(self, fn: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Do it, in the driver's thread: inside the transaction, or not at all."""
        raw = self.raw
        self.check(fn.__name__)
        if not raw.in_transaction:
            raise Misuse(_ENDED)
        self.text, self.refused, self.guard.block = args[0] if args else "", "", self
        if is_own := self.row_factory is not None or self.text_factory is not str:
            raw.row_factory, raw.text_factory = self.row_factory, self.text_factory
        try:
            result = fn(*args, **kwargs)
        except sqlite3.DatabaseError as error:
            if self.refused and error.sqlite_errorcode == sqlite3.SQLITE_AUTH:
                raise Misuse(self.refused) from error
            raise
        finally:
            self.guard.block = None
            if is_own:
                raw.row_factory, raw.text_factory = None, str
        if isinstance(result, sqlite3.Cursor) and result.description is not None:
            self._cursors.add(result)
        return result

    # ── for recordfirst ─────────────────────────────────────────────────────

    async def run(self, sql: str, params: Mapping[str, Any]) -> list[Row]:
        """Execute a statement of recordfirst's own, inside the transaction or not at all."""
        rows: list[Row] = await self.connection._execute(self.rows, sql, params)  # type: ignore[no-untyped-call]  # noqa: SLF001
        return rows

    def rows(self, sql: str, params: Mapping[str, Any]) -> list[Row]:
        """The same, in the driver's thread."""
        if not self.raw.in_transaction:
            raise Misuse(_ENDED)
        return self.raw.execute(sql, params).fetchall()

    def close_to_the_user(self) -> None:
        """Take no more statements of the user's.

        Raises:
            Misuse: if one has not come back yet, or was given up while it ran.
        """
        if self.is_over:
            return
        self.is_over = True
        if self._on_their_way:
            raise Misuse(_NOT_AWAITED.format(self._on_their_way))
        if self.savepoints.spoiled is not None:
            raise Misuse(self.savepoints.spoiled)

    async def end(self) -> None:
        """Commit, if the block's code has got all that it asked for."""
        self.close_to_the_user()
        await self.connection._execute(self.commit)  # type: ignore[no-untyped-call]  # noqa: SLF001

    def commit(self) -> None:
        """The same, in the driver's thread."""
        self._close_cursors()
        if not self.raw.in_transaction:
            raise Misuse(_ENDED)
        self.raw.commit()

    async def abandon(self) -> None:
        """Roll back, whatever has happened; what is on its way does nothing more."""
        self.is_over = True
        await to_the_end(self.connection._execute(self.rollback))  # type: ignore[no-untyped-call]  # noqa: SLF001

    def rollback(self) -> None:
        """The same, in the driver's thread."""
        self._close_cursors()
        self.raw.rollback()

    def _close_cursors(self) -> None:
        for cursor in [*self._cursors]:
            cursor.close()


class _Call:
    """Something that the driver's thread is asked to do; nothing, if it was given up before it began."""

    __slots__ = ("__name__", "_block", "_fn", "has_begun", "is_given_up")

    def __init__(self, block: Block, fn: Callable[..., Any]) -> None:
        self.__name__ = fn.__name__
        self._block, self._fn = block, fn
        self.has_begun = self.is_given_up = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        # Begun first, then the look: if both sides set and look at the same moment, it is skipped and counts as begun.
        self.has_begun = True
        return None if self.is_given_up else self._block.do(self._fn, args, kwargs)


class GuardedCursor(aiosqlite.Cursor):
    """A cursor that does not give the driver's bare connection away."""

    __module__ = aiosqlite.Cursor.__module__

    @property
    def connection(self) -> Any:
        return self._conn


class GuardedConnection(aiosqlite.Connection):
    """The driver's connection, as a block's code sees it: all that it asks for goes through its :class:`Block`."""

    __module__ = aiosqlite.Connection.__module__  # by this, steps for several products know what they write for

    def __init__(self, block: Block) -> None:
        # Without the base's own __init__: the thread, and the connection, are those of another one.
        self._block = block
        self._running = True
        self._connection = block.raw
        self._iter_chunk_size = block.connection._iter_chunk_size  # noqa: SLF001

    def __repr__(self) -> str:
        return f"<aiosqlite connection of one transaction{', which has ended' if self._block.is_over else ''}>"

    def __del__(self) -> None:
        """Nothing: there is nothing of its own to close."""

    async def _execute(self, fn: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return await self._block.ask(fn, args, kwargs)

    @contextmanager
    async def cursor(self) -> aiosqlite.Cursor:
        return GuardedCursor(self, await self._execute(self._conn.cursor))

    @contextmanager
    async def execute(self, sql: str, parameters: Iterable[Any] | None = None) -> aiosqlite.Cursor:
        given = () if parameters is None else parameters
        return GuardedCursor(self, await self._execute(self._conn.execute, sql, given))

    @contextmanager
    async def executemany(self, sql: str, parameters: Iterable[Iterable[Any]]) -> aiosqlite.Cursor:
        return GuardedCursor(self, await self._execute(self._conn.executemany, sql, parameters))

    async def interrupt(self) -> None:
        self._block.check("interrupt")
        self._conn.interrupt()

    @property
    def row_factory(self) -> Any:
        return self._block.row_factory

    @row_factory.setter
    def row_factory(self, factory: Any) -> None:
        self._block.check("row_factory")
        self._block.row_factory = factory

    @property
    def text_factory(self) -> Any:
        return self._block.text_factory

    @text_factory.setter
    def text_factory(self, factory: Any) -> None:
        self._block.check("text_factory")
        self._block.text_factory = factory

    @property
    def isolation_level(self) -> None:
        return None

    @isolation_level.setter
    def isolation_level(self, value: str | None) -> None:
        if value is not None:
            raise Misuse(_ENDS.format("isolation_level, by which the driver commits by itself,"))

    def __await__(self) -> Generator[Any, None, NoReturn]:
        raise Misuse(_OPEN_AND_CLOSE)

    async def __aenter__(self) -> NoReturn:
        raise Misuse(_OPEN_AND_CLOSE)

    async def close(self) -> NoReturn:
        raise Misuse(_OPEN_AND_CLOSE)

    def stop(self) -> NoReturn:
        raise Misuse(_OPEN_AND_CLOSE)


@contextlib.asynccontextmanager
async def guarded(connection: aiosqlite.Connection, guard: Guard, begin: str) -> AsyncIterator[Block]:
    """A transaction whose code is guarded: COMMIT when the block ends, ROLLBACK when it raises."""
    try:
        await connection.execute_fetchall(begin)
    except BaseException:
        # Cancelled, it may have begun: the thread takes one thing after the other, so a ROLLBACK is behind it.
        await to_the_end(connection.rollback())
        raise
    block = Block(connection, guard)
    try:
        yield block
        await block.end()
    except BaseException:
        await block.abandon()
        raise


async def to_the_end(work: Awaitable[None]) -> None:
    """Await something that a cancellation must not keep from being done."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
