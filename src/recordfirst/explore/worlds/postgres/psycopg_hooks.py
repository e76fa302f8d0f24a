"""The boundary in psycopg: each statement of a forked process on a real server, and the server's errors.

Everything that an asynchronous connection exchanges with its server goes through ``AsyncConnection.wait``, so the
boundary is there. If a statement must be refused, the server refuses it; if a connection must be lost, it is closed.

To make all runs the same, a process does nothing else while the server works for it, unless the server makes it wait
for another session. Notifications from other sessions, which may be lost in production, are not received.
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
"""The pause between two checks whether the wait for a socket is still needed: never, in a process that only tests."""
_SILENT = (
    "SET lock_timeout",
    "DO $$ BEGIN PERFORM pg_advisory",
    "SELECT pg_try_advisory",
    "LISTEN",
    "SELECT set_config",
)
"""Statements that are no points: leases, and listening for notifications."""
_APART = ("begin_timeline", "announce_mark", "confirm_mark", "alive", "dispatched", "save_pass")
"""Statements that change nothing which is observed."""
_MODIFIES = re.compile(r"\b(INSERT|UPDATE|DELETE)\b", re.IGNORECASE)
_REFUSE = "DO $$ BEGIN RAISE EXCEPTION 'refused, as by another transaction' USING ERRCODE = '{}'; END $$"
_CODES = ("40001", "40P01")

_PATIENCE_MS = 200
"""No statement takes longer by itself. One that does waits for another session, so others go on."""

_STEP_S, _STEP_MS = 0.5, 20
"""The pause between two checks of such a statement, in the world's time and in the machine's."""

_wait, _wait_conn = psycopg.AsyncConnection.wait, waiting.wait_conn_async


class Watch(Protocol):
    """Reads the record beside the process."""

    def tell_time(self) -> None:
        """Set the record's clock to the world's, before anything is sent."""

    def looks(self) -> Any:
        """Return a connection that only reads."""


explored: tuple[Process, Watch] | None = None
"""The explored process that this process of the machine runs, and what reads the record beside it."""


class _Fault(Exception):  # noqa: N818 - converted to the server's error
    def __init__(self, kind: str) -> None:
        self.kind = kind
        super().__init__(kind)


class PostgresErrors:
    """The errors of psycopg and of the embedded engine."""

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
    """Install the boundary. A second call changes nothing."""
    psycopg.AsyncConnection.wait = _explored_wait  # type: ignore[method-assign]
    waiting.wait_conn_async = _explored_wait_conn


class _Statement:
    """The exchange that a generator of psycopg is about to make."""

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
        """Whether the exchange has changed anything."""
        return self.kind == "_exit_gen" or (self.modifies and self.of is not None and self.of.rowcount > 0)


async def _explored_wait(self: psycopg.AsyncConnection[Any], gen: Any, *args: Any, **more: Any) -> Any:
    if explored is None:
        return await _wait(self, gen, *args, **more)
    process, watch = explored
    if getattr(getattr(gen, "gi_code", None), "co_name", type(gen).__name__) in ("notifies", "generator"):
        await _wait(self, gen, interval=_LONG_S, **more)  # this lasts as long as the connection
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
        raise AssertionError("after a fault nothing may go on") from None


_open: set[psycopg.AsyncConnection[Any]] = set()
"""The connections of this process with an open transaction."""


def _note_transaction(connection: psycopg.AsyncConnection[Any], process: Process) -> None:
    if connection.pgconn.transaction_status in (TransactionStatus.IDLE, TransactionStatus.UNKNOWN):
        _open.discard(connection)
    else:
        _open.add(connection)
    process.in_transaction = bool(_open)


async def _inject(
    connection: psycopg.AsyncConnection[Any], gen: Any, statement: _Statement, kind: str, process: Process
) -> None:
    """Make the server refuse, or lose the connection.

    The driver counts its open transactions before it sends BEGIN. So a refused BEGIN runs through the driver's own
    generator; then its count is the same as when a real server refuses.

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
    if statement.kind == "_exit_gen":  # refused at COMMIT: the transaction is lost, the connection is not
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
    """Wait for the server, and do nothing else. Return 0 if it has not answered in time."""
    poll = select.poll()
    poll.register(fd, (select.POLLIN if wanted & waiting.WAIT_R else 0) | (select.POLLOUT if wanted & _WRITE else 0))
    events = sum(event for _, event in poll.poll(patience_ms))
    readable = events & ~select.POLLOUT
    return (waiting.READY_R if readable else 0) | (waiting.READY_W if events & select.POLLOUT else 0)


_WRITE = waiting.WAIT_W


async def _until_ready(fd: int, wanted: int) -> int:
    """Wait until another session lets the server go on. It may belong to this process, whose other tasks go on."""
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
