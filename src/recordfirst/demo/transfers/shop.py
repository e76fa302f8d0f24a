"""A shop that keeps its money in a ledger: the order's amount is held, the order is fulfilled, the amount is posted.

Every customer has an account, and may not overdraw it. The shop has one account, which every purchase changes.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

from recordfirst import (
    Account,
    AccountFlags,
    App,
    Call,
    Context,
    Declined,
    Ledger,
    Transfer,
    Write,
    account_id,
    changed_one,
    effect,
    inject,
    insert_or_same,
    post,
    reserve,
    transfer,
    void,
    workflow,
    write,
)
from recordfirst.demo.orders import Order
from recordfirst.demo.shop import WAREHOUSE, Shipment, Warehouse, sql
from recordfirst.ledgers.open import ledger_from_url
from recordfirst.records.contract import Record

USD, SALE, FUNDING, CUSTOMER, SHOP, BANK = 1, 1, 2, 1, 2, 3
_HOLD_S = 24 * 3600
"""Longer than any outage of the warehouse that the shop must survive."""


class Chart:
    """Says whose each account is."""

    run = ""
    """Separates runs on a ledger that deletes nothing; set once per process."""

    @property
    def shop(self) -> int:
        return account_id(f"{self.run} shop")

    @property
    def bank(self) -> int:
        """The account that the customers' funds come from."""
        return account_id(f"{self.run} bank")

    def customer(self, customer: str) -> int:
        return account_id(f"{self.run} customer {customer}")

    def funding(self, customer: str) -> int:
        """Id of the transfer that gives a customer their funds."""
        return account_id(f"{self.run} funds of {customer}")

    def accounts(self, customers: list[str]) -> list[Account]:
        """All accounts, ready to be opened."""
        limited = AccountFlags.DEBITS_MUST_NOT_EXCEED_CREDITS
        return [
            Account(id=self.shop, ledger=USD, code=SHOP),
            Account(id=self.bank, ledger=USD, code=BANK),
            *(Account(id=self.customer(name), ledger=USD, code=CUSTOMER, flags=limited) for name in customers),
        ]


CHART = Chart()


@write
async def insert_order(w: Write[Any], order: Order) -> None:
    """Insert the order before any money is held."""
    values = {
        "customer": order.customer,
        "day": order.day.isoformat(),
        "quantity": order.quantity,
        "amount_minor": order.amount_minor,
    }
    if await insert_or_same(w.tx, "orders", {"id": order.id}, {**values, "status": "new"}):
        w.intend(hold, order)


@transfer(key="order:{order.id}:release", after=insert_order)
def release(order: Order, held: Transfer) -> Transfer:  # noqa: ARG001 - the key reads it
    """Give back what is held."""
    return void(held)


@transfer(key="order:{order.id}:hold", after=insert_order, undo=release)
def hold(order: Order) -> Transfer:
    """Hold the order's amount."""
    return reserve(
        debit_account_id=CHART.customer(order.customer),
        credit_account_id=CHART.shop,
        amount=order.amount_minor,
        ledger=USD,
        code=SALE,
        timeout=_HOLD_S,
    )


@hold.on_decline
async def mark_declined(w: Write[Any], order: Order) -> None:
    """Runs in the transaction that stores the receipt of the decline."""
    await _mark(w, order, "declined")


@effect(key="order:{order.id}:fulfil", provider=WAREHOUSE, after=insert_order, timeout_s=10)
async def request_fulfilment(call: Call, order: Order, *, warehouse: Warehouse = inject()) -> Shipment:
    """Have the order sent out."""
    try:
        return await warehouse.request(order.id, order.quantity, call.key)
    except aiohttp.ClientResponseError as error:
        if error.status == 409:  # noqa: PLR2004 - the warehouse's answer if an order is out of stock
            raise Declined("out of stock") from error
        raise


@transfer(key="order:{order.id}:pay", after=insert_order)
def pay(order: Order, held: Transfer) -> Transfer:  # noqa: ARG001 - the key reads it
    """Post what is held."""
    return post(held)


@pay.on_success
async def mark_paid(w: Write[Any], order: Order) -> None:
    """Runs in the transaction that stores the receipt of the post."""
    await _mark(w, order, "paid")


@release.on_success
async def mark_out_of_stock(w: Write[Any], order: Order) -> None:
    """Runs in the transaction that stores the receipt of the void."""
    await _mark(w, order, "out of stock")


async def _mark(w: Write[Any], order: Order, status: str) -> None:
    cursor = await w.tx.execute(
        sql(w.tx, "UPDATE orders SET status = ? WHERE id = ? AND status = 'new'"), (status, order.id)
    )
    changed_one(cursor, f"order {order.id}, to be marked {status}")


@workflow
async def sell(ctx: Context, order: Order) -> str:
    """Hold, fulfil, post; if the order cannot be fulfilled, release the amount."""
    await insert_order(ctx, order)
    try:
        held = await hold(ctx, order)
    except Declined:
        return "declined"
    try:
        await request_fulfilment(ctx, order)
    except Declined:
        await release(ctx, order, held)
        return "out of stock"
    await pay(ctx, order, held)
    return "paid"


def build_app(
    record: Record[Any], ledger_url: str | None, warehouse_url: str, run: str, engine: str | None = None
) -> App:
    """The shop on this record and ledger."""
    CHART.run = run
    app = App("shop", record=record, workflows=[sell], engine=engine)

    @contextlib.asynccontextmanager
    async def ledger() -> AsyncIterator[Ledger]:
        made = ledger_from_url(ledger_url, record)
        try:
            yield made
        finally:
            await made.close()

    @contextlib.asynccontextmanager
    async def warehouse() -> AsyncIterator[Warehouse]:
        async with aiohttp.ClientSession() as session:
            yield Warehouse(warehouse_url, session)

    app.provide_factory(Ledger, ledger)
    app.provide_factory(Warehouse, warehouse)
    return app
