"""``python -m benchmarks.pending``: payments that wait for an event, beside few pending effects and beside very many.

How long from an event's arrival until its effect is settled, and what a worker costs while all that is pending is idle.
Stripe's simulator and the web server are processes of their own, worker and customers are this one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import statistics
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import click
import msgspec
import psycopg

from benchmarks.orders import postgres
from benchmarks.pending.shop import SECRET, TABLE, asked, order, shop
from recordfirst import App
from recordfirst.cli.common import collect_seldom, loop_factory
from recordfirst.records.postgres import PostgresRecord

THINKS_S = 1.0
TOLD_LATE_S = 12.0
"""A session of PostgreSQL that is idle tells what it has done up to ten seconds late."""


class Measured(msgspec.Struct, frozen=True):
    """Beside so many that are pending."""

    pending: int
    settled_ms: list[float]
    """From an event's arrival until its effect was settled, by the record's clock, of each order."""
    transactions_per_s: float
    """Of the database, while nothing happens."""
    server_ms_per_s: float
    """CPU of the server's processes, while nothing happens."""


@contextlib.contextmanager
def process(module: str, *words: str) -> Iterator[str]:
    """A process of its own, for this block; its address, which its first line says."""
    running = subprocess.Popen([sys.executable, "-m", module, *words], stdout=subprocess.PIPE, text=True)
    try:
        assert running.stdout is not None
        yield json.loads(running.stdout.readline())["url"]
    finally:
        running.terminate()
        running.communicate()


class Customers:
    """Confirm what they are asked for, by telling Stripe's simulator."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url, self._session = url, session

    async def complete(self, intent: str) -> None:
        """Be a customer who confirms."""
        body = {"do": "complete", "id": intent}
        async with self._session.post(f"{self._url}/_sim/happening", json=body, raise_for_status=True):
            pass


@asynccontextmanager
async def selling(dsn: str) -> AsyncIterator[tuple[App, Customers]]:
    """An app with its worker here, its web server, and a Stripe that sends events there."""
    with (
        process("benchmarks.pending.web", dsn) as web,
        process(
            *("recordfirst.testing.stripe", "--search-lag-s", "0", "--events-to", web, "--events-secret", SECRET)
        ) as stripe,
    ):
        async with aiohttp.ClientSession() as session, shop(dsn, stripe) as app, app.worker():
            yield app, Customers(stripe, session)


async def sell(app: App, customers: Customers, numbers: range, in_flight: int) -> None:
    """Sell orders whose customers confirm a second after they were asked."""
    waiting = iter(numbers)

    async def seller() -> None:
        for number in waiting:
            asked[number] = asyncio.get_running_loop().create_future()
            handle = await app.start(order, number, id=f"order:{number}")
            intent = await asked[number]
            await asyncio.sleep(THINKS_S)
            await customers.complete(intent)
            await handle.result()

    await asyncio.gather(*(seller() for _ in range(in_flight)))


def fill(dsn: str, count: int) -> None:
    """Have so many receipts that are pending, to be looked at in an hour: copies of one that was."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        found = connection.execute(
            "SELECT column_name FROM information_schema.columns"
            " WHERE table_schema = 'recordfirst' AND table_name = 'receipt'"
        )
        other = {
            "key": "'old:' || n || ':charge'",
            "workflow": "'old:' || n",
            "state": "'pending'",
            "settled_at": "NULL",
            "result": "NULL",
            "next_at": "clock_timestamp() + interval '1 hour'",
        }
        columns = [name for (name,) in found.fetchall()]
        values = ", ".join(other.get(name, name) for name in columns)
        connection.execute(
            f"INSERT INTO recordfirst.receipt ({', '.join(columns)}) SELECT {values} FROM recordfirst.receipt, "
            f"generate_series(1, {count}) AS n WHERE key = 'order:0:charge'".encode()
        )
        connection.execute("VACUUM ANALYZE recordfirst.receipt")


def settled_ms(dsn: str, first: int) -> list[float]:
    """Of each order from this one on: from the arrival of the event that says so until its effect was settled."""
    with psycopg.connect(dsn) as connection:
        rows = connection.execute(
            "SELECT extract(epoch FROM receipt.settled_at - event.received_at) * 1000 FROM recordfirst.receipt"
            " JOIN recordfirst.event ON position('\"bench/' || receipt.key || '\"' IN event.names::text) > 0"
            " WHERE event.type = 'payment_intent.succeeded' AND receipt.kind = 'effect' AND receipt.state = 'succeeded'"
            " AND split_part(receipt.key, ':', 2)::int >= %s",
            (first,),
        ).fetchall()
    return sorted(float(took) for (took,) in rows)


async def idle(url: str, dsn: str, seconds: float) -> tuple[float, float]:
    """Transactions and the server's CPU, each in a second in which nothing happens."""
    await asyncio.sleep(TOLD_LATE_S)
    before, cpu = transactions(dsn), cpu_s(url)
    await asyncio.sleep(seconds)
    return (transactions(dsn) - before) / seconds, (cpu_s(url) - cpu) / seconds * 1000


def transactions(dsn: str) -> int:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SELECT pg_stat_clear_snapshot()")
        row = connection.execute(
            "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"
        ).fetchone()
    assert row is not None
    return int(row[0])


def cpu_s(url: str) -> float:
    """CPU seconds of the server's processes that are there; Linux alone."""
    with psycopg.connect(url, autocommit=True) as connection:
        pids = [pid for (pid,) in connection.execute("SELECT pid FROM pg_stat_activity").fetchall()]
    ticks = 0
    for pid in pids:
        stat = Path(f"/proc/{pid}/stat")
        if stat.exists():
            fields = stat.read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


async def measure(url: str, dsn: str, orders: int, in_flight: int, pending: int, idle_s: float) -> list[Measured]:
    """Beside none that is pending, then beside very many."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(TABLE)
    record = PostgresRecord(dsn)
    await record.open("bench")
    await record.migrate()
    await record.close()
    done = []
    async with selling(dsn) as (app, customers):
        await sell(app, customers, range(in_flight), in_flight)  # code, caches and pools are there after them
        for nth, count in enumerate((0, pending)):
            if count:
                fill(dsn, count)
            first = in_flight + nth * orders
            await sell(app, customers, range(first, first + orders), in_flight)
            took = settled_ms(dsn, first)
            assert len(took) == orders, f"{len(took)} of {orders} orders were settled by their event"
            done.append(Measured(count, took, *await idle(url, dsn, idle_s)))
    return done


@click.command()
@click.option("--dsn", help="A server; default: one from the wheel.")
@click.option("--orders", default=1_000, show_default=True)
@click.option("--in-flight", default=64, show_default=True)
@click.option("--pending", default=200_000, show_default=True)
@click.option("--idle-s", default=20.0, show_default=True)
def main(dsn: str | None, orders: int, in_flight: int, pending: int, idle_s: float) -> None:
    """Sell orders that are settled by events, and see what idle pending effects cost."""
    collect_seldom()
    with postgres.server(dsn) as url, postgres.database(url, "rf_pending") as own:
        click.echo(f"{postgres.version(url)}; {orders:,} orders, {in_flight} in flight")
        for each in asyncio.run(measure(url, own, orders, in_flight, pending, idle_s), loop_factory=loop_factory()):
            p50, p99 = statistics.median(each.settled_ms), each.settled_ms[int(len(each.settled_ms) * 0.99) - 1]
            click.echo(
                f"beside {each.pending:,} pending: settled {p50:.0f} ms after its event (p50), {p99:.0f} (p99), "
                f"{each.settled_ms[-1]:.0f} (most); idle: {each.transactions_per_s:.1f} transactions/s, "
                f"{each.server_ms_per_s:.1f} ms of the server's CPU/s"
            )


if __name__ == "__main__":
    main()
