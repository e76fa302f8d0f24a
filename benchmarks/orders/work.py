"""What every contender does: the same order, the same statements, the same HTTP call."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import msgspec
import psycopg
from psycopg_pool import AsyncConnectionPool

TABLE = """
CREATE TABLE orders (id text PRIMARY KEY, amount_minor bigint NOT NULL, status text NOT NULL, charge text)
"""
INSERT = "INSERT INTO orders (id, amount_minor, status) VALUES (%s, %s, 'new')"
INSERT_ONCE = INSERT + " ON CONFLICT (id) DO NOTHING"
MARK_PAID = "UPDATE orders SET status = 'paid', charge = %s WHERE id = %s"

POOL_SIZE = 16
"""Connections for the orders' own transactions, for everybody: recordfirst's default, and resonate-pg's."""


class Order(msgspec.Struct, frozen=True):
    """One order."""

    id: str
    amount_minor: int


class Setting(msgspec.Struct, frozen=True):
    """Where a contender works."""

    dsn: str
    payments_url: str
    resonate_sql: str | None = None


type Run = Callable[[Order], Awaitable[Any]]


class Payments:
    """The payment service's client: one light HTTP call."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url, self._session = f"{url}/charges", session

    async def charge(self, order: Order, key: str) -> str:
        """Charge once per key and return the charge's id."""
        form = {"amount": order.amount_minor, "currency": "usd"}
        async with self._session.post(self._url, data=form, headers={"Idempotency-Key": key}) as reply:
            reply.raise_for_status()
            charge: str = msgspec.json.decode(await reply.read())["id"]
            return charge


@contextlib.asynccontextmanager
async def payments(setting: Setting) -> AsyncIterator[Payments]:
    """The client, with as many connections as there are calls."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        yield Payments(setting.payments_url, session)


@contextlib.asynccontextmanager
async def pool(setting: Setting) -> AsyncIterator[AsyncConnectionPool[Any]]:
    """A pool for a contender's own transactions."""
    async with AsyncConnectionPool(setting.dsn, min_size=1, max_size=POOL_SIZE, open=False) as opened:
        yield opened


async def create_table(setting: Setting) -> None:
    """Make the orders table."""
    async with await psycopg.AsyncConnection.connect(setting.dsn, autocommit=True) as connection:
        await connection.execute(TABLE)
