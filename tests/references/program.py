"""The workflows that stage and project, and die at points; a shelf that outlives them, as archive and as mirror."""

from __future__ import annotations

import asyncio
import contextlib
import json
import multiprocessing
import signal
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from recordfirst import App, Context, Entry, Read, Reference, Write, project, stage, workflow, write
from tests.effects.harness import Bank, Order, Plug, Shop, die, sql

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([__name__, "recordfirst.records.postgres", "recordfirst.records.sqlite"])


class Shelf(Reference):
    """Entries in a file of their own, and points that are passed around each put."""

    def __init__(self, path: Path, plug: Plug | None = None) -> None:
        self.path, self.where, self.plug = path, path.name, plug or Plug()
        with self._open() as db:
            db.execute("CREATE TABLE IF NOT EXISTS entries (id TEXT PRIMARY KEY, document TEXT, version INTEGER)")
            db.execute("CREATE TABLE IF NOT EXISTS puts (id TEXT, document TEXT, version INTEGER, changed INTEGER)")

    def _open(self) -> Any:
        return contextlib.closing(sqlite3.connect(self.path, autocommit=True, timeout=30))

    async def put(self, entry: Entry) -> Entry | None:
        name = f"{type(self).__name__.lower()} "
        await self._pass(f"{name}calling")
        there = self.put_now(entry)
        await self._pass(f"{name}stored")
        return there

    async def _pass(self, point: str) -> None:
        waits = self.plug(point)
        if waits is not None:
            await waits

    def put_now(self, entry: Entry) -> Entry | None:
        row = (entry.id, json.dumps(entry.document), entry.version)
        with self._open() as db:
            changed = db.execute(
                "INSERT INTO entries VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE "
                "SET document = excluded.document, version = excluded.version WHERE excluded.version > version",
                row,
            ).rowcount
            db.execute("INSERT INTO puts VALUES (?, ?, ?, ?)", (*row, changed))
        return None if changed else self.now(entry.id)

    async def find(self, id: str) -> Entry | None:
        return self.now(id)

    def now(self, id: str) -> Entry | None:
        with self._open() as db:
            row = db.execute("SELECT document, version FROM entries WHERE id = ?", (id,)).fetchone()
        return Entry(id=id, document=json.loads(row[0]), version=row[1]) if row is not None else None

    def set(self, id: str, document: Any, version: int = 0) -> None:
        """Somebody changes it behind everybody's back."""
        with self._open() as db:
            db.execute("INSERT OR REPLACE INTO entries VALUES (?, ?, ?)", (id, json.dumps(document), version))

    def empty(self) -> None:
        """It is lost."""
        with self._open() as db:
            db.execute("DELETE FROM entries")

    def changes(self, id: str) -> list[tuple[Any, int]]:
        """What was stored under an id, in order: documents and versions."""
        with self._open() as db:
            rows = db.execute("SELECT document, version FROM puts WHERE id = ? AND changed ORDER BY rowid", (id,))
            return [(json.loads(document), version) for document, version in rows]

    def puts(self, id: str) -> int:
        """How often it was sent anything under an id."""
        with self._open() as db:
            return int(db.execute("SELECT count(*) FROM puts WHERE id = ?", (id,)).fetchone()[0])


class Archive(Shelf):
    """What is staged."""


class Mirror(Shelf):
    """What is projected."""


@stage(key="order:{order.id}:paper", into=Archive, id="paper-{order.id}")
def stage_paper(order: Order) -> dict[str, Any]:
    return {"order": order.id, "amount": order.amount_minor}


@write(key="order:{order.id}:row", after=stage_paper)
async def insert_order(w: Write[Any], order: Order) -> None:
    await w.tx.execute(
        sql(w.tx, "INSERT INTO orders (id, amount, state) VALUES (?, ?, 'new')"), (order.id, order.amount_minor)
    )


@write(key="order:{order.id}:{state}")
async def move_order(w: Write[Any], order: Order, state: str) -> None:
    await w.tx.execute(sql(w.tx, "UPDATE orders SET state = ?, marks = marks + 1 WHERE id = ?"), (state, order.id))


@write(key="order:{order.id}:delete")
async def delete_order(w: Write[Any], order: Order) -> None:
    await w.tx.execute(sql(w.tx, "DELETE FROM orders WHERE id = ?"), (order.id,))


@project(key="order:{id}:shown", into=Mirror, id="{id}")
async def show_order(r: Read[Any], id: str) -> dict[str, Any] | None:
    found = await (await r.tx.execute(sql(r.tx, "SELECT state, marks FROM orders WHERE id = ?"), (id,))).fetchone()
    return None if found is None else {"state": found[0], "marks": found[1]}


@show_order.every
async def every_order(r: Read[Any], after: str | None) -> list[str]:
    query = "SELECT id FROM orders WHERE id > ? ORDER BY id LIMIT 3"
    return [row[0] for row in await (await r.tx.execute(sql(r.tx, query), (after or "",))).fetchall()]


@workflow
async def place(ctx: Context, order: Order) -> dict[str, Any]:
    paper = await stage_paper(ctx, order)
    await insert_order(ctx, order)
    await show_order(ctx, order.id)
    return paper


@workflow
async def move(ctx: Context, order: Order, state: str) -> None:
    await move_order(ctx, order, state)
    await show_order(ctx, order.id)


@workflow
async def delete(ctx: Context, order: Order) -> None:
    await delete_order(ctx, order)
    await show_order(ctx, order.id)


@workflow
async def hasty(ctx: Context, order: Order) -> None:
    """Awaits nothing before the next begins."""
    await asyncio.gather(stage_paper(ctx, order), insert_order(ctx, order), show_order(ctx, order.id))


@workflow
async def unstaged(ctx: Context, order: Order) -> None:
    await insert_order(ctx, order)


WORKFLOWS = (place, move, delete, hasty, unstaged)


class Desk:
    """Makes apps of a shop with its archive and mirror, in files that outlive them."""

    def __init__(self, shop: Shop, folder: Path) -> None:
        self.shop, self.folder = shop, folder
        self.archive, self.mirror = Archive(folder / "archive"), Mirror(folder / "mirror")

    @contextlib.asynccontextmanager
    async def app(self, *, plug: Plug | None = None, **options: Any) -> AsyncIterator[App]:
        plug = plug or Plug()
        for shelf in (self.archive, self.mirror):
            shelf.plug = plug
        given: dict[str, Any] = {"provide": {Archive: self.archive, Mirror: self.mirror}, "random": lambda: 0.0}
        async with self.shop.app(*WORKFLOWS, plug=plug, **(given | options)) as app:
            yield app

    @contextlib.asynccontextmanager
    async def working(self, **options: Any) -> AsyncIterator[App]:
        async with self.app(**options) as app, app.worker():
            yield app


async def work(desk: Desk, name: str, args: tuple[Any, ...], id: str, at: dict[str, Callable[[], object]]) -> Any:
    """Start a workflow, and work on what is open until it has ended."""
    wanted = next(workflow for workflow in WORKFLOWS if workflow.name == name)
    async with desk.working(plug=Plug(at)) as app:
        return await (await app.start(wanted, *args, id=id)).result()


def run_until(url: str, folder: Path, name: str, args: tuple[Any, ...], id: str, point: str) -> None:
    """What a process does that is to die at a point."""
    desk = Desk(Shop(url, Bank(folder / "bank")), folder)
    asyncio.run(work(desk, name, args, id, {point: die}))


async def dies_at(desk: Desk, name: str, args: tuple[Any, ...], id: str, point: str) -> None:
    """Let a process work until it kills itself at this point."""
    dying = PROCESSES.Process(target=run_until, args=(desk.shop.url, desk.folder, name, args, id, point))
    dying.start()
    await asyncio.to_thread(dying.join)
    assert dying.exitcode == -signal.SIGKILL, f"it never came to {point!r}"
    dying.close()
