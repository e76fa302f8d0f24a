"""``python -m benchmarks.engines``: each engine and store in a process of its own, then the table."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click
import msgspec
import psycopg

from benchmarks.engines.contenders import CONTENDERS, Place, Run
from benchmarks.orders import postgres

_SECONDS = 4.0
"""So long each number in flight is measured, after a warm-up of a quarter of it."""


class Cell(msgspec.Struct, frozen=True):
    """What one process measures."""

    contender: str
    in_flight: list[int]
    """One after the other, on a store that is filled once."""
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
    async with CONTENDERS[cell.contender](cell.place) as run:
        for many in cell.in_flight:
            await _for(run, _SECONDS / 4, many, f"w{many}-")
            done, seconds = await _for(run, _SECONDS, many, f"m{many}-")
            taken.append(Taken(done / seconds, _resident() / 1e6, _size(cell.place.folder) / 1e6))
    return taken


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
@click.option(
    "--local-most", default=10_000, help="With more finished workflows, the in-memory connection is left out."
)
@click.option("--resonate-sql", type=click.Path(exists=True, dir_okay=False), help="resonate.sql; else no resonate-pg.")
@click.option("--cell", help="Measure one cell, given as JSON; for the command's own use.")
def main(
    *, finished: str, in_flight: str, only: str, local_most: int, resonate_sql: str | None, cell: str | None
) -> None:
    """Workflows per second, memory and file size of engines whose stores hold many finished workflows."""
    if cell is not None:
        click.echo(msgspec.json.encode(asyncio.run(measure(msgspec.json.decode(cell, type=Cell)))))
        return
    click.echo(f"{'engine':<16}{'finished':>10}{'in flight':>10}{'per second':>12}{'memory MB':>11}{'file MB':>9}")
    with postgres.server(None) if resonate_sql else contextlib.nullcontext() as url:
        for kept in [int(word) for word in finished.split(",")]:
            for name in only.split("|"):
                if (name == "local" and kept > local_most) or (name == "resonate-pg" and url is None):
                    click.echo(f"{name:<16}{kept:>10}  SKIPPED")
                    continue
                click.echo(_rows(name, kept, [int(word) for word in in_flight.split(",")], url, resonate_sql))


def _rows(name: str, kept: int, in_flight: list[int], url: str | None, resonate_sql: str | None) -> str:
    with contextlib.ExitStack() as stack:
        dsn = None
        if name == "resonate-pg" and url is not None and resonate_sql is not None:
            dsn = stack.enter_context(postgres.database(url, "engines"))
            with psycopg.connect(dsn, autocommit=True) as connection:
                connection.execute(Path(resonate_sql).read_bytes())
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        cell = msgspec.json.encode(Cell(name, in_flight, Place(folder, kept, dsn))).decode()
        command = [sys.executable, "-m", "benchmarks.engines", "--cell", cell]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            return f"{name:<16}{kept:>10}  FAILED: {done.stderr.strip().splitlines()[-1][:120]}"
        rows = zip(in_flight, msgspec.json.decode(done.stdout.splitlines()[-1], type=list[Taken]), strict=True)
        return "\n".join(
            f"{name:<16}{kept:>10}{many:>10}{taken.per_second:>12.0f}{taken.memory_mb:>11.0f}{taken.file_mb:>9.1f}"
            for many, taken in rows
        )


main()
