"""``python -m benchmarks.orders.pairs --beside ../old``: this checkout beside another one, in interleaved pairs.

Each measurement is a process of its own, from its own checkout, with its own database on one server. CPU is that of the
client and of all the server's processes. Round trips are counted in a run that is not timed, by what goes from the
client to the server in one piece; statements by the messages that execute one. ``--by-statement`` lists them, so that
an order's own are told from those of polls, of which a slow run has more.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import statistics
import subprocess
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

import click
import msgspec
import psycopg

from benchmarks.orders import postgres
from benchmarks.orders.__main__ import _payments
from benchmarks.orders.cell import Taken, Task
from benchmarks.orders.work import Setting

_TLS_REQUEST = 8


_SELDOM = 0.02
"""What is sent less often than this per order has no line."""


class Cell(NamedTuple):
    """One process's orders."""

    orders_s: float
    client_ms: float
    server_ms: float
    """CPU of the server's processes, per order."""


@click.command(context_settings={"show_default": True})
@click.option("--beside", type=click.Path(exists=True, file_okay=False, path_type=Path), required=True)
@click.option("--pairs", default=20, help="How many pairs.")
@click.option("--orders", default=300, help="Orders per measurement.")
@click.option("--in-flight", default=8, help="Orders at a time.")
@click.option("--by-statement", is_flag=True, help="What goes to the server per order, by its statements.")
def main(*, beside: Path, pairs: int, orders: int, in_flight: int, by_statement: bool) -> None:
    """Measure this checkout beside another one, with a .venv each."""
    trees = {"old": beside.resolve(), "new": Path.cwd()}
    with postgres.server(None) as url, _payments() as payments_url:
        cells: dict[str, list[Cell]] = {name: [] for name in trees}
        for number in range(pairs):
            for name in list(trees) if number % 2 else list(reversed(trees)):
                cells[name].append(_cell(trees[name], url, payments_url, f"{name}_{number}", orders, in_flight))
        for what in Cell._fields if pairs else ():
            values = {name: [getattr(cell, what) for cell in found] for name, found in cells.items()}
            ratios = [new / old for old, new in zip(values["old"], values["new"], strict=True)]
            medians = ", ".join(f"{name} {statistics.median(found):,.2f}" for name, found in values.items())
            low, high = min(ratios), max(ratios)
            click.echo(f"{what}: {medians}; new/old {statistics.median(ratios):.2f} ({low:.2f} to {high:.2f})")
        for name, tree in trees.items():
            pieces, statements = _counted(tree, url, payments_url, f"counted_{name}", in_flight)
            trips = sum(pieces.values())
            click.echo(f"{name}: {trips:.2f} round trips and {statements:.2f} statements per order")
            for piece, number in pieces.most_common() if by_statement else ():
                if number >= _SELDOM:
                    click.echo(f"{number:8.2f}  {piece}")


def _cell(tree: Path, url: str, payments_url: str, name: str, orders: int, in_flight: int) -> Cell:
    with postgres.database(url, name) as dsn:
        before = _server_ms(url)
        taken = _run(tree, dsn, f"{payments_url}/{name}", orders, in_flight)
        server_ms = (_server_ms(url) - before) / (orders + 20)
    return Cell(orders / taken.seconds, taken.cpu_s * 1000 / orders, server_ms)


def _run(tree: Path, dsn: str, payments_url: str, orders: int, in_flight: int) -> Taken:
    task = Task("recordfirst:open", Setting(dsn, payments_url), orders, 20, in_flight)
    command = [str(tree / ".venv" / "bin" / "python"), "-m", "benchmarks.orders.cell"]
    done = subprocess.run(command, cwd=tree, input=msgspec.json.encode(task), capture_output=True, check=False)
    if done.returncode:
        raise click.ClickException(done.stderr.decode()[-2000:])
    return msgspec.json.decode(done.stdout, type=Taken)


def _server_ms(url: str) -> float:
    """CPU of the postmaster and its children, also those that have ended."""
    with psycopg.connect(url, autocommit=True) as connection:
        [(data,)] = connection.execute("SHOW data_directory").fetchall()
    pid = int((Path(data) / "postmaster.pid").read_text().split("\n", 1)[0])
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    ended = sum(map(int, fields[11:15]))  # its own and its waited-for children's, user and system
    alive = 0
    for child in children:
        with contextlib.suppress(FileNotFoundError):
            alive += sum(map(int, Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[11:13]))
    return (ended + alive) * 10.0  # a tick is 10 ms


def _counted(tree: Path, url: str, payments_url: str, name: str, in_flight: int) -> tuple[Counter[str], float]:
    """Round trips, by what is sent, and statements of an order: those of 220 orders less those of 20."""

    def once(orders: int) -> Sent:
        with postgres.database(url, f"{name}_{orders}") as dsn, _proxied(dsn) as (through, sent):
            _run(tree, through, f"{payments_url}/{name}_{orders}", orders, in_flight)
            return sent

    few, many = once(20), once(220)
    pieces = Counter({piece: (number - few.pieces[piece]) / 200 for piece, number in many.pieces.items()})
    return pieces, (many.statements - few.statements) / 200


class Sent:
    """What clients have sent to the server."""

    def __init__(self) -> None:
        self.pieces: Counter[str] = Counter()
        """How often what went in one piece, by its statements."""
        self.statements = 0


class _Client:
    """One connection's messages. Statements that are prepared are executed by their names."""

    def __init__(self, sent: Sent) -> None:
        self._sent, self._rest, self._began, self._prepared = sent, b"", False, dict[bytes, str]()

    def piece(self, data: bytes) -> None:
        self._rest += data
        while not self._began and len(self._rest) >= 4:  # the first have no type; one of 8 bytes asks for TLS
            self._began = (size := int.from_bytes(self._rest[:4])) != _TLS_REQUEST
            self._rest = self._rest[size:]
        told = list[str]()
        while len(self._rest) >= 5 and len(self._rest) >= (size := 1 + int.from_bytes(self._rest[1:5])):
            told += self._message(self._rest[:1], self._rest[5:size])
            self._rest = self._rest[size:]
        self._sent.pieces[" | ".join(told)] += 1

    def _message(self, kind: bytes, body: bytes) -> list[str]:
        self._sent.statements += kind in (b"E", b"Q")
        name, _, rest = body.partition(b"\0")
        match kind:
            case b"P":
                self._prepared[name] = _short(rest.partition(b"\0")[0])
                return ["(prepares)"]
            case b"B":
                return [self._prepared.get(rest.partition(b"\0")[0], "?")]
            case b"Q":
                return [_short(name)]
        return []


def _short(sql: bytes) -> str:
    return re.sub(r"\s+", " ", sql.decode()).strip()[:100]


@contextlib.contextmanager
def _proxied(dsn: str) -> Iterator[tuple[str, Sent]]:
    """The same database through a proxy in a thread, which counts the pieces that the client sends."""
    sent, ready, place = Sent(), threading.Event(), list[int]()
    loop = asyncio.new_event_loop()

    async def serve() -> None:
        async def lead(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            parts = urlsplit(dsn)
            host = parse_qs(parts.query).get("host", [parts.hostname or "127.0.0.1"])[0]
            port = parts.port or int(parse_qs(parts.query).get("port", ["5432"])[0])
            if host.startswith("/"):
                up = await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
            else:
                up = await asyncio.open_connection(host, port)
            await asyncio.gather(_pump(reader, up[1], _Client(sent).piece), _pump(up[0], writer, None))

        server = await asyncio.start_server(lead, "127.0.0.1", 0)
        place.append(server.sockets[0].getsockname()[1])
        ready.set()
        await asyncio.Event().wait()

    thread = threading.Thread(target=_until_stopped, args=(loop, serve), daemon=True)
    thread.start()
    ready.wait(10)
    parts = urlsplit(dsn)
    user = f"{parts.username or 'postgres'}@"
    try:
        yield f"postgresql://{user}127.0.0.1:{place[0]}{parts.path}", sent
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)


def _until_stopped(loop: asyncio.AbstractEventLoop, serve) -> None:
    with contextlib.suppress(RuntimeError):  # stopped while it serves
        loop.run_until_complete(serve())


async def _pump(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, told: Callable[[bytes], None] | None
) -> None:
    """Hand on what comes, and tell it piece by piece."""
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            if told is not None:
                told(data)
            writer.write(data)
            await writer.drain()
    writer.close()


if __name__ == "__main__":
    main()
