"""Refunds by hand, disputes and returned debits: an order that was paid says so, to the cent, whoever took it back."""

from functools import partial

import msgspec
from psycopg import AsyncConnection
from stripe import StripeClient

from recordfirst import App, Call, Context, Pending, Reversal, Write, effect, inject, workflow, write
from recordfirst.providers.contract import Probed
from recordfirst.providers.stripe import (
    METADATA_KEY,
    PAYMENT_INTENTS,
    REFUNDS,
    Payment,
    Refund,
    Stripe,
    StripeEvents,
    find_payment_intent,
    find_refund,
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
    await w.tx.execute("INSERT INTO orders (id, paid_minor, status) VALUES (%s, 0, 'new')", (order.id,))


async def find_charge(call: Call, order: Order, *, stripe: StripeClient = inject()) -> Probed:
    return await find_payment_intent(stripe, marker=call.marker, since_ms=call.since_ms, known=call.references)


@effect(
    key="order:{order.id}:charge",
    provider=Stripe(listing=PAYMENT_INTENTS),
    after=insert_order,
    probe=find_charge,
)
async def charge_card(call: Call, order: Order, *, stripe: StripeClient = inject()) -> Payment | Pending:
    intent = await stripe.v1.payment_intents.create_async(
        {
            "amount": order.amount_minor,
            "currency": "usd",
            "payment_method": order.payment_method,
            "confirm": True,
            "metadata": {METADATA_KEY: call.marker},
        },
        {"idempotency_key": call.key},
    )
    return payment_of(intent)


@charge_card.on_success
async def mark_paid(w: Write[AsyncConnection], order: Order, payment: Payment) -> None:
    await w.tx.execute(
        "UPDATE orders SET status = 'paid', paid_minor = %s WHERE id = %s", (payment.amount_minor, order.id)
    )


# [reversal]
@charge_card.on_reversal
async def take_off(w: Write[AsyncConnection], order: Order, reversal: Reversal) -> None:
    await w.tx.execute(
        "UPDATE orders SET status = %s, paid_minor = paid_minor - %s WHERE id = %s",
        (reversal.kind, reversal.taken_minor, order.id),
    )


# [/reversal]


# [refund]
async def find_back(call: Call, order_id: str, *, stripe: StripeClient = inject()) -> Probed:
    return await find_refund(stripe, marker=call.marker, since_ms=call.since_ms, known=call.references)


@effect(key="order:{order_id}:refund:{number}", provider=Stripe(listing=REFUNDS), after=None, probe=find_back)
async def refund_card(
    call: Call, order_id: str, number: int, payment: str, amount_minor: int, *, stripe: StripeClient = inject()
) -> Refund | Pending:
    refund = await stripe.v1.refunds.create_async(
        {"payment_intent": payment, "amount": amount_minor, "metadata": {METADATA_KEY: call.marker}},
        {"idempotency_key": call.key},
    )
    return refund_of(refund)


@refund_card.on_success
async def mark_refunded(w: Write[AsyncConnection], order_id: str, refund: Refund) -> None:
    await w.tx.execute(
        "UPDATE orders SET status = 'refunded', paid_minor = paid_minor - %s WHERE id = %s",
        (refund.amount_minor, order_id),
    )


@refund_card.on_reversal
async def refund_came_back(w: Write[AsyncConnection], order_id: str, reversal: Reversal) -> None:
    await w.tx.execute(
        "UPDATE orders SET status = 'refund failed', paid_minor = paid_minor + %s WHERE id = %s",
        (reversal.taken_minor, order_id),
    )


# [/refund]


@workflow
async def create_order(ctx: Context, order: Order) -> str:
    await insert_order(ctx, order)
    return (await charge_card(ctx, order)).id


@workflow
async def give_back(ctx: Context, order_id: str, number: int, payment: str, amount_minor: int) -> str:
    return (await refund_card(ctx, order_id, number, payment, amount_minor)).id


app = App("shop", record=PostgresRecord("postgresql:///shop"), workflows=[create_order, give_back])
app.provide_factory(StripeClient, partial(stripe_client, "sk_test_..."))
stripe_events = app.events(StripeEvents(secrets=["whsec_..."], livemode=False))
