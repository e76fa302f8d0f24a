"""A worker process is killed between any two of its commits; another one, standing by, takes over at once."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from pathlib import Path

from recordfirst.conformance.record import run
from tests.starts.program import IN_THE_MIDDLE, MIDDLE, POINTS, order

ROOT = Path(__file__).parents[2]
SOON_S = 1.0


class Worker:
    """A process of program.py."""

    def __init__(self, process):
        self.process = process

    async def hear(self, what):
        """Wait for a line; return the time at which it was said."""
        while line := (await self.process.stdout.readline()).decode():
            at, _, said = line.strip().partition(" ")
            if said == what:
                return float(at)
        raise AssertionError(f"the process ended without saying {what!r}")

    async def hear_all(self, what):
        """Wait for lines, in whatever order they come."""
        missing = set(what)
        while missing and (line := (await self.process.stdout.readline()).decode()):
            missing.discard(line.strip().partition(" ")[2])
        assert missing == set()

    def tell(self, *lines):
        self.process.stdin.write("".join(f"{line}\n" for line in lines).encode())


@contextlib.asynccontextmanager
async def processes(url):
    """Starts worker processes; all are gone at the end."""
    started = []

    async def start():
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.starts.program", url),
            cwd=ROOT,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        started.append(process)
        return Worker(process)

    try:
        yield start
    finally:
        for process in started:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def test_killed_between_any_two_commits(shop):
    """P7, P2: whatever was accepted ends, with its rows once; the standby works within a second of each death."""

    async def go():
        async with shop.app(order) as app, processes(shop.url) as start:
            victim = await start()
            await victim.hear("working")
            standby = await start()
            for point in POINTS:
                await standby.hear("standing by")
                victim.tell(f"die {point}", f"start order: {point}")
                died_at = await victim.hear("dies")
                assert await victim.process.wait() == -signal.SIGKILL
                took_over_at = await standby.hear("working")
                assert took_over_at - died_at < SOON_S, point
                victim, standby = standby, await start()
                handle = await app.handle(point)
                assert await handle.result() == ["first", "second"], point
                assert (await handle.status()).state == "succeeded", point
            rows = sorted((f"{point}: {step}",) for point in POINTS for step in ("first", "second"))
            assert sorted(await shop.rows(app, "SELECT who FROM visits")) == rows

    run(go())


def test_engine_lost_in_the_middle(shop):
    """P6, P7: suspended, parked, with siblings side by side, waiting for a part, started by one that has ended.

    An empty engine goes on from the record with each.
    """

    async def go():
        names = [*MIDDLE, "child of waiting", "after handing on"]
        async with shop.app(order, *MIDDLE.values()) as app, processes(shop.url) as start:
            victim = await start()
            await victim.hear("working")
            standby = await start()
            victim.tell(f"die {IN_THE_MIDDLE}", *(f"start {name}: {name}" for name in MIDDLE))
            await victim.hear_all(f"reached {name}" for name in ("sleeping", "gathering", *names[-2:]))
            while not (await parked(app) and ("gathering: first",) in await shop.rows(app, "SELECT who FROM visits")):
                await asyncio.sleep(0.01)
            await standby.hear("standing by")
            victim.process.kill()
            await standby.hear("working")
            await app.resolve("parking: call", outcome="succeeded", result="called")
            handles = {name: await app.handle(name) for name in [*MIDDLE, "after handing on"]}
            results = {name: await handle.result() for name, handle in handles.items()}
            assert results == {
                "sleeping": ["first", "second"],
                "parking": ["first", "called", "second"],
                "gathering": ["first", "third", "second"],
                "waiting": ["first", "first", "second", "second"],
                "handing on": ["first", "second"],
                "after handing on": ["first", "second"],
            }
            rows = [f"{name}: {step}" for name in names for step in ("first", "second")]
            rows.append("gathering: third")
            assert sorted(await shop.rows(app, "SELECT who FROM visits")) == sorted((row,) for row in rows)

    run(go())


async def parked(app):
    async with app.runtime.record.session() as session:
        [receipt] = await session.receipts_by_key("parking: call") or [None]
    return receipt is not None and receipt.state == "unknown" and receipt.parked_on is not None
