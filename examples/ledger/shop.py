"""Money that is held while an order is fulfilled, in a ledger beside the orders. Run: shop.py welcome ada 5000."""

import asyncio
import os
import sys

import msgspec
from aiosqlite import Connection

from recordfirst import (
    Account,
    AccountFlags,
    App,
    Call,
    Context,
    Declined,
    Ledger,
    Provider,
    SqlLedger,
    Transfer,
    WorkflowFailed,
    Write,
    account_id,
    changed_one,
    effect,
    insert_or_same,
    open_account,
    post,
    reserve,
    transfer,
    void,
    workflow,
    write,
)
from recordfirst.records.sqlite import SqliteRecord

# [chart]
EUR, CUSTOMER, SHOP, BANK = 1, 1, 2, 3  # a ledger, and codes of accounts
TOP_UP, SALE = 1, 2  # codes of transfers
SHOPS = [Account(id=account_id("shop"), ledger=EUR, code=SHOP), Account(id=account_id("bank"), ledger=EUR, code=BANK)]
# [/chart]


class Customer(msgspec.Struct, frozen=True):
    id: str
    name: str
    credit_minor: int


class Order(msgspec.Struct, frozen=True):
    id: str
    customer: str
    amount_minor: int


# [open]
@write(key="customer:{customer.id}:row")
async def stage_customer(w: Write[Connection], customer: Customer) -> None:
    await insert_or_same(w.tx, "customers", {"id": customer.id}, {"name": customer.name})


@open_account(key="customer:{customer.id}:account", after=stage_customer)
def open_customer(customer: Customer) -> Account:
    limited = AccountFlags.DEBITS_MUST_NOT_EXCEED_CREDITS | AccountFlags.HISTORY
    return Account(id=account_id(f"customer:{customer.id}"), ledger=EUR, code=CUSTOMER, flags=limited)


@transfer(key="customer:{customer.id}:top-up", after=stage_customer)
def top_up(customer: Customer) -> Transfer:
    return Transfer(
        debit_account_id=account_id("bank"),
        credit_account_id=account_id(f"customer:{customer.id}"),
        amount=customer.credit_minor,
        ledger=EUR,
        code=TOP_UP,
    )


@workflow
async def welcome(ctx: Context, customer: Customer) -> int:
    await stage_customer(ctx, customer)
    await open_customer(ctx, customer)
    return (await top_up(ctx, customer)).amount


# [/open]


# [hold]
@write(key="order:{order.id}:row")
async def insert_order(w: Write[Connection], order: Order) -> None:
    values = {"customer": order.customer, "amount_minor": order.amount_minor}
    await insert_or_same(w.tx, "orders", {"id": order.id}, {**values, "status": "new"})


@transfer(key="order:{order.id}:release", after=insert_order)
def release(order: Order, held: Transfer) -> Transfer:
    return void(held)


@transfer(key="order:{order.id}:hold", after=insert_order, undo=release)
def hold(order: Order) -> Transfer:
    return reserve(
        debit_account_id=account_id(f"customer:{order.customer}"),
        credit_account_id=account_id("shop"),
        amount=order.amount_minor,
        ledger=EUR,
        code=SALE,
        timeout=7 * 24 * 3600,
    )


@transfer(key="order:{order.id}:pay", after=insert_order)
def pay(order: Order, held: Transfer) -> Transfer:
    return post(held)


# [/hold]


# [rows]
@hold.on_decline
async def mark_declined(w: Write[Connection], order: Order, declined: Declined) -> None:
    await mark(w, order, f"declined: {declined.code}")


@pay.on_success
async def mark_paid(w: Write[Connection], order: Order) -> None:
    await mark(w, order, "paid")


async def mark(w: Write[Connection], order: Order, status: str) -> None:
    cursor = await w.tx.execute("UPDATE orders SET status = ? WHERE id = ?", (status, order.id))
    changed_one(cursor, f"order {order.id}")


# [/rows]


class OutOfStockError(Exception):
    """An outcome of the business: a workflow that says fails= ends in failure on it, and undoes."""


# [workflow]
@effect(key="order:{order.id}:ship", provider=Provider(name="warehouse", retention_s=24 * 3600), after=insert_order)
async def ship(call: Call, order: Order) -> str:
    if os.environ.get("PULL_THE_PLUG"):
        os._exit(137)  # as kill -9 does: while the money is held
    if order.id.startswith("rare"):
        raise Declined("out of stock")
    return f"shipment for {order.id}"


@workflow(fails=OutOfStockError)
async def sell(ctx: Context, order: Order) -> str:
    await insert_order(ctx, order)
    held = await hold(ctx, order)
    try:
        await ship(ctx, order)
    except Declined as declined:
        raise OutOfStockError(order.id) from declined  # what is held is voided: the undo
    await pay(ctx, order, held)
    return "paid"


# [/workflow]


# [app]
record = SqliteRecord("shop.db")
ledger = SqlLedger(record)  # or TigerBeetle("3000"), from recordfirst.ledgers.tigerbeetle
app = App("shop", record=record, workflows=[welcome, sell])
app.provide(ledger, as_=Ledger)
# [/app]


async def main(command: str, id: str, amount: str, customer: str = "") -> None:
    async with app.worker():
        await ledger.create_accounts(SHOPS)
        try:
            if command == "welcome":
                new = Customer(id, id.title(), int(amount))
                print(await (await app.start(welcome, new, id=f"customer:{id}")).result())
            else:
                print(await (await app.start(sell, Order(id, customer, int(amount)), id=f"order:{id}")).result())
        except WorkflowFailed as failed:
            sys.exit(str(failed))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
