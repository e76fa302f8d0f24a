"""What the tests of the explorer explore: an order that is inserted and charged, and a bank outside."""

from __future__ import annotations

from typing import Any

import msgspec

from recordfirst import Absent, Call, Context, Found, Provider, Write, effect, inject, workflow, write
from recordfirst.demo.shop import sql
from recordfirst.explore import Case
from recordfirst.providers.contract import Probed
from recordfirst.testing import Outside

TABLES = "CREATE TABLE orders (id TEXT PRIMARY KEY, amount INTEGER NOT NULL, state TEXT NOT NULL)"
BANK = Provider(name="bank", retention_s=24 * 3600)


class Order(msgspec.Struct, frozen=True):
    id: str
    amount_minor: int


ORDER = Order("1", 1999)


class Bank:
    """Honours keys for a day, and can be asked what it did."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    def charge(self, call: Call, order: Order) -> str:
        request = {"order": order.id, "amount": order.amount_minor}
        return str(self._outside.apply("charge", request, key=call.key, marker=call.marker))

    def find(self, call: Call) -> Probed:
        found = self._outside.find("charge", call.marker)
        return Found(found.result) if found is not None else Absent()


@write
async def insert_order(w: Write[Any], order: Order) -> None:
    await w.tx.execute(sql(w.tx, "INSERT INTO orders VALUES (?, ?, 'new')"), (order.id, order.amount_minor))


async def find_charge(call: Call, order: Order, *, bank: Bank = inject()) -> Probed:
    return bank.find(call)


@effect(key="order:{order.id}:charge", provider=BANK, after=insert_order, probe=find_charge)
async def charge_card(call: Call, order: Order, *, bank: Bank = inject()) -> str:
    return bank.charge(call, order)


@charge_card.on_success
async def mark_paid(w: Write[Any], order: Order) -> None:
    await w.tx.execute(sql(w.tx, "UPDATE orders SET state = 'paid' WHERE id = ?"), (order.id,))


@workflow
async def create_order(ctx: Context, order: Order) -> str:
    await insert_order(ctx, order)
    return await charge_card(ctx, order)


CASE = Case(
    workflow=create_order,
    args=(ORDER,),
    id="order:1",
    tables=TABLES,
    provide=lambda outside: {Bank: Bank(outside)},
    invariants=("SELECT id FROM orders WHERE state <> 'paid'",),
)
