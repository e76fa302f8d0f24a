"""Workflows on recordfirst that go around it, each in a way that looks harmless."""

from __future__ import annotations

import time
from typing import Any

from recordfirst import Call, Context, Provider, Write, effect, inject, workflow, write
from recordfirst.demo.shop import sql
from recordfirst.explore import Case
from recordfirst.testing import Outside
from tests.explore.shop import BANK, ORDER, TABLES, Bank, Order


@write
async def insert_order(w: Write[Any], order: Order) -> None:
    await w.tx.execute(sql(w.tx, "INSERT INTO orders VALUES (?, ?, 'new')"), (order.id, order.amount_minor))


def _key_now(order: Order) -> str:
    return f"{order.id}-{time.time_ns()}"


@effect(key="order:{order.id}:charge-now", provider=BANK, after=insert_order)
async def charge_with_a_key_of_its_own(call: Call, order: Order, *, outside: Outside = inject()) -> str:
    """Sends a key made of the clock instead of ``call.key``."""
    request = {"order": order.id, "amount": order.amount_minor}
    outside.apply("charge", request, key=_key_now(order), marker=call.marker)
    return "charged"


@workflow
async def clock_key(ctx: Context, order: Order) -> str:
    await insert_order(ctx, order)
    return await charge_with_a_key_of_its_own(ctx, order)


@effect(key="order:{order.id}:charge-dated", provider=BANK, after=insert_order)
async def charge_with_a_date(call: Call, order: Order, *, outside: Outside = inject()) -> str:
    """Sends the right key, with a request that is another one each time."""
    request = {"order": order.id, "at": time.time_ns()}
    outside.apply("charge", request, key=call.key, marker=call.marker)
    return "charged"


@workflow
async def dated_request(ctx: Context, order: Order) -> str:
    await insert_order(ctx, order)
    return await charge_with_a_date(ctx, order)


@effect(key="order:{order.id}:charge-first", provider=BANK, after=None)
async def charge_before_all(call: Call, order: Order, *, bank: Bank = inject()) -> str:
    return bank.charge(call, order)


@workflow
async def effect_first(ctx: Context, order: Order) -> str:
    """Charges, and then stores the order: nobody knows of it in between."""
    charge = await charge_before_all(ctx, order)
    await insert_order(ctx, order)
    return charge


@effect(key="order:{order.id}:mail", provider=Provider(name="post"), after=insert_order, in_doubt="repeat")
async def mail_again(call: Call, order: Order, *, outside: Outside = inject()) -> str:
    """Without a key, and repeated when in doubt."""
    return str(outside.apply("mail", order.id, marker=call.marker))


@workflow
async def repeats(ctx: Context, order: Order) -> str:
    await insert_order(ctx, order)
    return await mail_again(ctx, order)


@effect(key="order:{order.id}:charge-unmarked", provider=BANK, after=insert_order)
async def charge_unmarked(call: Call, order: Order, *, bank: Bank = inject()) -> str:
    return bank.charge(call, order)


@write
async def mark_paid_later(w: Write[Any], order: Order) -> None:
    await w.tx.execute(sql(w.tx, "UPDATE orders SET state = 'paid' WHERE id = ?"), (order.id,))


@workflow
async def body_counts(ctx: Context, order: Order) -> str:
    """Does something in its body, which runs again after every crash."""
    await insert_order(ctx, order)
    return await _charge_and_count(ctx, order)


async def _charge_and_count(ctx: Context, order: Order) -> str:
    charge = await charge_unmarked(ctx, order)
    _PRINTER[0].apply("receipt printed", order.id)
    await mark_paid_later(ctx, order)
    return charge


_PRINTER: list[Outside] = []


def _provide(outside: Outside) -> dict[Any, Any]:
    _PRINTER[:] = [outside]
    return {Bank: Bank(outside), Outside: outside}


def _case(broken: Any, *invariants: Any) -> Case:
    return Case(workflow=broken, args=(ORDER,), id="order:1", tables=TABLES, provide=_provide, always=tuple(invariants))


def charged_orders_exist(connection: Any, outside: Outside) -> list[str]:
    """Whatever was charged is an order of ours."""
    there = {id for (id,) in connection.execute("SELECT id FROM orders")}
    return [asked.request["order"] for asked in outside.applied if asked.request["order"] not in there]


CASES = {
    "a key made of the clock": (_case(clock_key), "P3"),
    "a request that is another one each time": (_case(dated_request), "P4"),
    "in doubt, again": (_case(repeats), "P3"),
    "a deed in the body": (_case(body_counts), "P3"),
    "the effect before the record": (_case(effect_first, charged_orders_exist), "yours"),
}
