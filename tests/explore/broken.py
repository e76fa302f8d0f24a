"""A workflow that is broken on purpose: the bank never sees the key, so a call that is made again charges again."""

from __future__ import annotations

import msgspec

from recordfirst import Call, Context, Write, effect, inject, workflow
from recordfirst.demo.shop import sql
from recordfirst.explore import Case
from recordfirst.testing import Outside
from tests.explore.shop import BANK, CASE, Order, insert_order


class KeylessBank:
    """Does what it is told, each time."""

    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    def charge(self, call: Call, order: Order) -> str:
        return str(self._outside.apply("charge", {"order": order.id}, marker=call.marker))


@effect(key="order:{order.id}:charge", provider=BANK, after=insert_order)
async def charge_card(call: Call, order: Order, *, bank: KeylessBank = inject()) -> str:
    return bank.charge(call, order)


@charge_card.on_success
async def mark_paid(w: Write, order: Order) -> None:
    await w.tx.execute(sql(w.tx, "UPDATE orders SET state = 'paid' WHERE id = ?"), (order.id,))


@workflow
async def create_order(ctx: Context, order: Order) -> str:
    await insert_order(ctx, order)
    return await charge_card(ctx, order)


def provide(outside: Outside) -> dict[type, object]:
    return {KeylessBank: KeylessBank(outside)}


BROKEN = msgspec.structs.replace(CASE, workflow=create_order, provide=provide)


def case() -> Case:
    return BROKEN
