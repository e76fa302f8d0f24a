"""``python -m benchmarks.orders.pairs --beside ../old``: this checkout beside another one, in interleaved pairs.

Each measurement is a process of its own, from its own checkout, with its own database on one server. CPU is that of the
client and of all the server's processes. Round trips are counted in a run that is not timed, by what goes from the
client to the server in one piece; statements by the messages that execute one.
"""

from __future__ import annotations

import asyncio
import contextlib
import statistics
import subprocess
import threading
from collections.abc import Iterator
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
def main(*, beside: Path, pairs: int, orders: int, in_flight: int) -> None:
    """Measure this checkout beside another one, with a .venv each."""
    trees = {"old": beside.resolve(), "new": Path.cwd()}
    with postgres.server(None) as url, _payments() as payments_url:
        cells: dict[str, list[Cell]] = {name: [] for name in trees}
        for number in range(pairs):
            for name in list(trees) if number % 2 else list(reversed(trees)):
                cells[name].append(_cell(trees[name], url, payments_url, f"{name}_{number}", orders, in_flight))
        for what in Cell._fields:
            values = {name: [getattr(cell, what) for cell in found] for name, found in cells.items()}
            ratios = [new / old for old, new in zip(values["old"], values["new"], strict=True)]
            medians = ", ".join(f"{name} {statistics.median(found):,.2f}" for name, found in values.items())
            low, high = min(ratios), max(ratios)
            click.echo(f"{what}: {medians}; new/old {statistics.median(ratios):.2f} ({low:.2f} to {high:.2f})")
        for name, tree in trees.items():
            trips, statements = _counted(tree, url, payments_url, f"counted_{name}", in_flight)
            click.echo(f"{name}: {trips:.2f} round trips and {statements:.2f} statements per order")


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


def _counted(tree: Path, url: str, payments_url: str, name: str, in_flight: int) -> tuple[float, float]:
    """Round trips and statements of an order: those of 220 orders less those of 20."""

    def once(orders: int) -> tuple[int, int]:
        with postgres.database(url, f"{name}_{orders}") as dsn, _proxied(dsn) as (through, trips):
            _run(tree, through, f"{payments_url}/{name}_{orders}", orders, in_flight)
            return trips[0], trips[1]

    few, many = once(20), once(220)
    return (many[0] - few[0]) / 200, (many[1] - few[1]) / 200


@contextlib.contextmanager
def _proxied(dsn: str) -> Iterator[tuple[str, list[int]]]:
    """The same database through a proxy in a thread, which counts the pieces that the client sends."""
    trips, ready, place = [0, 0], threading.Event(), list[int]()
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
            await asyncio.gather(_pump(reader, up[1], trips), _pump(up[0], writer, None))

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
        yield f"postgresql://{user}127.0.0.1:{place[0]}{parts.path}", trips
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(5)


def _until_stopped(loop: asyncio.AbstractEventLoop, serve) -> None:
    with contextlib.suppress(RuntimeError):  # stopped while it serves
        loop.run_until_complete(serve())


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, counts: list[int] | None) -> None:
    """Hand on what comes; count its pieces, and the messages that execute a statement."""
    rest, began = b"", counts is None
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            if counts is not None:
                counts[0] += 1
                rest += data
                while not began and len(rest) >= 4:  # the first messages have no type; one of 8 bytes asks for TLS
                    began = (size := int.from_bytes(rest[:4])) != _TLS_REQUEST
                    rest = rest[size:]
                while len(rest) >= 5 and len(rest) >= (size := 1 + int.from_bytes(rest[1:5])):
                    counts[1] += rest[:1] in (b"E", b"Q")
                    rest = rest[size:]
            writer.write(data)
            await writer.drain()
    writer.close()


if __name__ == "__main__":
    main()
