"""``python -m benchmarks.engines``: each engine and store in a process of its own, then the table."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
import psycopg

from benchmarks.engines.contenders import CONTENDERS, Place, Run
from benchmarks.orders import postgres


class Cell(msgspec.Struct, frozen=True):
    """What one process measures."""

    contender: str
    in_flight: list[int]
    """One after the other, on a store that is filled once."""
    seconds: float
    """How long each of them is measured, after a warm-up of a quarter of it."""
    place: Place


class Taken(msgspec.Struct, frozen=True):
    """What came of it."""

    per_second: float
    memory_mb: float
    """Resident, of the process, at the end."""
    file_mb: float


async def measure(cell: Cell) -> list[Taken]:
    """Run workflows for a while, so many at a time."""
    taken = []
    _read_once(cell.place.folder)
    now = time.time_ns()  # the store may have what an earlier run did
    async with CONTENDERS[cell.contender](cell.place) as run:
        for many in cell.in_flight:
            await _for(run, cell.seconds / 4, many, f"w{now}-{many}-")
            done, seconds = await _for(run, cell.seconds, many, f"m{now}-{many}-")
            taken.append(Taken(done / seconds, _resident() / 1e6, _size(cell.place.folder) / 1e6))
    return taken


def _read_once(folder: str) -> None:
    """Bring a store that was filled long ago into the system's memory: the disk's reading is not the engine's."""
    for path in Path(folder).iterdir():
        with path.open("rb") as file:
            while file.read(1 << 22):
                pass


def _resident() -> int:
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def _size(folder: str) -> int:
    return sum(file.stat().st_size for file in Path(folder).iterdir())


async def _for(run: Run, seconds: float, in_flight: int, prefix: str) -> tuple[int, float]:
    began, done = time.perf_counter(), 0

    async def lane(number: int) -> None:
        nonlocal done
        count = 0
        while time.perf_counter() - began < seconds:
            await run(f"{prefix}{number}-{count}")
            count += 1
            done += 1

    await asyncio.gather(*(lane(number) for number in range(in_flight)))
    return done, time.perf_counter() - began


@click.command(context_settings={"show_default": True})
@click.option("--finished", default="0,100000,1000000", help="Finished workflows in the store, separated by commas.")
@click.option("--in-flight", default="1,8,64", help="Workflows at a time.")
@click.option("--only", default="|".join(CONTENDERS), help="Which contenders, separated by |.")
@click.option("--seconds", default=4.0, help="How long each number in flight is measured.")
@click.option("--rounds", default=1, help="Each contender and store in turn, so many times; prints all.")
@click.option(
    "--local-most", default=10_000, help="With more finished workflows, the in-memory connection is left out."
)
@click.option(
    "--stores", type=click.Path(file_okay=False, path_type=Path), help="Keep filled stores here, and use those there."
)
@click.option("--fill", is_flag=True, help="Fill the stores, and measure nothing.")
@click.option("--resonate-sql", type=click.Path(exists=True, dir_okay=False), help="resonate.sql; else no resonate-pg.")
@click.option("--dsn", help="URL of a Postgres to use, as one must that keeps a store. Default: start one.")
@click.option("--cell", help="Measure one cell, given as JSON; for the command's own use.")
def main(
    *,
    finished: str,
    in_flight: str,
    only: str,
    seconds: float,
    rounds: int,
    local_most: int,
    stores: Path | None,
    fill: bool,
    resonate_sql: str | None,
    dsn: str | None,
    cell: str | None,
) -> None:
    """Workflows per second, memory and file size of engines whose stores hold many finished workflows."""
    if cell is not None:
        click.echo(msgspec.json.encode(asyncio.run(measure(msgspec.json.decode(cell, type=Cell)))))
        return
    if fill and stores is None:
        raise click.UsageError("--fill needs --stores DIR")
    many = [] if fill else [int(word) for word in in_flight.split(",")]
    click.echo(f"{'engine':<16}{'finished':>10}{'in flight':>10}{'per second':>12}{'memory MB':>11}{'file MB':>9}")
    with postgres.server(dsn) if resonate_sql else contextlib.nullcontext() as url:
        for _, name, kept in itertools.product(range(rounds), only.split("|"), map(int, finished.split(","))):
            if (name == "local" and (fill or kept > local_most)) or (name == "resonate-pg" and url is None):
                click.echo(f"{name:<16}{kept:>10}  SKIPPED")
                continue
            with _place(name, kept, stores, url, resonate_sql) as place:
                click.echo(_rows(Cell(name, many, seconds, place)))


@contextlib.contextmanager
def _place(name: str, kept: int, stores: Path | None, url: str | None, resonate_sql: str | None) -> Iterator[Place]:
    """A place of a contender's own, which is kept if there is a place to keep it and something to keep."""
    with contextlib.ExitStack() as stack:
        if keeps := stores is not None and kept > 0:
            assert stores is not None
            folder = str(stores / f"{name.replace(', ', '-')}-{kept}")
            Path(folder).mkdir(parents=True, exist_ok=True)
        else:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
        place = Place(folder, kept)
        if name == "resonate-pg" and url is not None and resonate_sql is not None:
            there = postgres.kept_database if keeps else postgres.database
            dsn = stack.enter_context(there(url, f"engines_{kept}"))
            place = msgspec.structs.replace(place, dsn=dsn)
            if not keeps or not place.filled():
                with psycopg.connect(dsn, autocommit=True) as connection:
                    connection.execute(Path(resonate_sql).read_bytes())
        yield place


def _rows(cell: Cell) -> str:
    command = [sys.executable, "-m", "benchmarks.engines", "--cell", msgspec.json.encode(cell).decode()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    head = f"{cell.contender:<16}{cell.place.finished:>10}"
    if done.returncode != 0:
        return f"{head}  FAILED: {done.stderr.strip().splitlines()[-1][:120]}"
    rows = zip(cell.in_flight, msgspec.json.decode(done.stdout.splitlines()[-1], type=list[Taken]), strict=True)
    return (
        "\n".join(
            f"{head}{many:>10}{taken.per_second:>12.1f}{taken.memory_mb:>11.0f}{taken.file_mb:>9.1f}"
            for many, taken in rows
        )
        or f"{head}  filled"
    )


main()
