"""A shop on FastAPI that is paid with Stripe: 3-D Secure, webhooks, refunds at the dashboard, disputes.

Web and worker are processes of their own, on one record. Either may die at any time. README.md says how to run them.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Annotated, Any

import msgspec
from fastapi import FastAPI, HTTPException, Request
from psycopg import AsyncConnection
from starlette.routing import Route
from stripe import StripeClient

from recordfirst import (
    App,
    Call,
    Context,
    DifferentArguments,
    Pending,
    Reversal,
    Write,
    changed_one,
    effect,
    inject,
    workflow,
    write,
)
from recordfirst.providers.contract import Probed
from recordfirst.providers.stripe import (
    METADATA_KEY,
    Payment,
    Stripe,
    StripeEvents,
    find_payment_intent,
    payment_of,
    stripe_client,
)
from recordfirst.records.postgres import PostgresRecord

type Name = Annotated[str, msgspec.Meta(pattern=r"^[\w-]{1,64}\Z")]
"""An id, as it may come from outside: one line of 64 characters at most, and never empty."""


class Order(msgspec.Struct, frozen=True):
    id: Name
    amount_minor: Annotated[int, msgspec.Meta(ge=1, le=99_999_999)]  # Stripe takes no more
    payment_method: Name


async def change(tx: AsyncConnection, order_id: str, status: str, *, secret: str | None = None) -> None:
    """Move an order on, and say so in its history."""
    moved = await tx.execute(
        "UPDATE orders SET status = %s, client_secret = %s WHERE id = %s", (status, secret, order_id)
    )
    changed_one(moved, f"order {order_id}, to be {status}")
    await tx.execute("INSERT INTO changes (order_id, status) VALUES (%s, %s)", (order_id, status))


async def add(tx: AsyncConnection, order_id: str, paid_minor: int) -> None:
    """Count what was paid; what was taken back is below 0."""
    await tx.execute("UPDATE orders SET paid_minor = paid_minor + %s WHERE id = %s", (paid_minor, order_id))


@write
async def accept_order(w: Write[AsyncConnection], order: Order) -> None:
    await change(w.tx, order.id, "accepted")


async def find_charge(call: Call, order: Order, *, stripe: StripeClient = inject()) -> Probed:
    return await find_payment_intent(stripe, marker=call.marker, since_ms=call.since_ms, known=call.references)


@effect(key="order:{order.id}:charge", provider=Stripe, after=accept_order, probe=find_charge)
async def charge_card(call: Call, order: Order, *, stripe: StripeClient = inject()) -> Payment | Pending:
    intent = await stripe.v1.payment_intents.create_async(
        {
            "amount": order.amount_minor,
            "currency": "usd",
            "payment_method": order.payment_method,
            "allowed_payment_method_types": ["card"],
            "confirm": True,
            "metadata": {METADATA_KEY: call.marker},
        },
        {"idempotency_key": call.key},
    )
    return payment_of(intent)


@charge_card.on_pending
async def await_customer(w: Write[AsyncConnection], order: Order, pending: Pending) -> None:
    await change(w.tx, order.id, "awaiting customer", secret=pending.show.get("client_secret"))


@charge_card.on_success
async def mark_paid(w: Write[AsyncConnection], order: Order, payment: Payment) -> None:
    await change(w.tx, order.id, "paid")
    await add(w.tx, order.id, payment.amount_minor)
    await w.tx.execute("UPDATE orders SET payment = %s WHERE id = %s", (payment.id, order.id))


@charge_card.on_decline
async def mark_unpaid(w: Write[AsyncConnection], order: Order) -> None:
    await change(w.tx, order.id, "not paid")


@charge_card.on_reversal
async def take_off(w: Write[AsyncConnection], order: Order, reversal: Reversal) -> None:
    await change(w.tx, order.id, reversal.kind)
    await add(w.tx, order.id, -reversal.taken_minor)


@workflow
async def create_order(ctx: Context, order: Order) -> str:
    await accept_order(ctx, order)
    return (await charge_card(ctx, order)).id


app = App(
    "shop",
    record=PostgresRecord(os.environ.get("SHOP_RECORD", "postgresql:///shop")),
    workflows=[create_order],
)
app.provide_factory(
    StripeClient,
    partial(stripe_client, os.environ.get("STRIPE_KEY", "sk_test_..."), base_url=os.environ.get("STRIPE_URL")),
)
stripe_events = app.events(StripeEvents(secrets=[os.environ.get("STRIPE_SECRET", "whsec_...")], livemode=False))


@asynccontextmanager
async def opened(_web: FastAPI) -> AsyncIterator[None]:
    async with app:
        yield


web = FastAPI(lifespan=opened, routes=[Route("/stripe/events", stripe_events, methods=["POST"])])


@web.post("/orders", status_code=202)
async def post_order(request: Request) -> dict[str, str]:
    """Take an order: its row and its workflow commit together. Sent again, it is the same order."""
    try:
        order = msgspec.json.decode(await request.body(), type=Order)
    except ValueError as error:  # malformed JSON, an empty id, no money, ...: nothing of it may be stored
        raise HTTPException(422, str(error)) from error
    try:
        async with app.record.write() as w:
            # An order that is there already is the same one: the start of another with its id is refused.
            await w.tx.execute(
                "INSERT INTO orders (id, amount_minor) VALUES (%s, %s) ON CONFLICT (id) DO NOTHING",
                (order.id, order.amount_minor),
            )
            w.start(create_order, order, id=f"order:{order.id}")
    except DifferentArguments as error:
        raise HTTPException(409, f"order {order.id} is another one") from error
    return {"order": order.id}


@web.get("/orders/{order_id}")
async def get_order(order_id: str) -> dict[str, Any]:
    """What the customer's browser asks for: with a client secret, the customer has something to confirm."""
    async with app.record.read() as connection:
        found = await connection.execute(
            "SELECT status, client_secret, payment, paid_minor FROM orders WHERE id = %s", (order_id,)
        )
        row = await found.fetchone()
    if row is None:
        raise HTTPException(404, f"there is no order {order_id}")
    return dict(zip(("status", "client_secret", "payment", "paid_minor"), row, strict=True))
