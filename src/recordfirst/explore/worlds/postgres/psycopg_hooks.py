"""The boundary in psycopg: each statement of a forked process on a real server, and the errors that a server gives.

Whatever an asynchronous connection exchanges with its server goes through ``AsyncConnection.wait``, so that is where
the boundary stands. A statement that is refused is refused by the server; a connection that is lost is closed.

So that a run is the same each time, a process does nothing else while the server works for it, unless the server lets
it wait for another session; and news from other sessions, which may be lost in production, is not heard.
"""

from __future__ import annotations

import asyncio
import re
import select
from typing import Any, Protocol

import psycopg
from psycopg import waiting
from psycopg.pq import TransactionStatus

from recordfirst.explore.runs.schedule import Boundary
from recordfirst.explore.worlds.virtual.boundary import Process
from recordfirst.explore.worlds.virtual.errors import elsewhere
from recordfirst.explore.worlds.virtual.known import names_by_text
from recordfirst.records.postgres.lent import Lent

_LONG_S = 86_400.0
"""Between two looks whether a socket that is waited for is still wanted: never, in a process that only tests."""
_SILENT = (
    "SET lock_timeout",
    "DO $$ BEGIN PERFORM pg_advisory",
    "SELECT pg_try_advisory",
    "LISTEN",
    "SELECT set_config",
)
"""They carry nothing: leases, and listening for news."""
_APART = ("begin_timeline", "announce_mark", "confirm_mark", "alive", "dispatched", "save_pass")
"""They change nothing that is looked at."""
_MODIFIES = re.compile(r"\b(INSERT|UPDATE|DELETE)\b", re.IGNORECASE)
_REFUSE = "DO $$ BEGIN RAISE EXCEPTION 'refused, as by another transaction' USING ERRCODE = '{}'; END $$"
_CODES = ("40001", "40P01")

_PATIENCE_MS = 200
"""Nothing that a server does for one session alone takes so long; then it is left to wait, and others go on."""

_STEP_S, _STEP_MS = 0.5, 20
"""Then it is looked at again and again: so much of the world's time passes meanwhile, and so much of the machine's."""

_wait, _wait_conn = psycopg.AsyncConnection.wait, waiting.wait_conn_async


class Watch(Protocol):
    """What looks at the record beside the process."""

    def tell_time(self) -> None:
        """Put the record's clock to the world's, before anything is sent."""

    def looks(self) -> Any:
        """Return a connection that only looks."""


explored: tuple[Process, Watch] | None = None
"""The process that is explored in this one of the machine, and what looks beside it."""


class _Fault(Exception):  # noqa: N818 - turned into what the server says
    def __init__(self, kind: str) -> None:
        self.kind = kind
        super().__init__(kind)


class PostgresErrors:
    """What psycopg raises, and the embedded engine."""

    def not_applied(self, boundary: Boundary) -> BaseException:
        if boundary == "record":
            return _Fault("fail")
        return elsewhere(boundary, ConnectionRefusedError("refused: nothing was sent"))

    def lost(self, boundary: Boundary) -> BaseException:
        if boundary == "record":
            return _Fault("lose")
        return elsewhere(boundary, ConnectionResetError("the connection was reset before the reply came"))

    def contended(self) -> BaseException:
        return _Fault("contend")


def install() -> None:
    """Put the boundary in; to do it again changes nothing."""
    psycopg.AsyncConnection.wait = _explored_wait  # type: ignore[method-assign]
    waiting.wait_conn_async = _explored_wait_conn


class _Statement:
    """What a generator of psycopg is about to exchange."""

    def __init__(self, connection: psycopg.AsyncConnection[Any], gen: Any) -> None:
        self.kind: str = getattr(getattr(gen, "gi_code", None), "co_name", "")
        given = gen.gi_frame.f_locals if getattr(gen, "gi_frame", None) is not None else {}
        self.of = given.get("self")
        self.name = ""
        self.detail = ""
        self.modifies = False
        match self.kind:
            case "_execute_gen":
                query = given.get("query")
                text = query if isinstance(query, str) else query.decode() if isinstance(query, bytes) else ""
                if text.strip() and not text.lstrip().startswith(_SILENT):
                    self.name = _known().get(text) or " ".join(text.split())[:60]
                    self.detail = _detail(given.get("params"))
                    self.modifies = _MODIFIES.search(text) is not None
            case "_enter_gen" if connection.pgconn.transaction_status == TransactionStatus.IDLE:
                self.name = "BEGIN"
            case "_exit_gen" if given.get("exc_type") is None and self.of is not None and self.of._outer_transaction:  # noqa: SLF001
                self.name = "COMMIT"

    @property
    def changed(self) -> bool:
        """Whether it has changed anything."""
        return self.kind == "_exit_gen" or (self.modifies and self.of is not None and self.of.rowcount > 0)


async def _explored_wait(self: psycopg.AsyncConnection[Any], gen: Any, *args: Any, **more: Any) -> Any:
    if explored is None:
        return await _wait(self, gen, *args, **more)
    process, watch = explored
    if getattr(getattr(gen, "gi_code", None), "co_name", type(gen).__name__) in ("notifies", "generator"):
        await _wait(self, gen, interval=_LONG_S, **more)  # for as long as the connection lasts
        return []
    statement = _Statement(self, gen)

    async def exchange() -> Any:
        watch.tell_time()
        result = await _exchange(self, gen)
        _note_transaction(self, process)
        if statement.changed:
            process.changes += 1
            if self.pgconn.transaction_status == TransactionStatus.IDLE and statement.name not in _APART:
                process.committed(watch.looks())
        return result

    if not statement.name:
        watch.tell_time()
        try:
            return await _exchange(self, gen)
        finally:
            _note_transaction(self, process)
    try:
        return await process.passes("record", statement.name, exchange, changes=False, detail=statement.detail)
    except _Fault as fault:
        await _inject(self, gen, statement, fault.kind, process)
        raise AssertionError("a fault lets nothing go on") from None


_open: set[psycopg.AsyncConnection[Any]] = set()
"""Connections of this process that have a transaction open."""


def _note_transaction(connection: psycopg.AsyncConnection[Any], process: Process) -> None:
    if connection.pgconn.transaction_status in (TransactionStatus.IDLE, TransactionStatus.UNKNOWN):
        _open.discard(connection)
    else:
        _open.add(connection)
    process.in_transaction = bool(_open)


async def _inject(
    connection: psycopg.AsyncConnection[Any], gen: Any, statement: _Statement, kind: str, process: Process
) -> None:
    """Let the server refuse, or be gone.

    The driver counts its open transactions before it sends BEGIN. A refused BEGIN therefore runs through the driver's
    own generator, so that its count is what it is when a real server refuses.

    Raises:
        psycopg.Error: always.
    """
    if kind != "contend":
        connection.pgconn.finish()
        _note_transaction(connection, process)
        raise psycopg.OperationalError("server closed the connection unexpectedly")
    refuse = _REFUSE.format(_CODES[len(process.points) % len(_CODES)])
    if statement.kind == "_enter_gen" and statement.of is not None:
        statement.of._get_enter_commands = lambda: iter((refuse.encode(),))  # noqa: SLF001 - instead of BEGIN
        try:
            await _exchange(connection, gen)
        finally:
            _note_transaction(connection, process)
    if statement.kind == "_exit_gen":  # refused at COMMIT: the transaction is gone, the connection is not
        await _exchange(connection, statement.of._rollback_gen(Exception()))  # type: ignore[union-attr]  # noqa: SLF001
        _note_transaction(connection, process)
    cursor = connection.own_cursor() if isinstance(connection, Lent) else connection.cursor()
    await _exchange(connection, cursor._execute_gen(refuse))  # noqa: SLF001


async def _explored_wait_conn(gen: Any, *args: Any, **more: Any) -> Any:
    if explored is None:
        return await _wait_conn(gen, *args, **more)
    return waiting.wait_conn(gen, *args, **more)


async def _exchange(connection: psycopg.AsyncConnection[Any], gen: Any) -> Any:
    """Send, and read the answer."""
    fd = connection.pgconn.socket
    try:
        wanted = next(gen)
        while True:
            wanted = gen.send(_ready(fd, wanted, _PATIENCE_MS) or await _until_ready(fd, wanted))
    except StopIteration as end:
        return end.value
    except OSError as error:
        raise psycopg.OperationalError("connection socket closed") from error


def _ready(fd: int, wanted: int, patience_ms: int) -> int:
    """Wait for the server, and do nothing else. 0: it takes its time."""
    poll = select.poll()
    poll.register(fd, (select.POLLIN if wanted & waiting.WAIT_R else 0) | (select.POLLOUT if wanted & _WRITE else 0))
    events = sum(event for _, event in poll.poll(patience_ms))
    readable = events & ~select.POLLOUT
    return (waiting.READY_R if readable else 0) | (waiting.READY_W if events & select.POLLOUT else 0)


_WRITE = waiting.WAIT_W


async def _until_ready(fd: int, wanted: int) -> int:
    """Wait for another session to let the server go on. It may be one of ours, so others do what they have to."""
    while True:
        await asyncio.sleep(_STEP_S)
        if ready := _ready(fd, wanted, _STEP_MS):
            return ready


_names: dict[str, str] = {}


def _known() -> dict[str, str]:
    """Statements of ours by their text."""
    if not _names:
        _names.update(names_by_text("postgres"))
    return _names


def _detail(given: Any) -> str:
    if not isinstance(given, dict):
        return "" if not given else ", ".join(map(str, given))[:120]
    return " ".join(str(given[name]) for name in ("key", "id", "state", "function") if given.get(name) is not None)
