"""The workflows that die: each calls the bank in one of an effect's ways, and passes points to die at."""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import stripe
from stripe import StripeClient

from recordfirst import (
    Absent,
    Call,
    Context,
    Declined,
    Found,
    Pending,
    Provider,
    Read,
    Write,
    effect,
    inject,
    read,
    workflow,
    write,
)
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
from tests.effects.harness import ORDER, Bank, Order, Plug, Shop, die, mark, sql

# What the tests' bank has not got when a caller is gone never comes.
KEYED = Provider(name="bank with keys", retention_s=24 * 3600, arrives_within_s=0)
PLAIN = Provider(name="bank without keys", arrives_within_s=0)
STRIPE = Stripe(lag_s=0.0, arrives_within_s=0)

PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload([__name__, "recordfirst.records.postgres", "recordfirst.records.sqlite"])


async def insert(w: Write, order: Order) -> None:
    await w.tx.execute(
        sql(w.tx, "INSERT INTO orders (id, amount, state) VALUES (?, ?, 'new')"), (order.id, order.amount_minor)
    )


@write
async def insert_order(w: Write, order: Order) -> None:
    await insert(w, order)


@write
async def announce_order(w: Write, order: Order, *, plug: Plug = inject()) -> None:
    await insert(w, order)
    w.intend(charge_announced, order)
    plug("in the write")


def post(call: Call, order: Order, bank: Bank, plug: Plug, kind: str = "charge", *, keyed: bool = True) -> str:
    """One call of the bank, and the points around it."""
    plug(f"{kind} calling")
    posted = bank.post(kind, order, key=call.key if keyed else None, marker=call.marker)
    plug(f"{kind} applied")
    return posted


async def probe_charge(call: Call, order: Order, *, bank: Bank = inject(), plug: Plug = inject()) -> Probed:
    plug("probing")
    found = bank.find("charge", call.marker)
    return Found(found) if found else Absent()


@effect(key="order:{order.id}:refund", provider=KEYED, after=insert_order)
async def refund(call: Call, order: Order, *, bank: Bank = inject(), plug: Plug = inject()) -> str:
    return post(call, order, bank, plug, "refund")


@effect(key="order:{order.id}:charge", provider=KEYED, after=insert_order, undo=refund)
async def charge(call: Call, order: Order, *, bank: Bank = inject(), plug: Plug = inject()) -> str:
    return post(call, order, bank, plug)


@effect(key="order:{order.id}:charge-announced", provider=KEYED, after=announce_order)
async def charge_announced(call: Call, order: Order, *, bank: Bank = inject(), plug: Plug = inject()) -> str:
    return post(call, order, bank, plug)


@effect(key="order:{order.id}:charge-probed", provider=PLAIN, after=insert_order, probe=probe_charge)
async def charge_probed(call: Call, order: Order, *, bank: Bank = inject(), plug: Plug = inject()) -> str:
    return post(call, order, bank, plug, keyed=False)


@effect(key="order:{order.id}:charge-blind", provider=PLAIN, after=insert_order)
async def charge_blind(call: Call, order: Order, *, bank: Bank = inject(), plug: Plug = inject()) -> str:
    return post(call, order, bank, plug, keyed=False)


@effect(key="order:{order.id}:charge-again", provider=PLAIN, after=insert_order, in_doubt="repeat")
async def charge_again(call: Call, order: Order, *, bank: Bank = inject(), plug: Plug = inject()) -> str:
    return post(call, order, bank, plug, keyed=False)


@effect(key="order:{order.id}:charge-twice", provider=KEYED, after=insert_order)
async def charge_twice(call: Call, order: Order, *, bank: Bank = inject(), plug: Plug = inject()) -> str:
    if call.attempt == 1:
        raise Declined("no money yet")
    return post(call, order, bank, plug)


async def mark_paid(w: Write, order: Order, *, plug: Plug = inject()) -> None:
    await mark(w, order.id, "paid")
    plug("in on_success")


async def mark_declined(w: Write, order: Order, *, plug: Plug = inject()) -> None:
    await mark(w, order.id, "declined")
    plug("in on_decline")


for _effect in (charge, charge_announced, charge_probed, charge_blind, charge_again, charge_twice):
    _effect.on_success(mark_paid)
    _effect.on_decline(mark_declined)


@refund.on_success
async def mark_refunded(w: Write, order: Order, *, plug: Plug = inject()) -> None:
    await mark(w, order.id, "refunded")
    plug("in on_success of the refund")


class OutOfStockError(Exception):
    """The workflow's own failure."""


@workflow
async def keyed(ctx: Context, order: Order) -> str:
    await insert_order(ctx, order)
    return await charge(ctx, order)


@workflow
async def announced(ctx: Context, order: Order) -> str:
    await announce_order(ctx, order)
    return await charge_announced(ctx, order)


@workflow
async def probed(ctx: Context, order: Order) -> str:
    await insert_order(ctx, order)
    return await charge_probed(ctx, order)


@workflow
async def blind(ctx: Context, order: Order) -> str:
    await insert_order(ctx, order)
    return await charge_blind(ctx, order)


@workflow
async def again(ctx: Context, order: Order) -> str:
    await insert_order(ctx, order)
    return await charge_again(ctx, order)


@workflow
async def second(ctx: Context, order: Order) -> str:
    await insert_order(ctx, order)
    try:
        return await charge_twice(ctx, order)
    except Declined:
        return await charge_twice.attempt(2)(ctx, order)


@workflow(fails=OutOfStockError)
async def refunded(ctx: Context, order: Order) -> str:
    await insert_order(ctx, order)
    await charge(ctx, order)
    raise OutOfStockError("out of stock")


@read
async def look_for_stock(r: Read, order: Order, *, bank: Bank = inject()) -> None:
    """Its outcome is in the engine alone, and may be another one when it is looked at again."""
    if not (bank.path.parent / "in stock").exists():
        raise OutOfStockError("out of stock")


@workflow(fails=OutOfStockError)
async def sold(ctx: Context, order: Order) -> str:
    await insert_order(ctx, order)
    await charge(ctx, order)
    await look_for_stock(ctx, order)
    return "sold"


async def find_payment(call: Call, order: Order, *, client: StripeClient = inject(), plug: Plug = inject()) -> Probed:
    plug("probing")
    return await find_payment_intent(client, marker=call.marker, since_ms=call.since_ms)


def charging(order: Order, call: Call) -> Any:
    return {
        "amount": order.amount_minor,
        "currency": "usd",
        "confirm": True,
        "payment_method": "pm_card_visa",
        "metadata": {METADATA_KEY: call.marker},
    }


@effect(key="order:{order.id}:stripe-refund", provider=STRIPE, after=insert_order)
async def refund_stripe(
    call: Call, order: Order, payment: Payment, *, client: StripeClient = inject()
) -> Refund | Pending:
    made = await client.v1.refunds.create_async(
        {"payment_intent": payment.id, "metadata": {METADATA_KEY: call.marker}}, {"idempotency_key": call.key}
    )
    return refund_of(made)


@effect(key="order:{order.id}:stripe", provider=STRIPE, after=insert_order, probe=find_payment, undo=refund_stripe)
async def charge_stripe(
    call: Call, order: Order, *, client: StripeClient = inject(), plug: Plug = inject()
) -> Payment | Pending:
    plug("charge calling")
    intent = await client.v1.payment_intents.create_async(charging(order, call), {"idempotency_key": call.key})
    plug("charge applied")
    return payment_of(intent)


@workflow
async def by_card(ctx: Context, order: Order) -> str:
    await insert_order(ctx, order)
    return (await charge_stripe(ctx, order)).status


@workflow(fails=OutOfStockError)
async def by_card_in_vain(ctx: Context, order: Order) -> str:
    await insert_order(ctx, order)
    await charge_stripe(ctx, order)
    raise OutOfStockError("out of stock")


async def find_held(call: Call, order: Order, *, bank: Bank = inject(), plug: Plug = inject()) -> Probed:
    plug("asking")
    if (bank.path.parent / "money").exists():
        return Found("paid")
    if bank.find("cancel", f"{call.marker}/cancel"):
        raise Declined("cancelled")
    return Pending(order.id) if bank.find("charge", call.marker) else Absent()


@effect(key="order:{order.id}:cancel", provider=KEYED, after=insert_order)
async def cancel_held(
    call: Call, order: Order, pending: Pending, *, bank: Bank = inject(), plug: Plug = inject()
) -> str:
    return post(call, order, bank, plug, "cancel")


@effect(
    key="order:{order.id}:charge-held", provider=KEYED, after=insert_order, probe=find_held, undo=refund,
    expires_s=7200, on_expiry=cancel_held,
)  # fmt: skip
async def charge_held(call: Call, order: Order, *, bank: Bank = inject(), plug: Plug = inject()) -> str | Pending:
    post(call, order, bank, plug)
    return Pending(order.id)


@charge_held.on_pending
async def mark_held(w: Write, order: Order, *, plug: Plug = inject()) -> None:
    await mark(w, order.id, "held")
    plug("in on_pending")


charge_held.on_success(mark_paid)
charge_held.on_decline(mark_declined)


@workflow
async def held(ctx: Context, order: Order) -> str:
    await insert_order(ctx, order)
    try:
        return await charge_held(ctx, order)
    except Declined as declined:
        return declined.code or "declined"


charge_stripe.on_success(mark_paid)
charge_stripe.on_decline(mark_declined)
WORKFLOWS = (keyed, announced, probed, blind, again, second, refunded, sold, by_card, by_card_in_vain, held)


def stripe_at(url: str) -> dict[Any, Any]:
    """How a shop is given its Stripe; nobody goes there who has no need to."""
    stripe.enable_telemetry = False
    return {StripeClient: partial(stripe_client, "sk_test_x", base_url=url or "http://127.0.0.1:9", timeout_s=0.3)}


async def work(url: str, bank: Path, stripe_url: str, name: str, at: dict[str, Callable[[], object]]) -> None:
    """Start the workflow of this name, and work on whatever is open until it has ended."""
    wanted = next(workflow for workflow in WORKFLOWS if workflow.name == name)
    shop = Shop(url, Bank(bank))
    async with shop.working(*WORKFLOWS, plug=Plug(at), random=lambda: 0.0, factories=stripe_at(stripe_url)) as app:
        await (await app.start(wanted, ORDER, id="order:1")).result()


def run_until(url: str, bank: Path, stripe_url: str, name: str, point: str) -> None:
    """What a process does that is to die at a point; it ends in peace if it never gets there."""
    asyncio.run(work(url, bank, stripe_url, name, {point: die}))


def run_and_hang(url: str, bank: Path, stripe_url: str, name: str, point: str) -> None:
    """What a process does that stalls at a point, with its loop, until it is killed."""
    asyncio.run(work(url, bank, stripe_url, name, {point: lambda: time.sleep(600)}))


def process(target: Callable[..., None], shop: Shop, name: str, point: str, stripe_url: str = "") -> BaseProcess:
    """Another process, as the tests run it."""
    made = PROCESSES.Process(target=target, args=(shop.url, shop.bank.path, stripe_url, name, point))
    made.start()
    return made


async def dies_at(shop: Shop, name: str, point: str, stripe_url: str = "") -> None:
    """Let a process work until it kills itself at this point."""
    dying = process(run_until, shop, name, point, stripe_url)
    await asyncio.to_thread(dying.join)
    assert dying.exitcode == -signal.SIGKILL, f"it never came to {point!r}"
    dying.close()
