"""``python -m benchmarks.sizes``: a workflow of a write and a call; finished, and suspended for a week."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import sqlite3
import subprocess
import sys
import tempfile
import tracemalloc
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import msgspec
import psycopg

from benchmarks.orders import postgres
from recordfirst import App, Call, Context, Embedded, Provider, Write, effect, workflow, write
from recordfirst.cli.common import collect_seldom
from recordfirst.records.open import record_from_url

BANK = Provider(name="bank", retention_s=86_400)
WARM_UP = 1_000
"""Workflows before the first look: code, caches and pools are there after them."""
IN_FLIGHT = 64
KINDS = ("finished", "suspended")


@write
async def insert_order(w: Write[Any], number: int) -> int:
    w.intend(charge_card, number)
    return number


@effect(key="order:{number}:charge", provider=BANK, after=insert_order)
async def charge_card(call: Call, number: int) -> str:
    return f"charge of {number} under {call.key}"


@workflow
async def order(ctx: Context, number: int, *, sleeps: bool) -> str:
    await insert_order(ctx, number)
    charge = await charge_card(ctx, number)
    if sleeps:
        await ctx.sleep(timedelta(days=7))
    return charge


class Cell(msgspec.Struct, frozen=True):
    """What one process measures."""

    kind: str
    workflows: int
    record: str
    folder: str
    trace: bool


class Taken(msgspec.Struct, frozen=True):
    """At one moment."""

    record: int
    """Bytes of the record's tables and their indexes, but for pages that are free again."""
    engine: int
    """The same of the engine's file."""
    resident: int
    """Bytes of the process."""
    python: int
    """Bytes that Python has allocated since it began to be traced; 0 if it is not."""


async def measure(cell: Cell) -> tuple[Taken, Taken]:
    """Look after the warm-up, and when so many more have ended, or sleep."""
    if cell.trace:
        tracemalloc.start()
    collect_seldom()
    record = record_from_url(cell.record)
    await record.open("sizes")
    await record.migrate()
    await record.close()
    engine = Path(cell.folder) / "engine"
    app = App("sizes", record=record_from_url(cell.record), workflows=[order], engine=Embedded(engine))
    async with app.worker() as worker:
        await worker.working.wait()
        await _many(app, cell.kind, range(WARM_UP))
        before = await _look(cell, engine)
        await _many(app, cell.kind, range(WARM_UP, WARM_UP + cell.workflows))
        return before, await _look(cell, engine)


async def _many(app: App, kind: str, numbers: range) -> None:
    waiting = iter(numbers)

    async def lane() -> None:
        for number in waiting:
            handle = await app.start(order, number, sleeps=kind == "suspended", id=f"order:{number}")
            if kind == "finished":
                await handle.result()

    await asyncio.gather(*(lane() for _ in range(IN_FLIGHT)))
    while True:  # a sleeper's handle says nothing: its charge does
        async with app.runtime.record.session() as session:
            counts = await session.counts()
        if counts["effect.succeeded"] >= numbers.stop:
            return
        await asyncio.sleep(0.1)


async def _look(cell: Cell, engine: Path) -> Taken:
    gc.collect()
    await asyncio.sleep(2)  # suspensions, ends and collections are made in batches
    size = _in_postgres if "://" in cell.record and not cell.record.startswith("sqlite") else _in_sqlite
    python = tracemalloc.get_traced_memory()[0] if cell.trace else 0
    return Taken(size(cell.record.removeprefix("sqlite:///")), _in_sqlite(str(engine)), _resident(), python)


def _in_sqlite(path: str) -> int:
    with contextlib.closing(sqlite3.connect(path)) as file:
        [pages, free, each] = [
            file.execute(f"PRAGMA {n}").fetchone()[0] for n in ("page_count", "freelist_count", "page_size")
        ]
        return (pages - free) * each


def _in_postgres(dsn: str) -> int:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("VACUUM")
        row = connection.execute(
            "SELECT sum(pg_total_relation_size(oid)) FROM pg_class"
            " WHERE relkind = 'r' AND relnamespace = 'recordfirst'::regnamespace"
        ).fetchone()
        assert row is not None
        return int(row[0])


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@click.command(context_settings={"show_default": True})
@click.option("--workflows", default=20_000, help="So many of each kind.")
@click.option("--only", default=",".join(KINDS))
@click.option("--records", default="sqlite,postgres")
@click.option("--trace", is_flag=True, help="Count what Python allocates, too; slow.")
@click.option("--cell", help="Measure one cell, given as JSON; for the command's own use.")
def main(*, workflows: int, only: str, records: str, trace: bool, cell: str | None) -> None:
    """Say what a finished workflow takes, and one that sleeps: in the record, in the engine's file, in the worker."""
    if cell is not None:
        click.echo(msgspec.json.encode(asyncio.run(measure(msgspec.json.decode(cell, type=Cell)))))
        return
    head = f"{'each':<10}{'record':>10}{'in it KB':>10}{'engine KB':>11}{'resident KB':>13}{'traced B':>10}"
    click.echo(head + f"{'process MB':>20}")
    with postgres.server(None) if "postgres" in records else contextlib.nullcontext() as url:
        for name in records.split(","):
            for kind in only.split(","):
                with contextlib.ExitStack() as stack:
                    folder = stack.enter_context(tempfile.TemporaryDirectory())
                    at = f"sqlite:///{folder}/record.db"
                    if name == "postgres" and url is not None:
                        at = stack.enter_context(postgres.database(url, f"sizes_{kind}"))
                    click.echo(_row(name, Cell(kind, workflows, at, folder, trace)))


def _row(name: str, cell: Cell) -> str:
    command = [sys.executable, "-m", "benchmarks.sizes", "--cell", msgspec.json.encode(cell).decode()]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    before, after = msgspec.json.decode(done.stdout.splitlines()[-1], type=tuple[Taken, Taken])
    each = {
        field: (getattr(after, field) - getattr(before, field)) / cell.workflows for field in Taken.__struct_fields__
    }
    row = f"{cell.kind:<10}{name:>10}{each['record'] / 1024:>10.2f}{each['engine'] / 1024:>11.2f}"
    row += f"{each['resident'] / 1024:>13.2f}{each['python']:>10.0f}"
    return f"{row}{before.resident / 1e6:>12.0f} to {after.resident / 1e6:<4.0f}"


main()
