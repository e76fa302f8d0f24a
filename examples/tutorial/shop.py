"""An order that is never charged twice."""

import asyncio
import sys

import bank
import msgspec
from aiosqlite import Connection

from recordfirst import App, Call, Context, Declined, Write, changed_one, effect, workflow, write
from recordfirst.providers.contract import Provider, Verdict
from recordfirst.records.sqlite import SqliteRecord


# [order]
class Order(msgspec.Struct, frozen=True):
    id: str
    amount_minor: int


# [/order]


# [insert]
@write
async def insert_order(w: Write[Connection], order: Order) -> None:
    await w.tx.execute(
        "INSERT INTO orders (id, amount_minor, status) VALUES (?, ?, 'new')",
        (order.id, order.amount_minor),
    )


# [/insert]


# [provider]
class Bank(Provider, frozen=True, kw_only=True):
    name: str = "bank"
    retention_s: int | None = 24 * 3600

    def classify(self, error: Exception) -> Verdict:
        if isinstance(error, bank.Refused):
            return Declined(str(error))
        return super().classify(error)


# [/provider]


# [charge]
@effect(key="order:{order.id}:charge", provider=Bank, after=insert_order)
def charge_card(call: Call, order: Order) -> str:
    return bank.charge(call.key, order.amount_minor)


@charge_card.on_success
async def mark_paid(w: Write[Connection], order: Order, charge: str) -> None:
    paid = await w.tx.execute("UPDATE orders SET status = 'paid', charge = ? WHERE id = ?", (charge, order.id))
    changed_one(paid, f"order {order.id}, to be marked paid")


@charge_card.on_decline
async def mark_declined(w: Write[Connection], order: Order, declined: Declined) -> None:
    await w.tx.execute("UPDATE orders SET status = ? WHERE id = ?", (f"declined: {declined.reason}", order.id))


# [/charge]


# [workflow]
@workflow
async def create_order(ctx: Context, order: Order) -> str:
    await insert_order(ctx, order)
    try:
        await charge_card(ctx, order)
    except Declined:
        return "declined"
    return "paid"


app = App("shop", record=SqliteRecord("shop.db"), workflows=[create_order])
# [/workflow]


# [main]
async def main(id: str, amount_minor: int) -> None:
    async with app.worker():
        handle = await app.start(create_order, Order(id, amount_minor), id=f"order:{id}")
        print(f"order {id}:", await handle.result())


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
# [/main]
