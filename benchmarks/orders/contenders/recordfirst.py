"""recordfirst: the intent of the charge rides in the insert's transaction, the receipt marks the order paid."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import msgspec
import psycopg
from psycopg import AsyncConnection

from benchmarks.orders import work
from benchmarks.orders.work import Order, Payments, Run, Setting
from recordfirst import App, Call, Context, Embedded, Provider, Write, changed_one, effect, inject, workflow, write
from recordfirst.records.postgres import PostgresRecord

SERVICE = Provider(name="payments", retention_s=24 * 3600)


@write
async def insert_order(w: Write[AsyncConnection], order: Order) -> None:
    await w.tx.execute(work.INSERT, (order.id, order.amount_minor))
    w.intend(charge_card, order)


@effect(key="order:{order.id}:charge", provider=SERVICE, after=insert_order)
async def charge_card(call: Call, order: Order, *, payments: Payments = inject()) -> str:
    return await payments.charge(order, call.key)


@charge_card.on_success
async def mark_paid(w: Write[AsyncConnection], order: Order, charge: str) -> None:
    paid = await w.tx.execute(work.MARK_PAID, (charge, order.id))
    changed_one(paid, f"order {order.id}, to be marked paid")


@workflow
async def create_order(ctx: Context, order: Order) -> str:
    await insert_order(ctx, order)
    return await charge_card(ctx, order)


@contextlib.asynccontextmanager
async def _with(
    setting: Setting, engine: str | Embedded, *, joined: bool = True, workers: int = 1, record_of=PostgresRecord
) -> AsyncIterator[Run]:
    """One worker here, which starts orders and waits for each to end in the record, and others beside it."""
    await work.create_table(setting)
    record = PostgresRecord(setting.dsn, pool_size=work.POOL_SIZE)
    await record.open("shop")
    await record.migrate()
    await record.close()
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(workers - 1):
            await stack.enter_async_context(_another(setting, joined=joined))
        app = await stack.enter_async_context(_working(setting, engine, joined=joined, record_of=record_of))

        async def run(order: Order) -> None:
            handle = await app.start(create_order, order, id=f"order:{order.id}")
            await handle.result()

        yield run


@contextlib.asynccontextmanager
async def _working(
    setting: Setting, engine: str | Embedded, *, joined: bool, record_of=PostgresRecord
) -> AsyncIterator[App]:
    record = record_of(setting.dsn, pool_size=work.POOL_SIZE)
    app = App("shop", record=record, workflows=[create_order], engine=engine)
    async with work.payments(setting) as payments:
        app.provide(payments)
        async with app:
            if not joined:
                app.runtime.joined = None
            async with app.worker() as worker:
                await worker.working.wait()
                yield app


@contextlib.asynccontextmanager
async def _another(setting: Setting, *, joined: bool) -> AsyncIterator[None]:
    """A worker in a process of its own; it ends when we let go of its standard input."""
    command = [sys.executable, "-m", "benchmarks.orders.contenders.recordfirst"]
    process = await asyncio.create_subprocess_exec(
        *command, "joined" if joined else "relayed", msgspec.json.encode(setting), stdin=PIPE, stdout=PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None
    await process.stdout.readline()
    try:
        yield
    finally:
        process.stdin.close()
        await process.wait()


async def _work_until_told(setting: Setting, *, joined: bool) -> None:
    async with _working(setting, setting.dsn, joined=joined):
        print("working", flush=True)
        await asyncio.to_thread(sys.stdin.read)


def _apply(setting: Setting) -> None:
    assert setting.resonate_sql is not None
    with psycopg.connect(setting.dsn, autocommit=True) as connection:
        connection.execute(Path(setting.resonate_sql).read_bytes())


@contextlib.asynccontextmanager
async def open(setting: Setting) -> AsyncIterator[Run]:
    """One worker on the engine in its own process, whose file nobody finds in the next run."""
    with tempfile.TemporaryDirectory() as folder:
        async with _with(setting, Embedded(f"{folder}/engine")) as run:
            yield run


@contextlib.asynccontextmanager
async def unlocked(setting: Setting) -> AsyncIterator[Run]:
    """As if nobody could cancel: no step locks its workflow's row, so that its price can be told."""
    with tempfile.TemporaryDirectory() as folder:
        async with _with(setting, Embedded(f"{folder}/engine"), record_of=_Unlocked) as run:
            yield run


class _Unlocked(PostgresRecord):
    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        texts = dict(self._statements.items())
        self._statements = self._statements.changed(lambda _, text: text.replace(" FOR KEY SHARE", ""))
        assert sum(text != texts[name] for name, text in self._statements.items()) == 3


@contextlib.asynccontextmanager
async def in_postgres(setting: Setting, *, joined: bool = True, workers: int = 1) -> AsyncIterator[Run]:
    """On resonate-pg in the record's database."""
    await asyncio.to_thread(_apply, setting)
    async with _with(setting, setting.dsn, joined=joined, workers=workers) as run:
        yield run


in_postgres_two = partial(in_postgres, workers=2)
"""With a second worker in another process."""
in_postgres_relayed = partial(in_postgres, joined=False)
"""As if the engine were elsewhere: no transaction of the record's has a part in it."""
in_postgres_relayed_two = partial(in_postgres, joined=False, workers=2)


if __name__ == "__main__":
    asyncio.run(_work_until_told(msgspec.json.decode(sys.argv[2], type=Setting), joined=sys.argv[1] == "joined"))
