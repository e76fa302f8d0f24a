"""An engine that is Resonate in Postgres: the ``resonate-pg`` connector, on tables that the operator made.

In the record's own database it promises more: what a transaction of the record asks of it commits with that
transaction (:class:`JoinedPostgres`), and it need not wait for the disk otherwise, since a commit of the record takes
everything before it along. So what a crash of the machine can cost it is only what no commit of the record has
followed: steps that are run again, and answered by receipts.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import AsyncConnectionPool
from resonate.context import Context
from resonate_pg import PostgresConnection
from resonate_pg.client import PgConn
from resonate_pg.connection import DEQUEUE_EXECUTE_SQL
from resonate_pg.wire import execute_message, resolve_target

from recordfirst.core.text import safe_text
from recordfirst.engine.codec import EngineCodec
from recordfirst.engine.contract import EngineState
from recordfirst.engine.sdk import steps as sdk
from recordfirst.engine.shared import Membership, SharedEngine
from recordfirst.errors import EngineUnavailable, Misuse
from recordfirst.errors.pages import page
from recordfirst.process.postgres_connections import CONNECT_S, keepalives
from recordfirst.records import statements
from recordfirst.records.contract import Record, Session
from recordfirst.records.hosting import HostsEngine, hosted

_log = logging.getLogger("recordfirst")

_REQUESTS_MOST = 16
"""Connections for requests: the connector's own number; more wait for the server's locks instead of for each other."""
_TIMERS_S = 1.0
"""How often timers are looked at, by one worker of all. The connector would do it whenever anything happens, in every
worker, and each time it reads the whole table of promises."""
_AHEAD = 2
"""Tasks that a worker has, running or about to, for each that may run: so none waits for the source's next look."""
_PACKAGE = __package__ or ""
_IN_THE_RECORD = "resonate-pg"
"""The identity of the one in the record's own database: it goes wherever that goes, under whatever address."""
_HOW = f"see {page('how-to/run-on-resonate-pg')}"


def _noticing(dsn: str) -> str:
    """The same database, with what notices that its server has vanished, where the operator says nothing else."""
    try:
        given = conninfo_to_dict(dsn)
    except psycopg.ProgrammingError:
        return dsn  # opening it says what is wrong
    return make_conninfo(dsn, **keepalives(given))


class _Sessions:
    """Connections as the connector wants them, each statement a transaction of its own."""

    def __init__(self, dsn: str, name: str, most: int) -> None:
        self._dsn, self._name, self._most = _noticing(dsn), name, most
        self.durable = True
        """Whether each waits for the disk; said before the first."""
        self._pool: AsyncConnectionPool[psycopg.AsyncConnection[Any]] | None = None

    @contextlib.asynccontextmanager
    async def session(self) -> AsyncIterator[Any]:
        if self._pool is None:
            self._pool = AsyncConnectionPool(
                self._dsn,
                kwargs={"autocommit": True, "connect_timeout": CONNECT_S, "application_name": self._name},
                configure=self._configure,
                min_size=1,
                max_size=self._most,
                open=False,
            )
            await self._pool.open()
        async with self._pool.connection() as connection:
            yield connection

    async def _configure(self, connection: psycopg.AsyncConnection[Any]) -> None:
        if not self.durable:
            await connection.execute("SET synchronous_commit = off")

    async def dedicated(self) -> Any:
        return await psycopg.AsyncConnection.connect(
            self._dsn, autocommit=True, connect_timeout=CONNECT_S, application_name=self._name
        )

    async def close(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.close()


class Deliveries(PostgresConnection):
    """The connector as a source that takes as much as the worker has room for, and leaves the rest to the engine.

    What is taken is gone from there, and comes again after 5 s. The connector takes all there is: of a long backlog
    each worker then has copies without end, asks for tasks that others have, and comes to nothing else.
    """

    def __init__(self, sessions: Any, pid: str, group: str, room: Callable[[], int]) -> None:
        super().__init__(sessions=sessions, pid=pid, group=group, drive_timers=False)
        self._room = room

    async def _dequeue_executes(self, conn: PgConn, address: str) -> list[str]:
        room = self._room()
        if room <= 0:
            return []
        cursor = await conn.execute(DEQUEUE_EXECUTE_SQL, (address, room))
        return [execute_message(str(id), int(version)) for id, version in await cursor.fetchall()]


class PostgresEngine(SharedEngine):
    """Resonate in the Postgres database that ``dsn`` names."""

    def __init__(self, dsn: str, membership: Membership, record: Record[Any]) -> None:
        self._dsn, self._record = dsn, record
        group, pid = membership.group, membership.seams.new_id()
        self._pause = membership.seams.pause
        self._requests = _Sessions(dsn, f"recordfirst engine {group}", _REQUESTS_MOST)
        self._deliveries = _Sessions(dsn, f"recordfirst engine {group} source", 1)
        self._timers: asyncio.Task[None] | None = None
        super().__init__(
            PostgresConnection(sessions=self._requests, pid=pid, group=group),
            Deliveries(self._deliveries, pid, group, lambda: _AHEAD * membership.concurrency - self.busy_tasks()),
            _IN_THE_RECORD,
            pid,
            membership,
        )

    async def open(self) -> None:
        try:
            connection = await self._requests.dedicated()
        except (psycopg.Error, OSError) as error:
            raise EngineUnavailable(self.identity, safe_text(error)) from error
        try:
            [(role, may)] = await _all(connection, "may_use.sql")
            if may is None:
                raise Misuse(f"there is no schema resonate in the engine's database: apply resonate.sql to it; {_HOW}")
            if not may:
                raise Misuse(f"role {role!r} may not use Resonate; run: GRANT resonate_worker TO {role}; {_HOW}")
            [(system, database)] = await _all(connection, "which_database.sql")
        finally:
            await connection.close()
        host = hosted(self._record)
        if host is not None and await host.shares(self._dsn):
            self._requests.durable = self._deliveries.durable = False
        else:
            self.identity = f"resonate-pg:{system}/{database}"

    async def start(self) -> None:
        await super().start()
        self._timers = asyncio.create_task(self._fire_timers())

    async def stop(self, *, at_once: bool = False) -> None:
        if self._timers is not None:
            self._timers.cancel()
            await asyncio.gather(self._timers, return_exceptions=True)
        await super().stop(at_once=at_once)

    async def _fire_timers(self) -> None:
        while True:
            try:
                async with self._requests.session() as connection:
                    await _all(connection, "fire_timers.sql")
            except psycopg.errors.InsufficientPrivilege:
                _log.warning("this role may not call resonate.process_timeouts(): timers are left to pg_cron; %s", _HOW)
                return
            except (psycopg.Error, OSError) as error:
                _log.warning("resonate.process_timeouts() failed, and is tried again: %s", error)
            await self._pause(_TIMERS_S)


class JoinedPostgres:
    """Resonate in the record's own database, as a part of the record's transactions."""

    def __init__(self, host: HostsEngine, home: str, encryptor: Any) -> None:
        self.identity = _IN_THE_RECORD
        self._host, self._address = host, resolve_target(home)
        self._codec = EngineCodec(encryptor)

    async def create(self, tx: Session[Any], epochs: Sequence[tuple[str, str, Mapping[str, Any]]]) -> list[EngineState]:
        requests = [sdk.creating(*epoch, self._address, self._codec) for epoch in epochs]
        replies = await self._host.ask_engine(tx, requests)
        return ["running" if sdk.created(reply) else "settled" for reply in replies]

    async def settle(self, tx: Session[Any], ctx: Context, value: Any) -> Callable[[], None] | None:
        [reply] = await self._host.ask_engine(tx, [sdk.settling(ctx, value)])
        promise = sdk.settled(reply)
        return partial(sdk.take_as_settled, ctx, promise) if promise is not None else None


async def join(dsn: str, membership: Membership, record: Record[Any]) -> JoinedPostgres | None:
    """See :func:`recordfirst.engine.connect.join`."""
    host = hosted(record)
    if host is None:
        return None
    try:
        if await host.shares(dsn) and await host.may_ask_engine():
            return JoinedPostgres(host, membership.home, membership.encryptor)
    except (psycopg.Error, OSError) as error:
        _log.warning("it could not be seen whether the engine is in the record's database: %s", error)
    return None


async def _all(connection: Any, file: str) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = await (await connection.execute(statements.read(_PACKAGE, file))).fetchall()
    return rows
