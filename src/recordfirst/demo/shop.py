"""The demo's shop: an order is inserted, its card is charged, it is marked paid, and fulfilment is requested.

The same code runs on SQLite and on Postgres. Only the placeholders of bound values differ; :func:`sql` converts them.
"""

from __future__ import annotations

import contextlib
import enum
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import aiohttp
import msgspec
import stripe
from stripe import StripeClient

from recordfirst import (
    App,
    Call,
    Context,
    Declined,
    Pending,
    Read,
    Write,
    changed_one,
    effect,
    inject,
    insert_or_same,
    invariant,
    workflow,
    write,
)
from recordfirst.demo.orders import Order
from recordfirst.providers.contract import CannotTell, Found, Probed, Provider
from recordfirst.providers.stripe import (
    METADATA_KEY,
    PAYMENT_INTENTS,
    Payment,
    Stripe,
    find_payment_intent,
    payment_of,
    stripe_client,
)
from recordfirst.records.contract import Record

TABLE = """
CREATE TABLE IF NOT EXISTS orders (
    id TEXT PRIMARY KEY, customer TEXT NOT NULL, day TEXT NOT NULL, quantity INTEGER NOT NULL,
    amount_minor INTEGER NOT NULL, status TEXT NOT NULL, payment TEXT, shipment TEXT
)"""


class OrderStatus(enum.Enum):
    """The ways in which an order can end."""

    PAID = "paid"
    DECLINED = "declined"


class Shipment(msgspec.Struct, frozen=True):
    """The warehouse's answer."""

    id: str


class Warehouse:
    """A client of the warehouse's API, which honours idempotency keys."""

    def __init__(self, url: str, session: aiohttp.ClientSession) -> None:
        self._url, self._session = url, session

    async def request(self, order_id: str, quantity: int, key: str) -> Shipment:
        """Ask for an order to be sent out."""
        body = {"order": order_id, "quantity": quantity}
        async with self._session.post(f"{self._url}/shipments", json=body, headers={"Idempotency-Key": key}) as reply:
            reply.raise_for_status()
            return msgspec.json.decode(await reply.read(), type=Shipment)


STRIPE = Stripe(lag_s=1.0, arrives_within_s=10.0, listing=PAYMENT_INTENTS)
WAREHOUSE = Provider(name="warehouse", retention_s=7 * 24 * 3600)


def sql(tx: Any, text: str) -> str:
    """Write placeholders in the style of this connection's driver."""
    return text if type(tx).__module__.startswith("aiosqlite") else text.replace("?", "%s")


@write
async def insert_order(w: Write[Any], order: Order) -> None:
    """Insert the order before anything is called. If it exists with other values, that is a conflict, not a success."""
    values = {
        "customer": order.customer,
        "day": order.day.isoformat(),
        "quantity": order.quantity,
        "amount_minor": order.amount_minor,
    }
    if await insert_or_same(w.tx, "orders", {"id": order.id}, {**values, "status": "new"}) and order.amount_minor:
        # This transaction also stores the intent, so the charge costs no commit before the call, and one after it.
        w.intend(charge_card, order)


@write
async def mark_free(w: Write[Any], order: Order) -> None:
    """Mark an order of 0.00 as paid: Stripe does not charge such an amount."""
    await _mark(w, order, "paid", None)


async def find_charge(call: Call, order: Order, *, client: StripeClient = inject()) -> Probed:
    """Ask Stripe what became of the charge."""
    # This reads the payments of one customer, not all payments of the last minutes.
    customer = f"cus_{order.customer}"
    found = await find_payment_intent(
        client, marker=call.marker, since_ms=call.since_ms, known=call.references, customer=customer
    )
    if isinstance(found, Found) and found.result.amount_minor != order.amount_minor:
        return CannotTell(f"charged {found.result.amount_minor} instead of {order.amount_minor}")
    return found


@effect(key="order:{order.id}:charge", provider=STRIPE, after=insert_order, probe=find_charge, timeout_s=10)
async def charge_card(call: Call, order: Order, *, client: StripeClient = inject()) -> Payment | Pending:
    """Charge the card. The key is the same each time that the request is sent."""
    intent = await client.v1.payment_intents.create_async(
        {
            "amount": order.amount_minor,
            "currency": "usd",
            "confirm": True,
            "customer": f"cus_{order.customer}",
            "payment_method": "pm_card_visa",
            "metadata": {METADATA_KEY: call.marker, "order": order.id},
        },
        {"idempotency_key": call.key},
    )
    return payment_of(intent)


@charge_card.on_success
async def mark_paid(w: Write[Any], order: Order, payment: Payment) -> None:
    """Runs in the transaction that stores the receipt of the charge."""
    await _mark(w, order, "paid", payment.id)


@charge_card.on_decline
async def mark_declined(w: Write[Any], order: Order, declined: Declined) -> None:
    """Runs in the transaction that stores the receipt of the decline."""
    await _mark(w, order, "declined", declined.code)


@effect(key="order:{order.id}:fulfil", provider=WAREHOUSE, after=insert_order, timeout_s=10)
async def request_fulfilment(call: Call, order: Order, *, warehouse: Warehouse = inject()) -> Shipment:
    """Have the order sent out."""
    return await warehouse.request(order.id, order.quantity, call.key)


@request_fulfilment.on_success
async def mark_shipped(w: Write[Any], order: Order, shipment: Shipment) -> None:
    """Runs in the transaction that stores the receipt of the request."""
    cursor = await w.tx.execute(sql(w.tx, "UPDATE orders SET shipment = ? WHERE id = ?"), (shipment.id, order.id))
    changed_one(cursor, f"order {order.id}, to be marked shipped")


async def _mark(w: Write[Any], order: Order, status: str, payment: str | None) -> None:
    cursor = await w.tx.execute(
        sql(w.tx, "UPDATE orders SET status = ?, payment = ? WHERE id = ? AND status = 'new'"),
        (status, payment, order.id),
    )
    changed_one(cursor, f"order {order.id}, to be marked {status}")


@workflow
async def create_order(ctx: Context, order: Order) -> OrderStatus:
    """Insert, charge, fulfil; a declined card ends the order."""
    await insert_order(ctx, order)
    if order.amount_minor == 0:
        await mark_free(ctx, order)
    else:
        try:
            await charge_card(ctx, order)
        except Declined:
            return OrderStatus.DECLINED
    await request_fulfilment(ctx, order)
    return OrderStatus.PAID


@invariant(name="paid orders without exactly one charge")
async def paid_orders_have_one_charge(r: Read[Any]) -> list[tuple[Any, ...]]:
    """The purpose of the shop, as one query."""
    receipts = "recordfirst_receipt" if type(r.tx).__module__.startswith("aiosqlite") else "recordfirst.receipt"
    cursor = await r.tx.execute(
        f"""
        SELECT id, amount_minor, count(receipt.key) AS charges
        FROM orders LEFT JOIN {receipts} AS receipt
            ON receipt.app = 'shop' AND receipt.key = 'order:' || orders.id || ':charge' AND receipt.state = 'succeeded'
        WHERE status = 'paid' AND amount_minor > 0
        GROUP BY id, amount_minor
        HAVING count(receipt.key) <> 1
        LIMIT 101
        """  # noqa: S608 - two names of one table
    )
    return [(id, f"{charges} charges of {amount}") for id, amount, charges in await cursor.fetchall()]


def build_app(record: Record[Any], stripe_url: str, warehouse_url: str, engine: str | None = None) -> App:
    """The shop on this record, against a Stripe and a warehouse at these addresses."""
    stripe.enable_telemetry = False
    app = App("shop", record=record, workflows=[create_order], engine=engine, invariants=[paid_orders_have_one_charge])
    app.provide_factory(StripeClient, partial(stripe_client, "sk_test_demo", base_url=stripe_url))

    @contextlib.asynccontextmanager
    async def warehouse() -> AsyncIterator[Warehouse]:
        async with aiohttp.ClientSession() as session:
            yield Warehouse(warehouse_url, session)

    app.provide_factory(Warehouse, warehouse)
    return app
