"""The shop of the benchmark: an order is inserted, and its card is charged once its customer has confirmed."""

from __future__ import annotations

import asyncio
from typing import Any

from stripe import StripeClient

from recordfirst import App, Call, Context, Pending, Write, effect, inject, workflow, write
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

SECRET = "whsec_of_a_benchmark"
TABLE = "CREATE TABLE orders (number integer PRIMARY KEY, paid_minor integer NOT NULL DEFAULT 0)"
asked: dict[int, asyncio.Future[str]] = {}
"""Resolved when a customer is asked, by the order's number."""


async def find_charge(call: Call, number: int, *, stripe: StripeClient = inject()) -> Probed:  # noqa: ARG001
    return await find_payment_intent(stripe, marker=call.marker, since_ms=call.since_ms, known=call.references)


@write
async def insert_order(w: Write[Any], number: int) -> None:
    await w.tx.execute("INSERT INTO orders (number) VALUES (%s)", (number,))


@effect(key="order:{number}:charge", provider=Stripe(lag_s=0.0), after=insert_order, probe=find_charge)
async def charge_card(
    call: Call,
    number: int,  # noqa: ARG001 - its key has it
    *,
    stripe: StripeClient = inject(),
) -> Payment | Pending:
    given: Any = {"amount": 5000, "currency": "usd", "confirm": True, "payment_method": "pm_card_threeDSecureRequired"}
    given["metadata"] = {METADATA_KEY: call.marker}
    return payment_of(await stripe.v1.payment_intents.create_async(given, {"idempotency_key": call.key}))


@charge_card.on_pending
async def ask_customer(w: Write[Any], number: int, pending: Pending) -> None:  # noqa: ARG001 - as every step's
    if not asked[number].done():
        asked[number].set_result(pending.references["payment_intent"])


@charge_card.on_success
async def mark_paid(w: Write[Any], number: int, payment: Payment) -> None:
    await w.tx.execute("UPDATE orders SET paid_minor = %s WHERE number = %s", (payment.amount_minor, number))


@workflow
async def order(ctx: Context, number: int) -> str:
    await insert_order(ctx, number)
    return (await charge_card(ctx, number)).id


def shop(dsn: str, stripe_url: str = "") -> App:
    """The app on this record, against the Stripe at this address."""
    app = App("bench", record=PostgresRecord(dsn), workflows=[order])
    app.provide_factory(StripeClient, lambda: stripe_client("sk_x", base_url=stripe_url))
    return app


def events() -> StripeEvents:
    """What verifies the events of the benchmark's Stripe."""
    return StripeEvents(secrets=[SECRET], livemode=False)
