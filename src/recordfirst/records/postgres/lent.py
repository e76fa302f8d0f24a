"""A connection of the pool for the time of one block: what the user's code gets as ``w.tx``. Imports the driver.

It is psycopg's own class, made anew for each block around the pooled session, so what the code sets on it (a row
factory, adapters, handlers) ends with the block, and so does the right to use it: a task that goes on after the block
is refused, whichever task has the session by then. ``guard.py`` says what a statement may not do meanwhile. The end of
the transaction carries what takes the session back to how it was (settings, role, temporary tables, locks of the
session, LISTEN, held cursors) in the same message, so it costs no round trip; prepared statements stay, because a plan
is no state that anybody sees.

Not held: what goes around psycopg, by ``connection.pgconn``. COMMIT through that is found out before ours, since a
setting that BEGIN has made for the transaction is gone with it.
"""

from __future__ import annotations

import asyncio
import sys
from functools import cache
from typing import Any, cast

import psycopg
from psycopg import errors
from psycopg.generators import execute
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.rows import tuple_row

from recordfirst.errors import Misuse
from recordfirst.process.owner import keep_from_children
from recordfirst.records.postgres import guard
from recordfirst.records.postgres.guard import ENDED
from recordfirst.records.postgres.settings import Told, to_set
from recordfirst.records.savepoints import Savepoint, Savepoints

BEGIN = b"BEGIN;SET LOCAL recordfirst.write='open'"
BEGIN_READ_ONLY = b"BEGIN READ ONLY"
"""A setting takes no snapshot, so SET TRANSACTION may still be the user's first statement."""
_CHECK = b"SELECT 1/(current_setting('recordfirst.write',true)='open')::int"
"""An error if this is another transaction than the one that BEGIN has opened: then COMMIT is not run."""
_DIVISION_BY_ZERO = "22012"
_CLEAN = b";".join((
    b"CLOSE ALL",
    b"SET SESSION AUTHORIZATION DEFAULT",
    b"RESET ROLE",
    b"RESET ALL",
    b"UNLISTEN *",
    b"DISCARD TEMP",
    b"DISCARD SEQUENCES",
    b"SELECT pg_advisory_unlock_all()",
))  # fmt: skip
"""What DISCARD ALL does, but for the plans, and allowed behind a COMMIT in one message. Measured (PostgreSQL 18): 40 us
of the server's CPU, half of it the SELECT; DISCARD ALL would cost a round trip more, and our plans."""
_LOCK_S = 10.0
"""For a cursor that streams, or a loop that listens, to let our own statements pass."""
_STOPPED_WAITING = (
    "the write stopped waiting for one of its statements (a timeout, or a cancelled task), so it is unknown what of it "
    "is there, and nothing is committed; put what may be given up into connection.transaction()"
)
_HOOKS = {
    psycopg.AsyncConnection: ("wait", "_start_query", "_exec_command", "_check_connection_ok", "cursor"),
    psycopg.AsyncCursor: ("_start_query", "_execute_send", "_maybe_prepare_gen"),
    psycopg.AsyncTransaction: ("_enter_gen", "_exit_gen", "_push_savepoint", "_pop_savepoint"),
}
for _owner, _names in _HOOKS.items():
    if not all(hasattr(_owner, name) for name in _names):  # else nothing would stand guard, in silence
        raise ImportError(f"recordfirst does not know this psycopg ({psycopg.__version__}): {_owner} is another")


class Pooled(psycopg.AsyncConnection[Any]):
    """A session of the record's, whose socket a forked child does not get."""

    settings = b""
    """What it sets for itself, again behind every reset; see ``settings.py``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        keep_from_children(self)


async def settle(connection: Pooled) -> None:
    """Let a new session set what recordfirst's own sessions set."""
    connection.settings = to_set(told_by(connection))
    if connection.settings:
        await connection.execute(cast("Any", connection.settings.removeprefix(b";")))


def told_by(connection: Pooled) -> Told:
    """What the server has said of itself."""
    return connection.pgconn.parameter_status


class Lent(psycopg.AsyncConnection[Any]):
    """Psycopg's connection, on a session of the pool, for one block."""

    _pipeline: Any
    _prepared: Any

    def __init__(self, lender: Pooled, *, reads: bool = False) -> None:
        """``reads``: for a transaction that only reads."""
        super().__init__(lender.pgconn)  # from here on, the session's notices come to this object
        self._pool = None
        self._autocommit = True
        self.lock = lender.lock
        self._prepared = lender._prepared
        self._kept = self._prepared.prepare_threshold, self._prepared.prepared_max
        self._clean = _CLEAN + lender.settings
        self._reads = reads
        self._is_open = True
        self._used = False
        self._under_way = 0
        self._asking: object = None
        self._admitted: object = None
        self._outer = _Outer(self)
        self.savepoints = Savepoints()
        self.first_error: psycopg.Error | None = None
        """What has made the transaction fail, if it has, and no savepoint has taken that back."""
        self.rights_taken = False
        """The user's code has set another role, or that the transaction only reads."""
        self.is_fit = True
        """Whether the session may be lent again."""

    # ── recordfirst's own part ──────────────────────────────────────────────

    async def begin(self) -> None:
        await self.own(self._outer._enter_gen())

    async def end(self, error: BaseException | None) -> None:
        """COMMIT, or ROLLBACK because of ``error``; in either case the user's code has no connection any longer."""
        self._is_open = False
        self._prepared.prepare_threshold, self._prepared.prepared_max = self._kept
        if self.pgconn.transaction_status == TransactionStatus.UNKNOWN and error is not None:
            return
        await self.own(self._outer._exit_gen(type(error) if error is not None else None, error, None))

    def close_to_the_user(self) -> None:
        """Take no more statements of the user's.

        Raises:
            Misuse: if one is still under way, or its end was not waited for.
        """
        if not self._is_open:
            return
        self._is_open = False
        if self._under_way:
            raise Misuse(
                "a statement was still under way when the function that writes had returned; await each statement, "
                "and each task that runs one"
            )
        if self._pipeline is not None:
            raise Misuse("a pipeline was still open when the function that writes had returned; leave it first")
        if self.savepoints.spoiled is not None:
            raise Misuse(self.savepoints.spoiled)

    def own_cursor(self) -> psycopg.AsyncCursor[tuple[Any, ...]]:
        """For recordfirst's own statements: they are no matter of the guard's."""
        return _OwnCursor(self, row_factory=tuple_row)

    async def own(self, gen: Any) -> Any:
        """Exchange what is recordfirst's own, when the session is free."""
        if self.lock.locked():
            try:
                await asyncio.wait_for(self.lock.acquire(), _LOCK_S)
            except TimeoutError:
                raise Misuse(
                    "the connection is still taken by a cursor that streams, or a loop over notifies(); close it "
                    "before the function that writes returns"
                ) from None
        else:
            await self.lock.acquire()
        try:
            return await self._exchange(gen)
        finally:
            self.lock.release()

    async def _exchange(self, gen: Any) -> Any:
        return await super().wait(gen)

    def message(self, text: bytes) -> Any:
        """Send several statements as one message; a generator, whose result is what came of each."""
        self._check_connection_ok()
        self.pgconn.send_query(text)
        return (yield from execute(self.pgconn))

    def raised_by(self, result: Any) -> psycopg.Error | None:
        """The error that a statement of a message came to."""
        if result.status != ExecStatus.FATAL_ERROR:
            return None
        return errors.error_from_result(result, encoding=self.pgconn._encoding)

    # ── what psycopg does for the user ──────────────────────────────────────

    def refuse_if_over(self) -> None:
        if not self._is_open:
            raise Misuse("the transaction has ended: this statement would be part of another one")

    async def wait(self, gen: Any, *args: Any, **kwargs: Any) -> Any:
        """Everything that the user's code exchanges with the server."""
        if getattr(getattr(gen, "gi_code", None), "co_name", "") == "_stream_fetchone_gen":
            return await super().wait(gen, *args, **kwargs)  # it only reads on, also in order to let the lock go
        self.refuse_if_over()
        self._used = True
        self._under_way += 1
        try:
            return await super().wait(gen, *args, **kwargs)
        except psycopg.Error as error:
            if self.pgconn.transaction_status == TransactionStatus.INERROR and self.first_error is None:
                self.first_error = error
            raise
        except Exception:
            raise
        except BaseException:
            self.savepoints.note(_STOPPED_WAITING)
            raise
        finally:
            self._under_way -= 1

    def cursor(self, *args: Any, **kwargs: Any) -> Any:
        self.refuse_if_over()
        return super().cursor(*args, **kwargs)

    def _start_query(self) -> Any:
        asking, self._asking = self._asking, None
        if asking is None:  # a cursor that this connection has not made: psycopg's own, to look a type up, say
            cursor: Any = sys._getframe(1).f_locals.get("self")
            try:
                cursor.__class__ = _guarded(cast("Any", type(cursor)))
            except TypeError:
                raise Misuse(
                    f"{cursor!r} was not made by the connection, so nothing guards what it runs; use "
                    "connection.cursor(), with connection.cursor_factory set to its class"
                ) from None
        return super()._start_query()

    def _exec_command(self, command: Any, *args: Any, **kwargs: Any) -> Any:
        """What psycopg itself runs: savepoints, fetching from a server's cursor, forgetting prepared statements."""
        text = command.encode() if isinstance(command, str) else command
        text = text if isinstance(text, bytes) else text.as_bytes(self)
        step = None if text.startswith(b"DEALLOCATE ") else self.admit(text)
        result = yield from super()._exec_command(command, *args, **kwargs)
        if step is not None:
            self.done(step)
        return result

    def admit(self, statement: bytes) -> Savepoint | None:
        step = guard.admit(statement)
        if step is not None and self._pipeline is not None:
            raise Misuse("a savepoint inside a pipeline: nothing tells in time whether it is there; open it outside")
        if not self.rights_taken and guard.takes_rights(statement):
            self.rights_taken = True
        return step

    def done(self, step: Savepoint) -> None:
        self.savepoints.done(step)
        if step.does == "takes back":
            self.first_error = None

    async def close(self) -> None:
        raise Misuse("the connection is recordfirst's: it is closed, or lent to the next, when its block has ended")

    def cancel(self) -> None:
        self.refuse_if_over()
        super().cancel()

    async def cancel_safe(self, *, timeout: float = 30.0) -> None:  # noqa: ASYNC109 - psycopg's own signature
        self.refuse_if_over()
        await super().cancel_safe(timeout=timeout)

    @property
    def cursor_factory(self) -> Any:
        """As the user has set it, under guard."""
        return self._cursor_factory

    @cursor_factory.setter
    def cursor_factory(self, factory: Any) -> None:
        self._cursor_factory = _guarded(factory)

    @property
    def server_cursor_factory(self) -> Any:
        """As the user has set it, under guard."""
        return self._server_cursor_factory

    @server_cursor_factory.setter
    def server_cursor_factory(self, factory: Any) -> None:
        self._server_cursor_factory = _guarded(factory)


class _Outer(psycopg.AsyncTransaction):
    """The transaction of the block, which nobody but recordfirst ends."""

    _conn: Lent

    def _enter_gen(self) -> Any:
        self.status = self.Status.ACTIVE
        self._push_savepoint()
        for result in (yield from self._conn.message(BEGIN_READ_ONLY if self._conn._reads else BEGIN)):
            if error := self._conn.raised_by(result):
                raise error

    def _commit_gen(self) -> Any:
        lent = self._conn
        wrong = self._pop_savepoint("commit")
        self.status = self.Status.COMMITTED
        if wrong is not None:
            raise wrong
        check = [_CHECK] if lent._used and not lent._reads else []
        clean = [lent._clean] if lent._used else []
        results = yield from lent.message(b";".join([*check, b"COMMIT", *clean]))
        for result in results[: len(check) + 1]:
            if (error := lent.raised_by(result)) is None:
                continue
            if check and result is results[0] and error.sqlstate == _DIVISION_BY_ZERO:
                raise Misuse(ENDED) from None
            raise error
        if results[len(check)].command_status != b"COMMIT" and not lent._reads:
            raise errors.InFailedSqlTransaction("the transaction had failed, so the server rolled it back")
        lent.is_fit = not any(lent.raised_by(result) for result in results)

    def _rollback_gen(self, exc_val: BaseException | None) -> Any:
        del exc_val
        lent = self._conn
        self._pop_savepoint("rollback")  # also where somebody has left a savepoint open: it goes with the rest
        self.status = self.Status.ROLLED_BACK_WITH_ERROR
        # As psycopg does it: what was prepared may speak of what is rolled back.
        forget = [b"DEALLOCATE ALL"] if lent._prepared.clear() else []
        lent._prepared._to_flush.clear()
        results = yield from lent.message(b";".join([b"ROLLBACK", *forget, *([lent._clean] if lent._used else [])]))
        lent.is_fit = not any(lent.raised_by(result) for result in results)
        return False


class _OwnCursor(psycopg.AsyncCursor[Any]):
    __slots__ = ()
    _conn: Lent

    async def execute(self, query: Any, params: Any = None, **how: Any) -> Any:
        await self._conn.own(self._execute_gen(query, params, **how))
        return self

    def _start_query(self, query: Any = None) -> Any:
        self._conn._asking = self
        yield from super()._start_query(query)


class _Guarded(psycopg.AsyncCursor[Any]):
    """What any class of the user's cursors gets in front of it."""

    __slots__ = ()
    _conn: Lent

    def _start_query(self, query: Any = None) -> Any:
        self._conn._asking = self
        yield from super()._start_query(query)

    def _maybe_prepare_gen(self, pgq: Any, **how: Any) -> Any:
        lent = self._conn
        step = lent.admit(pgq.query)
        lent._admitted = pgq
        yield from super()._maybe_prepare_gen(pgq, **how)
        if step is not None:
            lent.done(step)

    def _execute_send(self, query: Any, *, force_extended: bool = False, binary: bool | None = None) -> None:
        del force_extended  # one statement at a time: the simple protocol takes many
        if self._conn._admitted is not query and self._conn.admit(query.query) is not None:
            raise Misuse("a savepoint by stream(), copy() or a server's cursor; use connection.transaction()")
        super()._execute_send(query, force_extended=True, binary=binary)


@cache
def _guarded(factory: Any) -> Any:
    if not isinstance(factory, type) or issubclass(factory, _Guarded):
        return factory  # what is no class makes cursors that are refused when they run something
    return type(factory.__name__, (_Guarded, factory), {"__slots__": (), "__module__": factory.__module__})
