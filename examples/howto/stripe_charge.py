"""Charge a card with Stripe's own SDK, probe by metadata, refund if the workflow fails later."""

from functools import partial

import msgspec
from psycopg import AsyncConnection
from stripe import StripeClient

from recordfirst import App, Call, Context, Declined, Pending, Write, changed_one, effect, inject, workflow, write
from recordfirst.providers.contract import Probed
from recordfirst.providers.stripe import (
    METADATA_KEY,
    Payment,
    Refund,
    Stripe,
    find_payment_intent,
    payment_of,
    refund_of,
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


# [probe]
async def find_charge(call: Call, order: Order, *, stripe: StripeClient = inject()) -> Probed:
    return await find_payment_intent(stripe, marker=call.marker, since_ms=call.since_ms, known=call.references)


# [/probe]


# [refund]
@effect(key="order:{order.id}:refund", provider=Stripe, after=insert_order)
async def refund_card(
    call: Call, order: Order, payment: Payment, *, stripe: StripeClient = inject()
) -> Refund | Pending:
    refund = await stripe.v1.refunds.create_async(
        {"payment_intent": payment.id, "metadata": {METADATA_KEY: call.marker}}, {"idempotency_key": call.key}
    )
    return refund_of(refund)


# [/refund]


# [charge]
@effect(key="order:{order.id}:charge", provider=Stripe, after=insert_order, probe=find_charge, undo=refund_card)
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


@charge_card.on_success
async def mark_paid(w: Write[AsyncConnection], order: Order, payment: Payment) -> None:
    paid = await w.tx.execute("UPDATE orders SET status = 'paid', payment = %s WHERE id = %s", (payment.id, order.id))
    changed_one(paid, f"order {order.id}, to be marked paid")


# [/charge]


# [again]
@workflow
async def create_order(ctx: Context, order: Order) -> str:
    await insert_order(ctx, order)
    try:
        payment = await charge_card(ctx, order)
    except Declined as declined:
        if declined.code != "try_again_later":
            raise
        payment = await charge_card.attempt(2)(ctx, order)
    return payment.id


# [/again]


# [app]
app = App("shop", record=PostgresRecord("postgresql:///shop"), workflows=[create_order])
app.provide_factory(StripeClient, partial(stripe_client, "sk_test_..."))
# [/app]
