"""A double of a pooler, as PgBouncer is one: it answers for the server at once, and lends its sessions."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections import deque
from collections.abc import AsyncIterator
from typing import Literal

from psycopg.conninfo import conninfo_to_dict, make_conninfo

_ENCRYPT = {80877103, 80877104}
"""The codes by which a client asks for TLS or GSS; ``N``: not here."""
_VERSION = 196608
type _Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Pooler:
    """Lends a session for each transaction, or for as long as a client stays."""

    def __init__(self, dsn: str, mode: Literal["transaction", "session"], most: int, *, in_turn: bool) -> None:
        self._server = conninfo_to_dict(dsn)
        self._mode, self._in_turn = mode, in_turn
        self._free: deque[_Stream] = deque()
        self._room = asyncio.Semaphore(most)
        self._told = b""
        self._clients: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []

    async def lend(self) -> _Stream:
        await self._room.acquire()
        if self._free:
            return self._free.popleft() if self._in_turn else self._free.pop()
        stream = await asyncio.open_unix_connection(f"{self._server['host']}/.s.PGSQL.{self._server.get('port', 5432)}")
        self._writers.append(stream[1])
        given = f"user\0{self._server['user']}\0database\0{self._server['dbname']}\0\0".encode()
        stream[1].write(struct.pack("!II", len(given) + 8, _VERSION) + given)
        told = b""
        while (message := await read(stream[0]))[0] != b"Z":
            told += raw(message) if message[0] == b"S" else b""
        self._told = told
        return stream

    def take_back(self, stream: _Stream) -> None:
        self._free.append(stream)
        self._room.release()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        self._writers.append(writer)
        lent: _Stream | None = None
        try:
            while (code := (await start(reader))) in _ENCRYPT:
                writer.write(b"N")
            if code != _VERSION:
                return
            if not self._told:
                self.take_back(await self.lend())
            # A number of its own, as for all poolers: it must find the session when a client wants to cancel.
            key, ready = struct.pack("!II", 7, 7), raw((b"Z", b"I"))
            writer.write(raw((b"R", struct.pack("!I", 0))) + self._told + raw((b"K", key)) + ready)
            while (message := await read(reader))[0] != b"X":
                lent = lent or await self.lend()
                lent[1].write(raw(message))
                if message[0] in (b"Q", b"S"):
                    while True:
                        answer = await read(lent[0])
                        writer.write(raw(answer))
                        if answer[0] == b"Z":
                            break
                    if answer[1] == b"I" and self._mode == "transaction":
                        self.take_back(lent)
                        lent = None
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client is gone
        finally:
            writer.close()
            if lent is not None:
                self.take_back(lent)

    async def close(self) -> None:
        for task in self._clients:
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        for writer in self._writers:
            writer.close()
        await asyncio.gather(*(writer.wait_closed() for writer in self._writers), return_exceptions=True)


async def start(reader: asyncio.StreamReader) -> int:
    length, code = struct.unpack("!II", await reader.readexactly(8))
    await reader.readexactly(length - 8)
    return int(code)


async def read(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    kind, length = struct.unpack("!cI", await reader.readexactly(5))
    return kind, await reader.readexactly(length - 4)


def raw(message: tuple[bytes, bytes]) -> bytes:
    return message[0] + struct.pack("!I", len(message[1]) + 4) + message[1]


@contextlib.asynccontextmanager
async def pooled(
    dsn: str, mode: Literal["transaction", "session"], *, most: int = 5, in_turn: bool = False
) -> AsyncIterator[str]:
    """The same database, by way of a pooler."""
    pooler = Pooler(dsn, mode, most, in_turn=in_turn)
    server = await asyncio.start_server(pooler.serve, "127.0.0.1", 0)
    try:
        port = server.sockets[0].getsockname()[1]
        yield make_conninfo(dsn, host="127.0.0.1", port=port)
    finally:
        server.close()
        await pooler.close()
