"""Orders whose money goes back: by refunds of the app's own, by somebody else, by a dispute, by a bank."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from stripe import StripeClient

from recordfirst import Call, Context, Declined, Pending, Reversal, Write, effect, inject, workflow
from recordfirst.providers.contract import Probed
from recordfirst.providers.stripe import (
    METADATA_KEY,
    PAYMENT_INTENTS,
    REFUNDS,
    Payment,
    Refund,
    Stripe,
    find_payment_intent,
    find_refund,
    payment_of,
    refund_of,
)
from tests.events.selling import Selling, insert_order, selling
from tests.starts.harness import Shop

CHARGED = 5000


class Bookkeeping:
    """What an ``on_reversal`` does, and whether it fails behind that."""

    fails = False

    @classmethod
    async def note(cls, w: Write[Any], order: str, reversal: Reversal) -> None:
        await w.tx.execute(f"UPDATE orders SET amount = amount - {reversal.taken_minor} WHERE id = '{order}'")
        await w.tx.execute(f"INSERT INTO visits (who) VALUES ('{order} {reversal.kind} {reversal.amount_minor}')")
        if cls.fails:
            raise LookupError("no books today")


async def find_charge(call: Call, order: str, method: str, *, stripe: StripeClient = inject()) -> Probed:
    return await find_payment_intent(stripe, marker=call.marker, since_ms=call.since_ms, known=call.references)


async def find_back(call: Call, order: str, *, stripe: StripeClient = inject()) -> Probed:
    return await find_refund(stripe, marker=call.marker, since_ms=call.since_ms, known=call.references)


async def given_back(stripe: StripeClient, call: Call, payment: str, amount: int | None, metadata: Any) -> Any:
    params: Any = {"payment_intent": payment, "metadata": metadata} | ({"amount": amount} if amount else {})
    return refund_of(await stripe.v1.refunds.create_async(params, {"idempotency_key": call.key}))


AT_STRIPE = Stripe(lag_s=0.0, arrives_within_s=0, listing=REFUNDS)


@effect(key="order:{order}:undo", provider=AT_STRIPE, after=None, probe=find_back)
async def take_back(call: Call, order: str, payment: Payment, *, stripe: StripeClient = inject()) -> Refund | Pending:
    found: Refund | Pending = await given_back(stripe, call, payment.id, None, {METADATA_KEY: call.marker})
    return found


@effect(
    key="order:{order}:charge",
    provider=Stripe(lag_s=0.0, arrives_within_s=0, listing=PAYMENT_INTENTS),
    after=insert_order,
    probe=find_charge,
    undo=take_back,
)
async def charge(call: Call, order: str, method: str, *, stripe: StripeClient = inject()) -> Payment | Pending:
    params: Any = {"amount": CHARGED, "currency": "usd", "confirm": True, "payment_method": method}
    made = await stripe.v1.payment_intents.create_async(
        params | {"metadata": {METADATA_KEY: call.marker}}, {"idempotency_key": call.key}
    )
    return payment_of(made)


@charge.on_success
async def mark_paid(w: Write[Any], order: str, payment: Payment) -> None:
    await w.tx.execute(f"UPDATE orders SET amount = amount + {payment.amount_minor} WHERE id = '{order}'")


@charge.on_reversal
async def note(w: Write[Any], order: str, reversal: Reversal) -> None:
    await Bookkeeping.note(w, order, reversal)


@effect(key="order:{order}:refund:{number}", provider=AT_STRIPE, after=None, probe=find_back)
async def refund(
    call: Call, order: str, number: int, payment: str, amount: int, *, stripe: StripeClient = inject()
) -> Refund | Pending:
    found: Refund | Pending = await given_back(stripe, call, payment, amount, {METADATA_KEY: call.marker})
    return found


@refund.on_reversal
async def note_failed(w: Write[Any], order: str, reversal: Reversal) -> None:
    await w.tx.execute(f"INSERT INTO visits (who) VALUES ('{order} refund {reversal.kind} {reversal.amount_minor}')")


@effect(key="order:{order}:bare", provider=AT_STRIPE, after=None)
async def refund_without_marker(
    call: Call, order: str, payment: str, amount: int, *, stripe: StripeClient = inject()
) -> Refund | Pending:
    found: Refund | Pending = await given_back(stripe, call, payment, amount, {})
    return found


@workflow
async def buy(ctx: Context, order: str, method: str) -> str:
    await insert_order(ctx, order, method)
    return (await charge(ctx, order, method)).id


@workflow
async def give_back(ctx: Context, order: str, number: int, payment: str, amount: int) -> str:
    return (await refund(ctx, order, number, payment, amount)).id


@workflow
async def give_back_bare(ctx: Context, order: str, payment: str, amount: int) -> str:
    return (await refund_without_marker(ctx, order, payment, amount)).id


@workflow
async def buy_in_vain(ctx: Context, order: str, method: str) -> str:
    await insert_order(ctx, order, method)
    await charge(ctx, order, method)
    raise Declined("nothing is left of it")


WORKFLOWS = (buy, give_back, give_back_bare, buy_in_vain)


class Reversing(Selling):
    """All of it, running."""

    async def buy(self, order: str = "1", method: str = "pm_card_visa") -> str:
        return await (await self.app.start(buy, order, method, id=order)).result()

    async def taken_up(self) -> None:
        """All events that there are were sent, and have come to their end."""
        await self.sim.sent_all()
        await self.until(self.all_taken_up)

    async def amount(self, order: str = "1") -> int:
        [[amount]] = await self.shop.rows(self.app, f"SELECT amount FROM orders WHERE id = '{order}'")
        return int(amount)

    async def stored(self) -> list[tuple[Any, ...]]:
        """What the table has: of which receipt, number, kind, amount, by whom it was handled."""
        table = "recordfirst.reversal" if self.shop.url.startswith("postgresql") else "recordfirst_reversal"
        rows = await self.shop.rows(
            self.app, f"SELECT key, number, kind, amount_minor, handled_by FROM {table} ORDER BY key, number"
        )
        return [tuple(row) for row in rows]


@asynccontextmanager
async def reversing(shop: Shop, **options: Any) -> AsyncIterator[Reversing]:
    Bookkeeping.fails = False
    options = {"workflows": WORKFLOWS, "handlers": ()} | options
    async with selling(shop, **options) as at:
        yield Reversing(at.shop, at.app, at.sim, at.client, at.endpoint, at.url)
