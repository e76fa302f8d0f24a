"""psycopg alone: what the work itself costs. Nothing brings an order to its end after a crash."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from benchmarks.orders import work
from benchmarks.orders.work import Order, Run, Setting


@contextlib.asynccontextmanager
async def open(setting: Setting) -> AsyncIterator[Run]:
    """Two transactions and the call between them."""
    await work.create_table(setting)
    async with work.pool(setting) as pool, work.payments(setting) as payments:

        async def run(order: Order) -> None:
            async with pool.connection() as connection:
                await connection.execute(work.INSERT, (order.id, order.amount_minor))
            charge = await payments.charge(order, f"order:{order.id}:charge")
            async with pool.connection() as connection:
                await connection.execute(work.MARK_PAID, (charge, order.id))

        yield run
