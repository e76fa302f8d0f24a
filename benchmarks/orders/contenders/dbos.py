"""DBOS Transact, as its documentation has it: a workflow of async steps; and with its co-committing data source."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import AsyncIterator
from typing import Any

import sqlalchemy as sa  # type: ignore[import-not-found]  # of the group "bench"
from dbos import DBOS, AsyncSQLAlchemyDatasource, DBOSConfig, SetWorkflowID

from benchmarks.orders import work
from benchmarks.orders.work import Order, Run, Setting


@contextlib.contextmanager
def _dbos(setting: Setting) -> Any:
    """One DBOS of defaults, its tables in the same database as the orders."""
    logging.getLogger("dbos").setLevel(logging.ERROR)
    config: DBOSConfig = {"name": "shop", "system_database_url": setting.dsn, "log_level": "ERROR"}
    DBOS(config=config)
    try:
        yield
    finally:
        DBOS.destroy()


@contextlib.asynccontextmanager
async def steps(setting: Setting) -> AsyncIterator[Run]:
    """Three async steps; each result is stored by DBOS in a transaction of its own."""
    await work.create_table(setting)
    async with work.pool(setting) as pool, work.payments(setting) as payments:
        with _dbos(setting):

            @DBOS.step()
            async def insert_order(order: Order) -> None:
                async with pool.connection() as connection:
                    await connection.execute(work.INSERT_ONCE, (order.id, order.amount_minor))

            @DBOS.step()
            async def charge_card(order: Order) -> str:
                return await payments.charge(order, f"order:{order.id}:charge")

            @DBOS.step()
            async def mark_paid(order: Order, charge: str) -> None:
                async with pool.connection() as connection:
                    await connection.execute(work.MARK_PAID, (charge, order.id))

            @DBOS.workflow()
            async def create_order(order: Order) -> str:
                await insert_order(order)
                charge = await charge_card(order)
                await mark_paid(order, charge)
                return charge

            DBOS.launch()

            async def run(order: Order) -> None:
                with SetWorkflowID(f"order:{order.id}"):
                    await create_order(order)

            yield run


@contextlib.asynccontextmanager
async def datasource(setting: Setting) -> AsyncIterator[Run]:
    """Both writes commit together with DBOS's checkpoint of them, as recordfirst's do with their receipts."""
    await work.create_table(setting)
    url = setting.dsn.replace("postgresql://", "postgresql+psycopg://", 1)
    async with work.payments(setting) as payments:
        with _dbos(setting):
            source = await AsyncSQLAlchemyDatasource.create(url, engine_kwargs={"pool_size": work.POOL_SIZE})

            # The default is SERIALIZABLE; the other contenders run at Postgres's.
            @source.transaction(isolation_level="READ COMMITTED")
            async def insert_order(order: Order) -> None:
                values = {"id": order.id, "amount": order.amount_minor}
                await source.sql_session().execute(sa.text(_named(work.INSERT_ONCE, "id", "amount")), values)

            @DBOS.step()
            async def charge_card(order: Order) -> str:
                return await payments.charge(order, f"order:{order.id}:charge")

            @source.transaction(isolation_level="READ COMMITTED")
            async def mark_paid(order: Order, charge: str) -> None:
                values = {"id": order.id, "charge": charge}
                await source.sql_session().execute(sa.text(_named(work.MARK_PAID, "charge", "id")), values)

            @DBOS.workflow()
            async def create_order(order: Order) -> str:
                await insert_order(order)
                charge = await charge_card(order)
                await mark_paid(order, charge)
                return charge

            DBOS.launch()

            async def run(order: Order) -> None:
                with SetWorkflowID(f"order:{order.id}"):
                    await create_order(order)

            yield run


def _named(sql: str, *names: str) -> str:
    """The same statement with SQLAlchemy's marks."""
    for name in names:
        sql = sql.replace("%s", f":{name}", 1)
    return sql
