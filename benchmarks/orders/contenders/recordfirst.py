"""recordfirst: the intent of the charge rides in the insert's transaction, the receipt marks the order paid."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from psycopg import AsyncConnection

from benchmarks.orders import work
from benchmarks.orders.work import Order, Payments, Run, Setting
from recordfirst import App, Call, Context, Provider, Write, changed_one, effect, inject, workflow, write
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
async def open(setting: Setting) -> AsyncIterator[Run]:
    """One worker on the in-memory engine, which starts orders and waits for each to end in the record."""
    await work.create_table(setting)
    record = PostgresRecord(setting.dsn, pool_size=work.POOL_SIZE)
    app = App("shop", record=record, workflows=[create_order])
    await record.open("shop")
    await record.migrate()
    await record.close()

    async def run(order: Order) -> None:
        handle = await app.start(create_order, order, id=f"order:{order.id}")
        await handle.result()

    async with work.payments(setting) as payments:
        app.provide(payments)
        async with app.worker() as worker:
            await worker.working.wait()
            yield run
