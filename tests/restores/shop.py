"""The shop of the restores, whose orders take every way through an effect, and its worker's work.

By their number: some are charged by an intent that rides in a write, some are declined and try another card, some are
charged and then refused, so that the charge is undone, and some send a letter of which nobody but an operator can tell.
"""

from __future__ import annotations

import asyncio
import logging
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import stripe
from stripe import StripeClient

from recordfirst import (
    Absent,
    App,
    Call,
    Context,
    Declined,
    Embedded,
    Found,
    Pending,
    Provider,
    Write,
    changed_one,
    effect,
    inject,
    insert_or_same,
    workflow,
    write,
)
from recordfirst.demo.shop import sql
from recordfirst.providers.contract import Probed
from recordfirst.providers.stripe import (
    METADATA_KEY,
    Payment,
    Refund,
    Stripe,
    find_payment_intent,
    find_refund,
    payment_of,
    refund_of,
    stripe_client,
)
from recordfirst.records.open import record_from_url
from tests.restores.carrier import Books

TABLE = "CREATE TABLE orders (number INTEGER PRIMARY KEY, amount INTEGER NOT NULL, status TEXT NOT NULL, payment TEXT)"


class Setting(msgspec.Struct, frozen=True):
    """What a process of the shop must know."""

    record: str
    engine: str
    """The embedded engine's file."""
    stripe: str
    books: str
    """The carrier's."""
    wait_ms: int
    """How long an order sleeps between its charge and its shipment."""
    reconcile_s: float
    """Between a worker's reconciles, which look at all that is open."""
    forgets: bool
    """Whether Stripe says that it forgets keys after two seconds; else they are honoured for a day."""


class Order(msgspec.Struct, frozen=True):
    """One order."""

    number: int
    amount: int

    @property
    def declined(self) -> bool:
        """Its first card is no good."""
        return self.number % 5 == 2

    @property
    def refused(self) -> bool:
        """It fails when it has been charged."""
        return self.number % 7 == 3

    @property
    def lettered(self) -> bool:
        """It sends a letter."""
        return self.number % 9 == 4

    @property
    def announced(self) -> bool:
        """Its charge is announced in the write."""
        return self.number % 2 == 0


_S = msgspec.json.decode(os.environ["RESTORES"], type=Setting) if "RESTORES" in os.environ else None
_KEYS: dict[str, Any] = {"retention_s": 2, "margin_s": 0} if _S is not None and _S.forgets else {}
STRIPE = Stripe(lag_s=0.3, arrives_within_s=0, **_KEYS)
CARRIER = Provider(name="carrier", arrives_within_s=0)
"""It honours no keys, and can be asked."""
POST = Provider(name="post", arrives_within_s=0)
"""It honours no keys, can not be asked, and does not answer."""
TIMEOUT_S = 1.0


@write
async def place(w: Write[Any], order: Order) -> None:
    """The record first."""
    await insert_or_same(w.tx, "orders", {"number": order.number}, {"amount": order.amount, "status": "new"})
    if order.announced:
        w.intend(charge, order, _first_card(order))


async def find_repayment(call: Call, order: Order, *, client: StripeClient = inject()) -> Probed:
    """Ask Stripe."""
    return await find_refund(client, marker=call.marker, since_ms=call.since_ms, margin_s=1)


@effect(key="{order.number}:refund", provider=STRIPE, after=place, probe=find_repayment, timeout_s=TIMEOUT_S)
async def refund(call: Call, order: Order, payment: Payment, *, client: StripeClient = inject()) -> Refund | Pending:
    """Give it back."""
    params: Any = {"payment_intent": payment.id, "metadata": {METADATA_KEY: call.marker}}
    return refund_of(await client.v1.refunds.create_async(params, {"idempotency_key": call.key}))


async def find_charge(call: Call, order: Order, *, client: StripeClient = inject()) -> Probed:
    """Ask Stripe."""
    customer = f"cus_{order.number}"
    return await find_payment_intent(client, marker=call.marker, since_ms=call.since_ms, customer=customer, margin_s=1)


@effect(key="{order.number}:charge", provider=STRIPE, after=place, probe=find_charge, undo=refund, timeout_s=TIMEOUT_S)
async def charge(call: Call, order: Order, card: str, *, client: StripeClient = inject()) -> Payment | Pending:
    """Charge a card."""
    params: Any = {
        "amount": order.amount,
        "currency": "usd",
        "confirm": True,
        "customer": f"cus_{order.number}",
        "payment_method": card,
        "metadata": {METADATA_KEY: call.marker},
    }
    return payment_of(await client.v1.payment_intents.create_async(params, {"idempotency_key": call.key}))


@charge.on_success
async def mark_paid(w: Write[Any], order: Order, payment: Payment) -> None:
    """In one transaction with the receipt."""
    statement = sql(w.tx, "UPDATE orders SET status = 'paid', payment = ? WHERE number = ? AND status = 'new'")
    changed_one(await w.tx.execute(statement, (payment.id, order.number)), f"order {order.number}, to be paid")


class OutOfStock(Exception):  # noqa: N818 - an outcome, as users name it
    """There is no such thing in the house."""


@write(fails=OutOfStock)
async def refuse(w: Write[Any], order: Order) -> None:
    """So that what was done is undone."""
    raise OutOfStock(f"order {order.number} cannot be met")


@effect(key="{order.number}:letter", provider=POST, after=place, timeout_s=TIMEOUT_S)
async def send_letter(call: Call, order: Order, *, books: Books = inject()) -> str:
    """It is sent, and no answer comes."""
    books.write(call.marker)
    raise TimeoutError("the post does not answer")


async def find_shipment(call: Call, order: Order, *, books: Books = inject()) -> Probed:
    """Ask the carrier."""
    return Found("shipped") if books.has(call.marker) else Absent()


@effect(key="{order.number}:ship", provider=CARRIER, after=place, probe=find_shipment, timeout_s=TIMEOUT_S)
async def ship(call: Call, order: Order, *, books: Books = inject()) -> str:
    """Each call ships."""
    books.write(call.marker)
    return "shipped"


@ship.on_success
async def mark_shipped(w: Write[Any], order: Order) -> None:
    """In one transaction with the receipt."""
    statement = sql(w.tx, "UPDATE orders SET status = 'shipped' WHERE number = ? AND status = 'paid'")
    changed_one(await w.tx.execute(statement, (order.number,)), f"order {order.number}, to be shipped")


@workflow
async def shipping(ctx: Context, order: Order) -> str:
    """A part of the sale."""
    return await ship(ctx, order)


@workflow
async def sell(ctx: Context, order: Order) -> str:
    """All of it."""
    await place(ctx, order)
    try:
        await charge(ctx, order, _first_card(order))
    except Declined:
        await charge.attempt(2)(ctx, order, "pm_card_mastercard")
    await ctx.sleep(timedelta(milliseconds=_S.wait_ms if _S is not None else 0))
    if order.refused:
        await refuse(ctx, order)
    if order.lettered:
        await send_letter(ctx, order)
    if order.number % 3 == 0:
        return await ctx.rpc(shipping, order)
    return await ship(ctx, order)


def _first_card(order: Order) -> str:
    return "pm_card_chargeDeclinedInsufficientFunds" if order.declined else "pm_card_visa"


def app_of(setting: Setting) -> App:
    """The shop."""
    stripe.enable_telemetry = False
    given = Embedded(setting.engine)
    app = App("shop", record=record_from_url(setting.record), workflows=[sell, shipping], engine=given, concurrency=32)
    app.provide_factory(StripeClient, lambda: stripe_client("sk_test_restores", base_url=setting.stripe))
    app.provide(Books(setting.books))
    return app


async def work(app: App, log: Path) -> None:
    """Work until killed. What is looked at every minute is looked at every moment here, to come to an end today."""
    from recordfirst.execution import parking as waiting  # noqa: PLC0415 - a worker alone
    from recordfirst.reconcile import loop as keeper  # noqa: PLC0415 - a worker alone
    from recordfirst.reconcile.passes import starts as epochs  # noqa: PLC0415 - a worker alone

    logging.basicConfig(filename=log, level="WARNING", format="%(asctime)s %(message)s")
    assert _S is not None
    keeper.WATCH_S, keeper.MARK_EVERY, keeper.EVERY_S, keeper._FIRST_S = 0.1, 3, _S.reconcile_s, 0.3
    epochs._SETTLING_S, waiting.IN_PLACE_MS = 0.2, 1_000
    async with app.worker():
        await asyncio.Event().wait()


app = app_of(_S) if _S is not None else None
"""For the command line."""
