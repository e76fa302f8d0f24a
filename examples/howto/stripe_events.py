"""Take Stripe's webhooks in a FastAPI app: pay with 3-D Secure, settle by the event, note disputes."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import msgspec
from fastapi import FastAPI
from psycopg import AsyncConnection
from starlette.routing import Route
from stripe import StripeClient

from recordfirst import App, Call, Context, Pending, ProviderEvent, Write, effect, inject, on_event, workflow, write
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


class Order(msgspec.Struct, frozen=True):
    id: str
    amount_minor: int
    payment_method: str


@write
async def insert_order(w: Write[AsyncConnection], order: Order) -> None:
    await w.tx.execute(
        "INSERT INTO orders (id, amount_minor, status) VALUES (%s, %s, 'new')", (order.id, order.amount_minor)
    )


async def find_charge(call: Call, order: Order, *, stripe: StripeClient = inject()) -> Probed:
    return await find_payment_intent(stripe, marker=call.marker, since_ms=call.since_ms, known=call.references)


@effect(key="order:{order.id}:charge", provider=Stripe, after=insert_order, probe=find_charge)
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
    await w.tx.execute("UPDATE orders SET status = 'paid', payment = %s WHERE id = %s", (payment.id, order.id))


@workflow
async def create_order(ctx: Context, order: Order) -> str:
    await insert_order(ctx, order)
    return (await charge_card(ctx, order)).id


# [handler]
async def dispute_now(event: ProviderEvent, *, stripe: StripeClient = inject()) -> dict[str, str]:
    dispute = await stripe.v1.disputes.retrieve_async(event.data["data"]["object"]["id"])
    return {"payment": str(dispute.payment_intent), "status": dispute.status}


@on_event(Stripe, "charge.dispute.created", "charge.dispute.closed", fetch=dispute_now)
async def note_dispute(w: Write[AsyncConnection], event: ProviderEvent, dispute: dict[str, str]) -> None:
    await w.tx.execute("UPDATE orders SET dispute = %s WHERE payment = %s", (dispute["status"], dispute["payment"]))


# [/handler]

# [app]
app = App("shop", record=PostgresRecord("postgresql:///shop"), workflows=[create_order], event_handlers=[note_dispute])
app.provide_factory(StripeClient, partial(stripe_client, "sk_test_..."))
stripe_events = app.events(StripeEvents(secrets=["whsec_..."], livemode=False))
# [/app]


# [web]
@asynccontextmanager
async def opened(_web: FastAPI) -> AsyncIterator[None]:
    async with app:
        yield


web = FastAPI(lifespan=opened, routes=[Route("/stripe/events", stripe_events, methods=["POST"])])
# [/web]
