"""The proxy between a worker and its providers or a Resonate Server, over HTTP: one request after another.

Each request gets its own connection to the server, so the end of its reply is always known. A stream of events is
passed on as it arrives.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from urllib.parse import urlsplit

import msgspec

from recordfirst.explore.worlds.real.proxies.names import Named
from recordfirst.explore.worlds.real.proxies.side import Side

_HEAD_MOST = 1 << 16
_END = b"\r\n\r\n"


class Request(msgspec.Struct, frozen=True):
    """A request of a worker."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


type Rename = tuple[bytes, bytes]
type Reads = Callable[[Request], tuple[Named, bool] | None]
"""Names a request, and says whether no key protects it; ``None``: the request is passed through."""


class HttpProxy:
    """Listens on a port of the loopback interface for one worker.

    Args:
        side: the side of the worker.
        url: the URL of the real server.
        reads: names its requests.
        rename: a text of the worker, and its replacement for the server. So a server that forgets nothing does not know
            what is new to the worker.
    """

    def __init__(self, side: Side, url: str, reads: Reads, rename: Rename = (b"", b"")) -> None:
        parts = urlsplit(url)
        self._rename = rename
        self._side, self._reads = side, reads
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self._tasks: set[asyncio.Task[None]] = set()
        self._streams: set[asyncio.StreamWriter] = set()
        self.url = ""

    async def open(self) -> None:
        """Start to listen."""
        self._listening = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=_HEAD_MOST)
        port = self._listening.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"

    async def close(self) -> None:
        """Cut all connections, and stop listening."""
        self._listening.close()
        for writer in list(self._streams):
            writer.transport.abort()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._streams.add(writer)
        try:
            request = await _read(reader)
            crossing = _Exchange(request, (self._host, self._port), (reader, writer), self._rename)
            read = self._reads(request)
            if read is None:
                await crossing.pass_through()
            else:
                await self._side.passes(read[0], crossing, blind=read[1])
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # the worker or the server is gone
        finally:
            self._streams.discard(writer)
            with contextlib.suppress(OSError):
                writer.close()


async def _read(reader: asyncio.StreamReader) -> Request:
    head = await reader.readuntil(_END)
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = await _chunks(reader)
    else:
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, path, headers, body)


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    parts = []
    while size := int((await reader.readline()).partition(b";")[0], 16):
        parts.append(await reader.readexactly(size))
        await reader.readline()
    await reader.readline()
    return b"".join(parts)


class _Exchange:
    """One request, and its reply."""

    def __init__(
        self,
        request: Request,
        server: tuple[str, int],
        worker: tuple[asyncio.StreamReader, asyncio.StreamWriter],
        rename: Rename,
    ) -> None:
        self._request, self._server = request, server
        self._ours, self._theirs = rename
        self._reader, self._writer = worker
        self._reply = b""
        self.changed = False

    async def forward(self) -> str:
        try:
            reader, writer = await self._ask()
            try:
                self._reply = self._renamed(await reader.read())
            finally:
                writer.close()
        except OSError as error:
            raise ConnectionResetError(str(error)) from error
        if not self._reply:
            raise ConnectionResetError("the server has cut the connection")
        status = self._reply.partition(b"\r\n")[0].decode("latin-1").partition(" ")[2]
        return "" if status.startswith("2") else f"HTTP {status}"

    async def _ask(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        request = self._request
        reader, writer = await asyncio.open_connection(*self._server)
        gone = ("connection", "transfer-encoding", "content-length", "expect")
        headers = {name: value for name, value in request.headers.items() if name not in gone}
        path, body = request.path.encode("latin-1"), request.body
        if self._ours:
            path, body = path.replace(self._ours, self._theirs), body.replace(self._ours, self._theirs)
        headers |= {"connection": "close", "content-length": str(len(body))}
        # A server sends no chunks to a client of the older version: the reply ends with the connection.
        head = [
            f"{request.method} {path.decode('latin-1')} HTTP/1.0",
            *(f"{name}: {headers[name]}" for name in headers),
        ]
        writer.write("\r\n".join(head).encode("latin-1") + _END + body)
        await writer.drain()
        return reader, writer

    def _renamed(self, reply: bytes) -> bytes:
        """The whole reply, with the names that the worker knows."""
        head, end, body = reply.partition(_END)
        if not self._ours or not end:
            return reply
        body = body.replace(self._theirs, self._ours)
        lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length:")]
        return b"\r\n".join([*lines, b"Content-Length: %d" % len(body)]) + _END + body

    async def pass_on(self) -> None:
        self._writer.write(self._reply)
        await self._writer.drain()

    async def pass_through(self) -> None:
        """Pass on a stream as it arrives."""
        reader, writer = await self._ask()
        try:
            while line := await reader.readline():
                self._writer.write(line.replace(self._theirs, self._ours) if self._ours else line)
                await self._writer.drain()
        finally:
            writer.close()

    def cut(self) -> None:
        self._writer.transport.abort()

    async def refuse(self) -> None:
        self.cut()  # providers and engines have no such answer

    async def given_up(self) -> None:
        with contextlib.suppress(OSError):
            await self._reader.read(1)
