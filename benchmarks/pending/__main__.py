"""``python -m benchmarks.pending``: payments that wait for an event, beside few pending effects and beside very many.

How long from an event's arrival until its effect is settled, and what a worker costs while all that is pending is idle.
Stripe's simulator sends signed events over HTTP from a process of its own; web server and worker are in this one.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import click
import msgspec
import psycopg
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Route
from stripe import StripeClient

from benchmarks.orders import postgres
from recordfirst import App, Call, Context, Pending, Write, effect, inject, workflow, write
from recordfirst.cli.common import collect_seldom
from recordfirst.providers.contract import Probed
from recordfirst.providers.stripe import (
    METADATA_KEY,
    Payment,
    Stripe,
    StripeEvents,
    find_payment_intent,
    payment_of,
    stripe_client,
)
from recordfirst.records.postgres import PostgresRecord

SECRET = "whsec_of_a_benchmark"
THINKS_S = 1.0
TOLD_LATE_S = 12.0
"""A session of PostgreSQL that is idle tells what it has done up to ten seconds late."""
asked: dict[int, asyncio.Future[str]] = {}
"""Resolved when a customer is asked, by the order's number."""
TABLE = "CREATE TABLE orders (number integer PRIMARY KEY, paid_minor integer NOT NULL DEFAULT 0)"


class Measured(msgspec.Struct, frozen=True):
    """Beside so many that are pending."""

    pending: int
    settled_ms: list[float]
    """From an event's arrival until its effect was settled, by the record's clock, of each order."""
    transactions_per_s: float
    """Of the database, while nothing happens."""
    server_ms_per_s: float
    """CPU of the server's processes, while nothing happens."""


async def find_charge(call: Call, number: int, *, stripe: StripeClient = inject()) -> Probed:  # noqa: ARG001
    return await find_payment_intent(stripe, marker=call.marker, since_ms=call.since_ms, known=call.references)


@write
async def insert_order(w: Write[Any], number: int) -> None:
    await w.tx.execute("INSERT INTO orders (number) VALUES (%s)", (number,))


@effect(key="order:{number}:charge", provider=Stripe(lag_s=0.0), after=insert_order, probe=find_charge)
async def charge_card(
    call: Call,
    number: int,  # noqa: ARG001 - its key has it
    *,
    stripe: StripeClient = inject(),
) -> Payment | Pending:
    given: Any = {"amount": 5000, "currency": "usd", "confirm": True, "payment_method": "pm_card_threeDSecureRequired"}
    given["metadata"] = {METADATA_KEY: call.marker}
    return payment_of(await stripe.v1.payment_intents.create_async(given, {"idempotency_key": call.key}))


@charge_card.on_pending
async def ask_customer(w: Write[Any], number: int, pending: Pending) -> None:  # noqa: ARG001 - as every step's
    if not asked[number].done():
        asked[number].set_result(pending.references["payment_intent"])


@charge_card.on_success
async def mark_paid(w: Write[Any], number: int, payment: Payment) -> None:
    await w.tx.execute("UPDATE orders SET paid_minor = %s WHERE number = %s", (payment.amount_minor, number))


@workflow
async def order(ctx: Context, number: int) -> str:
    await insert_order(ctx, number)
    return (await charge_card(ctx, number)).id


class Stripes:
    """Stripe's simulator, in a process of its own; it sends events to a web server of ours."""

    def __init__(self, events_to: str) -> None:
        words = ["--search-lag-s", "0", "--events-to", events_to, "--events-secret", SECRET]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "recordfirst.testing.stripe", *words], stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.url: str = json.loads(self._process.stdout.readline())["url"]
        self._session = aiohttp.ClientSession()

    async def complete(self, intent: str) -> None:
        """Be a customer who confirms."""
        body = {"do": "complete", "id": intent}
        async with self._session.post(f"{self.url}/_sim/happening", json=body, raise_for_status=True):
            pass

    async def close(self) -> None:
        await self._session.close()
        self._process.terminate()
        self._process.communicate()


@asynccontextmanager
async def shop(dsn: str) -> AsyncIterator[tuple[App, Stripes]]:
    """An app with its worker and web server, and a Stripe that sends events there."""
    app = App("bench", record=PostgresRecord(dsn), workflows=[order])
    there: list[Stripes] = []
    app.provide_factory(StripeClient, lambda: stripe_client("sk_x", base_url=there[0].url))
    endpoint = app.events(StripeEvents(secrets=[SECRET], livemode=False))
    web = Starlette(routes=[Route("/events", endpoint, methods=["POST"])])
    async with app:
        server = uvicorn.Server(uvicorn.Config(web, port=0, log_config=None, ws="none", lifespan="off"))
        serving = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110 - uvicorn says it no other way
            await asyncio.sleep(0.01)
        there.append(Stripes(f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/events"))
        try:
            async with app.worker():
                yield app, there[0]
        finally:
            await there[0].close()
            server.should_exit = True
            await serving


async def sell(app: App, sim: Stripes, numbers: range, in_flight: int) -> None:
    """Sell orders whose customers confirm a second after they were asked."""
    waiting = iter(numbers)

    async def seller() -> None:
        for number in waiting:
            asked[number] = asyncio.get_running_loop().create_future()
            handle = await app.start(order, number, id=f"order:{number}")
            intent = await asked[number]
            await asyncio.sleep(THINKS_S)
            await sim.complete(intent)
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
    async with shop(dsn) as (app, sim):
        await sell(app, sim, range(in_flight), in_flight)  # code, caches and pools are there after them
        for nth, count in enumerate((0, pending)):
            if count:
                fill(dsn, count)
            first = in_flight + nth * orders
            await sell(app, sim, range(first, first + orders), in_flight)
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
        for each in asyncio.run(measure(url, own, orders, in_flight, pending, idle_s)):
            p50, p99 = statistics.median(each.settled_ms), each.settled_ms[int(len(each.settled_ms) * 0.99) - 1]
            click.echo(
                f"beside {each.pending:,} pending: settled {p50:.0f} ms after its event (p50), {p99:.0f} (p99), "
                f"{each.settled_ms[-1]:.0f} (most); idle: {each.transactions_per_s:.1f} transactions/s, "
                f"{each.server_ms_per_s:.1f} ms of the server's CPU/s"
            )


if __name__ == "__main__":
    main()
