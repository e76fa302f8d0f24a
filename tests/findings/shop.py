"""The app that the how-to's commands are given, ``--app shop:app``: one order touches all that a finding can be about.

``SHOP_HOME`` is a folder: what is outside of the record lives there, and a file in it makes the shop worse.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
from stripe import StripeClient

from recordfirst import (
    Account,
    App,
    Call,
    Context,
    Embedded,
    Keyring,
    Ledger,
    Pending,
    Provider,
    Read,
    Reversal,
    SqlLedger,
    Transfer,
    Write,
    account_id,
    changed_one,
    effect,
    inject,
    insert_or_same,
    invariant,
    open_account,
    project,
    stage,
    transfer,
    workflow,
    write,
)
from recordfirst.demo.shop import sql
from recordfirst.providers.stripe import (
    METADATA_KEY,
    PAYMENT_INTENTS,
    REFUNDS,
    Refund,
    Stripe,
    StripeEvents,
    find_payment_intent,
    refund_of,
    stripe_client,
)
from recordfirst.records.open import record_from_url
from recordfirst.records.sqlite import SqliteRecord
from recordfirst.worker import waits
from tests.effects.cipher import Cipher
from tests.effects.harness import Plug
from tests.references.program import Archive, Mirror

HOME = Path(os.environ["SHOP_HOME"])
ORDERS = "CREATE TABLE orders (id TEXT PRIMARY KEY, amount_minor INTEGER NOT NULL, status TEXT NOT NULL)"
if (HOME / "impatient").exists():
    waits._LONG_S = waits._EVERY_S = 0.5
SHOPS = account_id("shop")


def told(what: str) -> bool:
    """Whether the shop is to be worse in this way."""
    return (HOME / what).exists()


class Order(msgspec.Struct, frozen=True):
    id: str
    amount_minor: int = 1999


class Payment(msgspec.Struct, frozen=True):
    id: str
    amount_minor: int


@stage(key="order:{order.id}:paper", into=Archive, id="paper-{order.id}")
def stage_paper(order: Order) -> dict[str, Any]:
    return {"order": order.id, "amount": order.amount_minor}


@write(key="order:{order.id}:row", after=stage_paper)
async def insert_order(w: Write[Any], order: Order) -> None:
    await insert_or_same(w.tx, "orders", {"id": order.id}, {"amount_minor": order.amount_minor, "status": "new"})


async def find_charge(call: Call, order: Order, *, client: StripeClient = inject()) -> Any:
    found = await find_payment_intent(client, marker=call.marker, since_ms=call.since_ms)
    return msgspec.structs.replace(found, result=payment(found.result)) if hasattr(found, "result") else found


def payment(made: Any) -> Payment:
    return Payment(made.id, getattr(made, "amount_minor", None) or made.amount)


KEYLESS = told("keyless")
BANK: Provider = (
    Provider(name="bank", arrives_within_s=0, listing=PAYMENT_INTENTS)
    if KEYLESS
    else Stripe(lag_s=0.0, arrives_within_s=0, listing=PAYMENT_INTENTS)
)


@effect(
    key="order:{order.id}:charge", provider=BANK, after=insert_order, probe=None if KEYLESS else find_charge,
    in_doubt="park",
)  # fmt: skip
async def charge_card(call: Call, order: Order, *, client: StripeClient = inject()) -> Payment | Pending:
    if told("silent"):
        raise TimeoutError("no answer")
    given: Any = {"amount": order.amount_minor, "currency": "usd", "confirm": True, "payment_method": "pm_card_visa"}
    given["metadata"] = {METADATA_KEY: call.marker}
    made = await client.v1.payment_intents.create_async(given, {"idempotency_key": call.key})
    die("plug after the charge")
    while told("answered for"):  # until an operator has answered in its place
        await asyncio.sleep(0.01)
    if told("offered"):
        return Pending(made.id, until=datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC))
    return payment(made)


@charge_card.on_success
async def mark_paid(w: Write[Any], order: Order) -> None:
    if told("bug"):
        raise LookupError("a bug")
    cursor = await w.tx.execute(sql(w.tx, "UPDATE orders SET status = 'paid' WHERE id = ?"), (order.id,))
    changed_one(cursor, f"order {order.id}")


async def take_off(w: Write[Any], order: Order, reversal: Reversal) -> None:
    assert reversal.taken_minor > 0
    cursor = await w.tx.execute(sql(w.tx, "UPDATE orders SET status = 'paid' WHERE id = ?"), (order.id,))
    changed_one(cursor, f"order {order.id}")


if not KEYLESS:  # the bank tells of no reversal
    charge_card.on_reversal(take_off)


@effect(key="order:{order.id}:back", provider=Stripe(lag_s=0.0, listing=REFUNDS), after=insert_order)
async def give_back(call: Call, order: Order, payment: str, *, client: StripeClient = inject()) -> Refund | Pending:
    given: Any = {"payment_intent": payment, "metadata": {METADATA_KEY: call.marker}}
    return refund_of(await client.v1.refunds.create_async(given, {"idempotency_key": call.key}))


def die(when: str) -> None:
    if told(when):
        (HOME / when).unlink()
        os._exit(137)


@open_account(key="customer:{order.id}:account", after=insert_order)
def open_customer(order: Order) -> Account:
    if told("typo"):
        raise KeyError("custmer")
    return Account(id=account_id(f"customer:{order.id}"), ledger=1, code=1)


@transfer(key="order:{order.id}:pay", after=insert_order)
def pay(order: Order) -> Transfer:
    customer = account_id(f"customer:{order.id}")
    return Transfer(debit_account_id=customer, credit_account_id=SHOPS, amount=order.amount_minor, ledger=1, code=1)


@project(key="order:{id}:shown", into=Mirror, id="{id}")
async def show_order(r: Read[Any], id: str) -> dict[str, Any] | None:
    found = await (await r.tx.execute(sql(r.tx, "SELECT status FROM orders WHERE id = ?"), (id,))).fetchone()
    return None if found is None else {"status": found[0]}


@workflow(steps=(give_back,))
async def create_order(ctx: Context, order: Order) -> str:
    await stage_paper(ctx, order)
    await insert_order(ctx, order)
    await charge_card(ctx, order)
    await open_customer(ctx, order)
    await pay(ctx, order)
    await show_order(ctx, order.id)
    return "paid"


@workflow
async def wait(ctx: Context, order: Order) -> str:
    """It sleeps for a month, unless it is morning when it begins."""
    await stage_paper(ctx, order)
    await insert_order(ctx, order)
    if not told("morning"):
        await ctx.sleep(timedelta(days=30))
    return "rested"


@invariant(name="paid or new")
async def paid_or_new(r: Read[Any]) -> list[tuple[Any, ...]]:
    cursor = await r.tx.execute("SELECT id, status FROM orders WHERE status NOT IN ('new', 'paid')")
    return [tuple(row) for row in await cursor.fetchall()]


@contextlib.asynccontextmanager
async def books() -> Any:
    """A ledger that is not in the record, so that one can be restored without the other."""
    record = SqliteRecord(HOME / "books.db")
    await record.open("shop")
    await record.migrate()
    ledger = SqlLedger(record)
    await ledger.create_accounts([Account(id=SHOPS, ledger=1, code=2)])
    yield ledger
    await record.close()


def ring() -> Keyring | None:
    """An encryptor of the keys whose names are in a file, the newest first."""
    names = (HOME / "keys").read_text().split() if told("keys") else []
    return Keyring({name: Cipher(name) for name in names}) if names else None


app = App(
    "shop",
    record=record_from_url(os.environ["SHOP_RECORD"]),
    workflows=[wait] if told("no orders") else [create_order] if told("new version") else [create_order, wait],
    engine=os.environ.get("SHOP_ENGINE") or Embedded(HOME / "engine"),
    invariants=[paid_or_new],
    encryptor=ring(),
)
app.provide(Archive(HOME / "archive"))
app.provide(Mirror(HOME / "mirror", Plug({"mirror calling": lambda: die("plug before the mirror")})))
app.provide_factory(
    StripeClient,
    lambda: stripe_client("revoked" if told("revoked") else "sk_test_shop", base_url=os.environ["SHOP_STRIPE"]),
)
app.provide_factory(Ledger, books)
if told("webhooks"):
    app.events(StripeEvents(secrets=["whsec_of_a_test"], livemode=False))
