"""The record in PostgreSQL. The driver is imported here, and by what this is made of: ``lent.py`` and ``dialect.py``.

Promised: what a transaction stored is there once its COMMIT was answered (as far as the server's own
``synchronous_commit`` goes). May be lost: the answer to a COMMIT; that is raised, and :meth:`PostgresRecord.fault`
calls it ``unreachable``. The connection that a user's function gets is psycopg's own, in a transaction block that
nothing on it can end, for the time of that block (``lent.py``); ``connection.transaction()`` is a savepoint.

Leases and news need sessions of their own: a pooler between us must pool by session, and one that pools by transaction
is refused (``pooled.py``).
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import select
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus
from psycopg_pool import AsyncConnectionPool

from recordfirst.core.text import misplaced_at, safe_text
from recordfirst.errors import Misuse, RecordUnavailable, StartContended
from recordfirst.process.owner import Owned
from recordfirst.process.postgres_connections import CONNECT_S, keepalives
from recordfirst.process.seams import Sleeper
from recordfirst.records import statements
from recordfirst.records.contract import Cover, Fault, Lease, Migration, Session
from recordfirst.records.postgres import pooled
from recordfirst.records.postgres.blocked import LOCK_TIMEOUT_S, in_turn, name_of
from recordfirst.records.postgres.building import build
from recordfirst.records.postgres.dialect import (
    OURS,
    InTransaction,
    PostgresDialect,
    PostgresSession,
    check_uncommitted,
)
from recordfirst.records.postgres.faults import cause_of, fault_of_state, is_stale_plan
from recordfirst.records.postgres.lent import Lent, Pooled, settle, told_by
from recordfirst.records.postgres.naming import label, lock_number, put_in_schema, without_password
from recordfirst.records.postgres.settings import CLIENT, check_encoding
from recordfirst.records.postgres.watch import HeldLease, Listener
from recordfirst.records.statements import Statements

type _Connection = psycopg.AsyncConnection[Any]

_PACKAGE = __package__ or ""
_OPEN_S = 5.0
"""``open`` says within this time what is wrong: it is the first to lose patience."""
_LEASE_WAIT_MS = 10_000
"""A statement that waits keeps the server from cleaning up behind it: this time, and then anew."""
_POOL_WAIT_S = 10.0
"""For a connection of the pool; then the record counts as unreachable, and the caller's patience begins."""
_READS = "this transaction only reads"
"""Noted of a write that was refused for that, and not because the server takes none."""
_WATCH_CLIENT = """
SELECT set_config(name, value, false)
FROM (VALUES ('tcp_keepalives_idle', '5'), ('tcp_keepalives_interval', '2'), ('tcp_keepalives_count', '3'),
             ('client_connection_check_interval', '2s'), ('statement_timeout', '0'), ('idle_session_timeout', '0'),
             ('transaction_timeout', '0'), ('idle_in_transaction_session_timeout', '0')) AS wanted (name, value)
JOIN pg_settings USING (name)
"""
"""What :func:`keepalives` does, the other way round, so that a lease does not outlive a machine; and such a session is
idle, or waits in a statement, by nature, whatever a role allows others. What a server lacks is skipped."""
_WAIT_FOR_LEASE = """
DO $$ BEGIN PERFORM pg_advisory_lock({}); EXCEPTION WHEN lock_not_available THEN NULL; END $$
"""


class PostgresRecord:
    """A record in PostgreSQL, in a schema of its own beside the user's tables.

    Args:
        dsn: a URL, or a connection string of libpq.
        schema: where its tables are.
        pool_size: the most connections at a time; a lease, and listening, take one more each.
        sleeper: waits a number of seconds between two tries. An argument for tests.

    Raises:
        Misuse: if an argument cannot be used.
    """

    whole_number_max = (1 << 128) - 1  # numeric holds more; nothing here needs more
    migrations: Sequence[Migration]
    indexes: Mapping[str, str]
    path: Path | None

    def __init__(
        self, dsn: str, *, schema: str = "recordfirst", pool_size: int = 16, sleeper: Sleeper = asyncio.sleep
    ) -> None:
        if misplaced_at(dsn):
            raise Misuse("the Postgres URL has an @ or / in its password, which ends it: write %40 and %2F there")
        try:
            self._conninfo = make_conninfo(dsn, **keepalives(conninfo_to_dict(dsn)))
        except psycopg.ProgrammingError:
            raise Misuse(
                "the Postgres URL cannot be read; write postgresql://user:password@host:5432/database"
            ) from None
        if not schema or any(character in schema for character in '\0"%'):
            raise Misuse(f"{schema!r} cannot be the name of a Postgres schema")
        if pool_size < 1:
            raise Misuse(f"pool_size must be 1 or more, not {pool_size}")
        self.where = without_password(dsn)
        self.path = None
        self._schema, self._pool_size, self._sleeper = schema, pool_size, sleeper
        self._statements = _in_schema(schema)
        self._notify = statements.read(_PACKAGE, "notify.sql")
        self._ask_engine = statements.read(_PACKAGE, "ask_engine.sql")
        self._own_session = statements.read(_PACKAGE, "own_session.sql")
        self._blockers = statements.read(_PACKAGE, "blockers.sql")
        self._may_ask_engine = statements.read(_PACKAGE, "may_ask_engine.sql")
        self.migrations = tuple(
            Migration(version=step.version, name=step.name, sql=put_in_schema(step.sql, schema))
            for step in statements.migrations(_PACKAGE)
        )
        self.seen_mark: tuple[str, int, int] | None = None
        self._cover: Cover | None = None
        self.indexes = statements.indexes(self.migrations)
        self._app = ""
        self._owned = Owned(f"the record at {self.where}")
        self._pool: AsyncConnectionPool[Pooled] | None = None
        self._listener: Listener | None = None

    # ── open and close ──────────────────────────────────────────────────────

    async def open(self, app: str) -> None:
        if not self._owned.take():
            raise Misuse(f"the record at {self.where} is open already")
        try:
            await self._open(app)
        except BaseException:
            self._owned.give_back()
            raise

    async def _open(self, app: str) -> None:
        # The pool would only say that it timed out; a connection of our own says why.
        try:
            async with asyncio.timeout(_OPEN_S), await self._connect(app) as connection:
                check_encoding(told_by(connection), self.where)
                await self._refuse_lent_sessions(app, connection)
        except TimeoutError:
            raise RecordUnavailable(self.where, f"no answer within {_OPEN_S:.0f} s") from None
        except (psycopg.Error, OSError) as error:
            raise RecordUnavailable(self.where, cause_of(safe_text(error))) from error
        pool: AsyncConnectionPool[Pooled] = AsyncConnectionPool(
            self._conninfo,
            connection_class=Pooled,
            kwargs={"autocommit": True, "connect_timeout": CONNECT_S, "application_name": label(app), **CLIENT},
            configure=settle,
            min_size=1,
            max_size=self._pool_size,
            open=False,
            timeout=_POOL_WAIT_S,
            name=f"recordfirst {app}",
        )
        await pool.open()
        self._app, self._pool = app, pool
        self._listener = Listener(self._listen, psycopg.Error, self._sleeper)

    async def _refuse_lent_sessions(self, app: str, connection: Pooled) -> None:
        """Raise ``Misuse`` if a pooler is between us that pools by transaction."""

        async def session_of(which: Pooled) -> pooled.ServerSession:
            cursor = await which.execute(cast("Any", self._own_session), prepare=False)
            [(number, since)] = await cursor.fetchall()
            return number, since

        if (await session_of(connection))[0] == connection.info.backend_pid:
            return  # the number that the server gave when we came: nobody is between us
        lent = False
        with contextlib.suppress(psycopg.Error):
            async with await self._connect(app) as other:
                asking = pooled.by_transaction(partial(session_of, connection), partial(session_of, other))
                lent = await pooled.within(pooled.LOOK_S, asking, [connection.fileno(), other.fileno()])
        if lent:
            raise Misuse(pooled.refusal(self.where))

    async def close(self) -> None:
        if self._owned.is_inherited:
            return
        self._owned.check()
        try:
            if self._listener is not None:
                await self._listener.close()
            if self._pool is not None:
                await self._pool.close()
        finally:
            self._owned.give_back()

    async def _connect(self, app: str, role: str = "") -> Pooled:
        self._owned.check()
        given: dict[str, Any] = {"connect_timeout": CONNECT_S, "application_name": label(app, role), **CLIENT}
        connection = await Pooled.connect(self._conninfo, autocommit=True, **given)
        await settle(connection)
        return connection

    @contextlib.asynccontextmanager
    async def _borrowed(self) -> AsyncIterator[Pooled]:
        if self._pool is None:
            raise Misuse(f"the record at {self.where} is not open")
        self._owned.check()
        pool = self._pool
        while not await _is_there(connection := await pool.getconn()):
            # As the pool's own check does it, but without its pause of a second before the next one: that is there.
            await pool._putconn(connection, from_getconn=True)  # noqa: SLF001
        try:
            yield connection
        except psycopg.errors.ReadOnlySqlTransaction:
            await connection.close()  # to a server that is a replica by now, say: the next one may lead elsewhere
            raise
        finally:
            if connection.pgconn.transaction_status != TransactionStatus.IDLE:
                await connection.close()  # in doubt: nobody else is to inherit it
            await pool.putconn(connection)

    # ── sessions ────────────────────────────────────────────────────────────

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Session[_Connection]]:
        async with self._lent() as lent:
            yield self._session(lent, InTransaction(lent))
            lent.close_to_the_user()
            check_uncommitted(lent)

    @contextlib.asynccontextmanager
    async def _lent(self, *, reads: bool = False) -> AsyncIterator[Lent]:
        """A transaction on the user's own connection for this block."""
        async with self._borrowed() as connection:
            lent = Lent(connection, reads=reads)
            await lent.begin()
            try:
                yield lent
            except BaseException as error:
                await lent.end(error)
                # A failure that was caught, and then was the reason for this one, is what counts: a deadlock, say.
                first = lent.first_error if isinstance(error, psycopg.errors.InFailedSqlTransaction) else None
                if first is not None and self.fault(first) is not None:
                    raise first from None
                raise
            else:
                await lent.end(None)
            finally:
                if not lent.is_fit or lent.lock.locked():
                    await connection.close()

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncIterator[Session[_Connection]]:
        async with self._borrowed() as connection:
            try:
                yield self._session(connection, PostgresDialect(connection))
            except psycopg.Error as error:
                if is_stale_plan(error.sqlstate, error.diag.source_function):
                    await connection.close()  # no ROLLBACK makes the driver forget the plans that it keeps
                raise

    def must_be_free(self) -> None:
        """As many are open at a time as the pool has connections."""

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[_Connection]:
        async with self._lent(reads=True) as connection:
            try:
                yield connection
            except psycopg.errors.ReadOnlySqlTransaction as error:
                error.add_note(_READS)
                raise

    def _session(self, connection: _Connection, dialect: PostgresDialect) -> PostgresSession:
        return PostgresSession(connection, dialect, self._statements, self._app, self.seen_mark, self._cover)

    def cover_errors(self, cover: Cover | None) -> None:
        self._cover = cover

    def statements_of(self, package: str) -> Mapping[str, str]:
        found = statements.folder(package, "postgres")
        return {name: put_in_schema(text, self._schema) for name, text in found.items()}

    def fault(self, error: BaseException) -> Fault | None:
        if isinstance(error, RecordUnavailable):
            return "unreachable"
        if not isinstance(error, psycopg.Error):
            return "contention" if isinstance(error, StartContended) and error.again else None
        notes = getattr(error, "__notes__", ())
        if isinstance(error, psycopg.errors.ReadOnlySqlTransaction) and _READS in notes:
            return None
        if is_stale_plan(error.sqlstate, error.diag.source_function):
            return "contention"
        fault = fault_of_state(error.sqlstate, ours=OURS in notes)
        # Without a SQLSTATE it was not the server that spoke: connecting, or a connection, failed (also in the pool).
        lost = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) and error.sqlstate is None
        if fault is None and lost and (isinstance(error, psycopg.OperationalError) or "connection is" in str(error)):
            return "unreachable"
        return fault

    # ── the schema ──────────────────────────────────────────────────────────

    async def schema_version(self) -> int:
        async with self._borrowed() as connection:
            return await self._version(connection)

    async def _version(self, connection: Pooled) -> int:
        try:
            async with connection.transaction():
                [row] = await PostgresDialect(connection).run(self._statements.schema_version, {})
        except psycopg.errors.UndefinedTable:
            return 0
        return int(row[0])

    async def migrate(self, tell: Callable[[str], None] = lambda _: None) -> list[Migration]:
        done = []
        async with self._borrowed() as connection:
            asked = {"pid": connection.info.backend_pid}

            async def blockers() -> list[str]:
                async with await self._connect(self._app, "migrate") as beside:
                    return [name_of(*row) for row in await PostgresDialect(beside).run(self._blockers, asked)]

            in_use = await self._version(connection) > 0
            for step in self.migrations:
                beside = statements.indexes_first(step)
                if in_use and beside and await self._version(connection) < step.version:
                    place, lock = put_in_schema("recordfirst.", self._schema), lock_number(self._schema, "build")
                    session = self._session(connection, PostgresDialect(connection))
                    await build(beside, place, lock, session, self._sleeper)
                run = partial(self._run_step, connection, step)
                if await in_turn(step, self.where, run, blockers, _waits_for_a_table, tell, self._sleeper):
                    done.append(step)
        return done

    async def _run_step(self, connection: Pooled, step: Migration) -> bool:
        """Run a step in a transaction of its own; ``False`` if it has been run."""
        async with connection.transaction():
            await connection.execute("SELECT pg_advisory_xact_lock(%s)", [lock_number(self._schema, "migrate")])
            timeouts = "SELECT set_config('lock_timeout', %s, true), set_config('statement_timeout', '0', true)"
            await connection.execute(timeouts, [f"{LOCK_TIMEOUT_S * 1000:.0f}"])
            if await self._version(connection) >= step.version:
                return False
            # As text: a step is many statements, which only the simple protocol takes.
            await connection.execute(cast("Any", step.sql))
            await PostgresDialect(connection).run(
                self._statements.migrated, {"version": step.version, "name": step.name}
            )
            return True

    def keep_mark(self, line: str | None) -> None:
        """Nothing beside a server is ours to write to, and its workers may be anywhere."""

    def kept_mark(self) -> None:
        return None

    # ── leases and news ─────────────────────────────────────────────────────

    @contextlib.asynccontextmanager
    async def lease(self, name: str) -> AsyncIterator[Lease]:
        """Wait inside the server for a lock of the session: it is free once the server sees the session end."""
        number = lock_number(self._schema, "lease", self._app, name)
        async with self._watching(f"lease {name}") as connection:
            await connection.execute(cast("Any", f"SET lock_timeout = {_LEASE_WAIT_MS}"))
            while True:
                # In a block, so that giving up for a moment is not an error in the server's log.
                await connection.execute(cast("Any", _WAIT_FOR_LEASE.format(number)))
                cursor = await connection.execute("SELECT pg_try_advisory_lock(%s)", [number])
                if (await cursor.fetchall())[0][0]:
                    break

            async def broken() -> None:
                with contextlib.suppress(psycopg.Error, OSError):
                    async for _ in connection.notifies():
                        pass

            yield HeldLease(broken)

    async def changed(self, timeout_s: float) -> None:
        if self._listener is None:
            raise Misuse(f"the record at {self.where} is not open")
        self._owned.check()
        if not await self._listener.wait(timeout_s):
            raise psycopg.OperationalError("the record is closed")

    async def notify(self, session: Session[Any]) -> None:
        await session.run(self._notify, channel=self._channel)

    # ── an engine in the same database ──────────────────────────────────────

    async def shares(self, dsn: str) -> bool:
        number = secrets.randbits(63)
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True, connect_timeout=CONNECT_S) as there:
            await there.execute("SELECT pg_advisory_lock(%s)", [number])
            async with self._borrowed() as here:
                # Such locks belong to one database of one server: who cannot have it is in the same.
                cursor = await here.execute("SELECT NOT pg_try_advisory_xact_lock(%s)", [number])
                return bool((await cursor.fetchall())[0][0])

    async def may_ask_engine(self) -> bool:
        async with self._borrowed() as connection:
            [row] = await PostgresDialect(connection).run(self._may_ask_engine, {})
        return bool(row[0])

    async def ask_engine(self, session: Session[Any], requests: Sequence[str]) -> list[str]:
        rows = await InTransaction(cast("Lent", session.connection)).run(self._ask_engine, {"requests": list(requests)})
        return [row[0] for row in rows]

    @property
    def _channel(self) -> str:
        return f"recordfirst_{lock_number(self._schema, 'news', self._app) & (1 << 64) - 1:016x}"

    @contextlib.asynccontextmanager
    async def _listen(self) -> AsyncIterator[AsyncIterator[object]]:
        async with self._watching("listen") as connection:
            await connection.execute(psycopg.sql.SQL("LISTEN {}").format(psycopg.sql.Identifier(self._channel)))
            yield connection.notifies()

    @contextlib.asynccontextmanager
    async def _watching(self, role: str) -> AsyncIterator[Pooled]:
        """A connection of its own, closed at the end, on which both sides notice that the other is gone."""
        connection = await self._connect(self._app, role)
        try:
            await connection.execute(_WATCH_CLIENT)
            yield connection
        finally:
            await connection.close()


def _waits_for_a_table(error: Exception) -> bool:
    # A deadlock: with somebody who builds an index beside the work, say. The step is one transaction, and is gone.
    return isinstance(error, psycopg.errors.LockNotAvailable | psycopg.errors.DeadlockDetected)


async def _is_there(connection: Pooled) -> bool:
    """Check a connection before it is lent. Free unless the server has spoken while nobody listened: mostly to part."""
    with contextlib.suppress(psycopg.Error):
        readable = select.poll()
        readable.register(connection.fileno(), select.POLLIN)
        if readable.poll(0):
            await AsyncConnectionPool.check_connection(connection)
    return not connection.closed


def _in_schema(schema: str) -> Statements:
    return statements.load(_PACKAGE).changed(lambda _, text: put_in_schema(text, schema))
