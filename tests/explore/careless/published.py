"""The order workflow as it is published for plain Resonate: three leaves, insert, charge, mark as paid.

It is careful: the insert may be repeated, and the charge has a key made of the order's id. Nothing of it is
recordfirst's; only the database, the engine and the bank are those of the explorer's world.
"""

from __future__ import annotations

import asyncio
from typing import Any

from resonate.context import Context
from resonate.resonate import Resonate

from recordfirst.engine.embedded.connection import EmbeddedConnection
from recordfirst.explore import FastWorld
from recordfirst.explore.worlds.virtual.boundary import Process
from recordfirst.explore.worlds.virtual.place import Place
from recordfirst.explore.worlds.virtual.seams import ProcessSeams
from recordfirst.explore.worlds.virtual.trial import VirtualTrial
from recordfirst.explore.worlds.virtual.underway import Running
from tests.explore.shop import ORDER, Order


class Shop:
    """The workflow and its leaves."""

    def __init__(self, place: Place, process: Process) -> None:
        self._place, self._process = place, process

    async def insert_order(self, _: Context, order: Order) -> None:
        async with self._place.record.transaction() as tx:
            await tx.connection.execute(
                "INSERT INTO orders VALUES (?, ?, 'new') ON CONFLICT DO NOTHING", (order.id, order.amount_minor)
            )

    async def charge_card(self, _: Context, order: Order) -> str:
        request = {"order": order.id, "amount": order.amount_minor}

        def charge() -> Any:
            return self._place.outside.apply("charge", request, key=f"order:{order.id}:charge")

        return str(await self._process.passes("provider", "call charge_card", charge))

    async def mark_paid(self, _: Context, order: Order) -> None:
        async with self._place.record.transaction() as tx:
            await tx.connection.execute("UPDATE orders SET state = 'paid' WHERE id = ?", (order.id,))

    async def create_order(self, ctx: Context, order: Order) -> str:
        await ctx.run(self.insert_order, order)
        charge = await ctx.run(self.charge_card, order)
        await ctx.run(self.mark_paid, order)
        return charge


async def main(place: Place, process: Process) -> None:
    """Be one process of the shop."""
    await place.record.open("published")
    seams = ProcessSeams(process)
    connection = EmbeddedConnection(str(place.engine.path), clock=seams.now_ms, seams=seams)  # type: ignore[union-attr]
    resonate = Resonate(network=connection, heartbeat=connection.held, clock=seams.now_ms, env={})
    shop = Shop(place, process)
    resonate.register(shop.create_order, name="create_order")
    try:
        handle = resonate.run(f"order-{ORDER.id}", "create_order", ORDER)
        async with asyncio.timeout(3_600):
            await handle.result()
    finally:
        await resonate.stop()
        await place.record.close()


class _PublishedTrial(VirtualTrial):
    def _start(self, process: Process, place: Place, version: Any) -> Running:
        del version
        return Running(main(place, process), process)


class PublishedWorld(FastWorld):
    """Runs the published workflow in place of the case's."""

    def __init__(self, case: Any) -> None:
        super().__init__(case, deaths="abandoned")
        self.trials = _PublishedTrial
