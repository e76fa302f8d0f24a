"""A worker process for tests that kill it: works until SIGTERM, or until it is killed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import aiosqlite
from psycopg import AsyncConnection

from recordfirst import App, Call, Context, Embedded, Provider, Write, effect, inject, workflow, write
from recordfirst.records.open import record_from_url

DONE = "CREATE TABLE IF NOT EXISTS done (what text NOT NULL, pid int NOT NULL)"
OUTSIDE = [
    "CREATE TABLE IF NOT EXISTS {}calls (key text NOT NULL, pid int NOT NULL)",
    "CREATE TABLE IF NOT EXISTS {}signs (name text PRIMARY KEY)",
]
"""``calls`` is the outside world: it is written to at once, whatever becomes of the record's transaction."""
TABLES = [DONE, *(table.format("") for table in OUTSIDE)]


class World:
    """What is outside."""

    def __init__(self, connection: Any) -> None:
        self._connection, self._one = connection, asyncio.Lock()

    async def ask(self, query: str, *values: Any) -> list[Any]:
        """Do one thing there."""
        async with self._one:
            cursor = await self._connection.execute(spelt(self._connection, query), values)
            return list(await cursor.fetchall()) if cursor.description else []

    async def sign(self, name: str) -> None:
        """Tell the test."""
        await self.ask("INSERT INTO signs (name) VALUES (%s) ON CONFLICT DO NOTHING", name)

    async def see(self, name: str) -> None:
        """Wait for the test's word."""
        while not await self.ask("SELECT 1 FROM signs WHERE name = %s", name):
            await asyncio.sleep(0.02)


def spelt(connection: Any, query: str) -> Any:
    """The query as the connection's product wants it."""
    return spelt_for_sqlite(query) if isinstance(connection, aiosqlite.Connection) else query.encode()


def spelt_for_sqlite(query: str) -> str:
    return query.replace("recordfirst.", "recordfirst_").replace("%s", "?")


def outside_of(dsn: str) -> str:
    """The file that is the outside world of a record in SQLite: with it, the record is alone in its own."""
    return dsn.removeprefix("sqlite:///") + "-outside"


@contextlib.asynccontextmanager
async def world_of(dsn: str) -> AsyncIterator[World]:
    """The outside world of a record."""
    if dsn.startswith("sqlite"):
        async with aiosqlite.connect(outside_of(dsn), isolation_level=None) as file:
            yield World(file)
    else:
        async with await AsyncConnection.connect(dsn, autocommit=True) as connection:
            yield World(connection)


KEYED = Provider(name="bank", retention_s=86_400)
UNKEYED = Provider(name="post", arrives_within_s=0)


@write(key="{what}")
async def note(w: Write[Any], what: str) -> str:
    await w.tx.execute(spelt(w.tx, "INSERT INTO done (what, pid) VALUES (%s, %s)"), (what, os.getpid()))
    return what


@effect(key="{who}/charge", provider=KEYED, after=None)
async def charge(call: Call, who: str, *, world: World = inject()) -> str:
    await world.ask("INSERT INTO calls (key, pid) VALUES (%s, %s)", call.key, os.getpid())
    return who


@effect(key="{who}/letter", provider=UNKEYED, after=None, timeout_s=2)
async def letter(call: Call, who: str, *, world: World = inject()) -> str:
    """Nobody can tell whether it arrived: an operator says so, while the workflow waits on a promise."""
    await world.ask("INSERT INTO calls (key, pid) VALUES (%s, %s)", call.key, os.getpid())
    raise TimeoutError


@workflow
async def child(ctx: Context, who: str) -> str:
    await ctx.sleep(timedelta(milliseconds=100))
    return await note(ctx, f"{who}/child")


@workflow
async def journey(ctx: Context, who: str, *, waits: bool) -> list[str]:
    """A write, a call, a timer, a child, a promise if it ``waits``, and a write."""
    done = [await note(ctx, f"{who}/first"), await charge(ctx, who)]
    await ctx.sleep(timedelta(milliseconds=200))
    done.append(await ctx.rpc(child, who))
    if waits:
        done.append(await letter(ctx, who))
    return [*done, await note(ctx, f"{who}/last")]


@effect(key="{who}/long", provider=KEYED, after=None)
async def long_call(call: Call, who: str, *, world: World = inject()) -> None:
    await world.ask("INSERT INTO calls (key, pid) VALUES (%s, %s)", call.key, os.getpid())
    await world.sign(f"{who} calls")
    await world.see(f"{who} goes on")


@workflow
async def long(ctx: Context, who: str) -> str:
    """A call that takes as long as the test wants, and a step that must not begin in a worker that stops."""
    await long_call(ctx, who)
    return await note(ctx, who)


WORKFLOWS: list[Any] = [journey, child, long]


def engine_given(text: str) -> str | Embedded:
    """A URL, or the path of an embedded engine's file."""
    return text if "://" in text else Embedded(text)


async def main(name: str, dsn: str, engine: str) -> None:
    """Work."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    async with world_of(dsn) as world:
        app = App(name, record=record_from_url(dsn), workflows=WORKFLOWS, engine=engine_given(engine))
        app.provide(world)
        async with app.worker() as worker:
            await worker.working.wait()
            sys.stdout.write("working\n")
            sys.stdout.flush()
            await stopping.wait()


if __name__ == "__main__":
    for logger in ("resonate", "recordfirst"):
        logging.getLogger(logger).setLevel(logging.CRITICAL)  # what goes wrong is meant to
    asyncio.run(main(*json.loads(sys.argv[1])))
