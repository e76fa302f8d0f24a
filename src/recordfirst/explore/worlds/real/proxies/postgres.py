"""The proxy between a worker and its Postgres: it reads all messages, and each request passes the worker's boundary.

Connections for leases and notifications (``lease``, ``listen``, deliveries of an engine) pass through unchanged. A
lease can be taken away, as a server does if it believes that a client is gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import Mapping
from typing import Any

from recordfirst.explore.worlds.real.proxies import wire
from recordfirst.explore.worlds.real.proxies.names import of_statement
from recordfirst.explore.worlds.real.proxies.side import Side

_CODES = ("40001", "40P01")
_REFUSE = "DO $$ BEGIN RAISE EXCEPTION 'refused, as by another transaction' USING ERRCODE = '{}'; END $$"
_INT = struct.Struct("!i")
_APART = (" lease ", " listen", " source")
"""Roles, within the names of connections, that send no requests of a workflow."""


class PostgresProxy:
    """Listens on a port of the loopback interface for one worker.

    Args:
        side: the side of the worker.
        server: the address of the real server: ``host`` (a directory, for its socket) and ``port``.
    """

    def __init__(self, side: Side, server: Mapping[str, str]) -> None:
        self._side, self._server = side, server
        self._connections: set[_Connection] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    async def open(self) -> None:
        """Start to listen."""
        self._listening = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._listening.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Cut all connections, and stop listening."""
        self._listening.close()
        for connection in list(self._connections):
            connection.cut()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def take_lease(self) -> None:
        """Cut the connections that hold leases: the server gives the leases to others at once."""
        for connection in list(self._connections):
            if " lease " in connection.role:
                connection.cut()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection: _Connection | None = None
        try:
            host, port = self._server["host"], self._server["port"]
            if host.startswith("/"):
                server = await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
            else:
                server = await asyncio.open_connection(host, int(port))
            connection = _Connection(self._side, (reader, writer), server)
            self._connections.add(connection)
            await connection.run()
        except (OSError, asyncio.IncompleteReadError):
            pass  # one of the two is gone; the other connection is closed below
        finally:
            if connection is not None:
                connection.cut()
                self._connections.discard(connection)
            writer.close()


type _Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Connection:
    """One session, message by message."""

    def __init__(self, side: Side, client: _Stream, server: _Stream) -> None:
        self._side = side
        (self._from_client, self._to_client), (self._from_server, self._to_server) = client, server
        self._prepared = wire.Prepared()
        self.role = ""
        self._held = bytearray()
        """The part of the reply that is not passed on yet."""
        self._ready: asyncio.Future[None] | None = None
        """Done when the reply to the current request is complete."""
        self._is_copying = asyncio.Event()
        self.in_transaction = False
        self.modified = False
        """Whether the open transaction has changed anything."""
        self.error = ""
        self.count = 0
        self.is_cut = asyncio.Event()

    async def run(self) -> None:
        """Pass messages until one of the two is gone."""
        if not await self._begins():
            return
        answering = asyncio.get_running_loop().create_task(self._answers())
        asking = asyncio.get_running_loop().create_task(self._asks())
        try:
            await asyncio.wait({answering, asking}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.cut()
            for task in (answering, asking):
                task.cancel()
            await asyncio.gather(answering, asking, return_exceptions=True)

    def cut(self) -> None:
        """Cut the connection, on both sides."""
        self.is_cut.set()
        self._side.open.discard(self)
        if self._ready is not None and not self._ready.done():
            self._ready.set_exception(ConnectionResetError("the server is gone"))
        for writer in (self._to_client, self._to_server):
            if writer.transport is not None:
                writer.transport.abort()

    # ── start-up ────────────────────────────────────────────────────────────

    async def _begins(self) -> bool:
        while True:
            [length] = _INT.unpack(await self._from_client.readexactly(4))
            payload = await self._from_client.readexactly(length - 4)
            [code] = _INT.unpack_from(payload)
            if code in wire.NO_ENCRYPTION:
                self._to_client.write(b"N")
                continue
            self._to_server.write(_INT.pack(length) + payload)
            self.role = wire.startup_options(payload[4:]).get("application_name", "")
            return bool(code != wire.CANCEL)

    # ── from the server ─────────────────────────────────────────────────────

    async def _answers(self) -> None:
        while True:
            head = await self._from_server.readexactly(5)
            [length] = _INT.unpack_from(head, 1)
            payload = await self._from_server.readexactly(length - 4)
            kind = head[:1]
            if self._ready is None or self._ready.done():
                self._to_client.write(head + payload)  # no request is open: a notification, or the start-up
                continue
            self._held += head + payload
            self._reads(kind, payload)

    def _reads(self, kind: bytes, payload: bytes) -> None:
        assert self._ready is not None
        match kind:
            case wire.COMMAND_COMPLETE:
                self.count += wire.count_of(payload)
            case wire.ERROR:
                fields = {part[:1]: part[1:].decode(errors="replace") for part in payload.split(b"\0") if part}
                self.error = f"{fields.get(b'C', '')} {fields.get(b'M', '')}".strip()
            case wire.COPY_IN | wire.COPY_BOTH:
                self._let_go()
                self._is_copying.set()
            case wire.READY:
                self.in_transaction = payload != wire.IDLE
                (self._side.open.add if self.in_transaction else self._side.open.discard)(self)
                self._ready.set_result(None)

    def _let_go(self) -> None:
        if self._held:
            self._to_client.write(bytes(self._held))
            self._held.clear()

    # ── from the client ─────────────────────────────────────────────────────

    async def _asks(self) -> None:
        messages: list[tuple[bytes, bytes]] = []
        while True:
            kind, payload = await self._message()
            if kind in wire.AT_ONCE or kind == wire.TERMINATE:
                self._to_server.write(self._raw(messages) + wire.message(kind, payload))
                messages = []
                continue
            messages.append((kind, payload))
            if kind not in wire.ENDS_REQUEST:
                continue
            asked = self._prepared.read(messages)
            messages = []
            named = of_statement(asked) if not any(role in self.role for role in _APART) else None
            request = _Request(self, asked)
            if named is None:
                await request.forward()
                await request.pass_on()
                continue
            request.modifies = named.modifies
            await self._side.passes(named, request)
            if self._side.died or self.is_cut.is_set():
                return

    def _raw(self, messages: list[tuple[bytes, bytes]]) -> bytes:
        return self._prepared.read(messages).raw if messages else b""

    async def _message(self) -> tuple[bytes, bytes]:
        head = await self._from_client.readexactly(5)
        [length] = _INT.unpack_from(head, 1)
        return head[:1], await self._from_client.readexactly(length - 4)

    # ── one request ─────────────────────────────────────────────────────────

    async def exchange(self, raw: bytes) -> None:
        """Send a request, and read the reply until it is complete.

        Raises:
            ConnectionError: if the server is gone.
        """
        self.error, self.count = "", 0
        self._held.clear()
        self._ready = asyncio.get_running_loop().create_future()
        self._is_copying.clear()
        self._to_server.write(raw)
        copying = asyncio.get_running_loop().create_task(self._copies())
        try:
            await self._ready
        finally:
            copying.cancel()
            await asyncio.gather(copying, return_exceptions=True)

    async def _copies(self) -> None:
        """Pass on the rows of the worker as long as the server takes them."""
        await self._is_copying.wait()
        kind = b""
        while kind not in (b"c", b"f"):
            kind, payload = await self._message()
            self._to_server.write(wire.message(kind, payload))

    async def reply(self) -> None:
        """Pass on the reply that is held."""
        self._let_go()
        await self._to_client.drain()

    async def client_is_gone(self) -> None:
        """Wait until the worker has closed its end. It sends nothing while it waits for a reply."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            await self._from_client.readexactly(1)


class _Request:
    """A request on a connection."""

    def __init__(self, connection: _Connection, asked: wire.Asked) -> None:
        self._connection, self._asked = connection, asked
        self.modifies = False
        self.changed = False

    async def forward(self) -> str:
        connection = self._connection
        if connection.is_cut.is_set():
            raise ConnectionResetError("the connection was cut")
        await connection.exchange(self._asked.raw)
        connection.modified |= self.modifies and connection.count > 0 and not connection.error
        if not connection.in_transaction:
            self.changed, connection.modified = connection.modified and not connection.error, False
        return connection.error

    async def pass_on(self) -> None:
        await self._connection.reply()

    def cut(self) -> None:
        self._connection.cut()

    async def refuse(self) -> None:
        """Refuse the request. If it is COMMIT, the transaction is lost; otherwise it has failed."""
        connection = self._connection
        named = of_statement(self._asked)
        if named is not None and named.name == "COMMIT":
            await connection.exchange(wire.query("ROLLBACK"))
            connection.modified = False
        code = _CODES[len(self._side_points()) % len(_CODES)]
        await connection.exchange(wire.query(_REFUSE.format(code)))
        await connection.reply()

    async def given_up(self) -> None:
        await self._connection.client_is_gone()

    def _side_points(self) -> list[Any]:
        return self._connection._side.points  # noqa: SLF001 - of this module
