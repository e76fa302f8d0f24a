"""Wait for a payment that its customer has yet to confirm, or a bank to answer; cancel it at Stripe after a day."""

from functools import partial

import msgspec
from psycopg import AsyncConnection
from stripe import StripeClient

from recordfirst import App, Call, Context, Pending, Write, changed_one, effect, inject, workflow, write
from recordfirst.providers.contract import Probed
from recordfirst.providers.stripe import (
    METADATA_KEY,
    Payment,
    Stripe,
    find_payment_intent,
    payment_of,
    stripe_client,
)
from recordfirst.records.postgres import PostgresRecord


class Order(msgspec.Struct, frozen=True):
    id: str
    amount_minor: int
    payment_method: str


@write
async def insert_order(w: Write[AsyncConnection], order: Order) -> None:
    await w.tx.execute(
        "INSERT INTO orders (id, amount_minor, status) VALUES (%s, %s, 'new')", (order.id, order.amount_minor)
    )


# [cancel]
@effect(key="order:{order.id}:cancel-charge", provider=Stripe, after=insert_order)
async def cancel_charge(call: Call, order: Order, pending: Pending, *, stripe: StripeClient = inject()) -> str:
    intent = pending.references["payment_intent"]
    cancelled = await stripe.v1.payment_intents.cancel_async(intent, {}, {"idempotency_key": call.key})
    return cancelled.status


# [/cancel]


# [charge]
async def find_charge(call: Call, order: Order, *, stripe: StripeClient = inject()) -> Probed:
    return await find_payment_intent(stripe, marker=call.marker, since_ms=call.since_ms, known=call.references)


@effect(
    key="order:{order.id}:charge",
    provider=Stripe,
    after=insert_order,
    probe=find_charge,
    expires_s=24 * 3600,
    on_expiry=cancel_charge,
)
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
    secret = pending.show.get("client_secret")
    await w.tx.execute("UPDATE orders SET status = 'awaiting customer', secret = %s WHERE id = %s", (secret, order.id))


@charge_card.on_success
async def mark_paid(w: Write[AsyncConnection], order: Order, payment: Payment) -> None:
    paid = await w.tx.execute("UPDATE orders SET status = 'paid', payment = %s WHERE id = %s", (payment.id, order.id))
    changed_one(paid, f"order {order.id}, to be marked paid")


@charge_card.on_decline
async def mark_unpaid(w: Write[AsyncConnection], order: Order) -> None:
    await w.tx.execute("UPDATE orders SET status = 'not paid' WHERE id = %s", (order.id,))


# [/charge]


@workflow
async def create_order(ctx: Context, order: Order) -> str:
    await insert_order(ctx, order)
    payment = await charge_card(ctx, order)
    return payment.id


app = App("shop", record=PostgresRecord("postgresql:///shop"), workflows=[create_order])
app.provide_factory(StripeClient, partial(stripe_client, "sk_test_..."))
