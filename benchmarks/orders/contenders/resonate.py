"""Resonate by hand, as its published skill for databases has it: three leaves, each with a transaction of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psycopg
from resonate.connections import LocalConnection
from resonate.context import Context
from resonate.resonate import Resonate

from benchmarks.orders import work
from benchmarks.orders.work import Order, Payments, Run, Setting


class Shop:
    """The workflow and its leaves."""

    def __init__(self, pool: Any, payments: Payments) -> None:
        self._pool, self._payments = pool, payments

    async def insert_order(self, _: Context, order: Order) -> None:
        async with self._pool.connection() as connection:
            await connection.execute(work.INSERT_ONCE, (order.id, order.amount_minor))

    async def charge_card(self, _: Context, order: Order) -> str:
        return await self._payments.charge(order, f"order:{order.id}:charge")

    async def mark_paid(self, _: Context, order: Order, charge: str) -> None:
        async with self._pool.connection() as connection:
            await connection.execute(work.MARK_PAID, (charge, order.id))

    async def create_order(self, ctx: Context, order: Order) -> str:
        await ctx.run(self.insert_order, order)
        charge = await ctx.run(self.charge_card, order)
        await ctx.run(self.mark_paid, order, charge)
        return charge


@contextlib.asynccontextmanager
async def _with(setting: Setting, connection: Any) -> AsyncIterator[Run]:
    await work.create_table(setting)
    async with work.pool(setting) as pool, work.payments(setting) as payments:
        shop = Shop(pool, payments)
        resonate = Resonate(network=connection, env={})
        resonate.register(shop.create_order, name="create_order")

        async def run(order: Order) -> None:
            await resonate.run(f"order-{order.id}", "create_order", order).result()

        try:
            yield run
        finally:
            await resonate.stop()


@contextlib.asynccontextmanager
async def in_memory(setting: Setting) -> AsyncIterator[Run]:
    """With the SDK's in-memory connection: nothing survives the process."""
    async with _with(setting, LocalConnection()) as run:
        yield run


@contextlib.asynccontextmanager
async def in_postgres(setting: Setting) -> AsyncIterator[Run]:
    """With resonate-pg, in the same database."""
    from resonate_pg import PostgresConnection  # type: ignore[import-not-found]  # noqa: PLC0415 - of the group "bench"

    assert setting.resonate_sql is not None
    schema = await asyncio.to_thread(Path(setting.resonate_sql).read_bytes)
    async with await psycopg.AsyncConnection.connect(setting.dsn, autocommit=True) as connection:
        await connection.execute(schema)
    async with _with(setting, PostgresConnection(setting.dsn)) as run:
        yield run
