"""Workflows that between them use everything that a workflow can do, for the explorer to break.

One shop, whose bank honours keys and can be asked, whose warehouse honours keys and cannot be asked, and whose post
office does neither. Each story ends the same way whatever strikes, or a promise is broken.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import msgspec

from recordfirst import (
    Absent,
    Call,
    Context,
    Declined,
    Found,
    Pending,
    Provider,
    Unknown,
    Write,
    changed_one,
    effect,
    inject,
    workflow,
    write,
)
from recordfirst.demo.shop import sql
from recordfirst.explore import Case
from recordfirst.providers.contract import Probed, Verdict
from recordfirst.testing import Outside, Refused

TABLES = """
CREATE TABLE orders (id TEXT PRIMARY KEY, amount INTEGER NOT NULL, state TEXT NOT NULL, marks INTEGER DEFAULT 0);
CREATE TABLE lines (order_id TEXT NOT NULL, article TEXT NOT NULL);
CREATE TABLE shipments (id TEXT PRIMARY KEY, article TEXT NOT NULL);
"""


class Order(msgspec.Struct, frozen=True):
    """What is bought."""

    id: str
    amount_minor: int
    articles: tuple[str, ...] = ()


ORDER = Order("1", 1999, ("book", "pen", "cup"))


class Bank(Provider, frozen=True, kw_only=True):
    """Honours keys for a day."""

    name: str = "bank"
    retention_s: int | None = 24 * 3600

    def classify(self, error: Exception) -> Verdict:
        """Read the bank's errors."""
        return Declined(error.reason) if isinstance(error, Refused) else super().classify(error)


WAREHOUSE = Provider(name="warehouse", retention_s=60 * 24 * 3600)
POST = Provider(name="post")


class Others:
    """Everybody outside."""

    def __init__(self, outside: Outside) -> None:
        self.outside = outside

    def ask(self, kind: str, call: Call, request: Any, *, by: Provider, refuse: str | None = None) -> str:
        """Have something done, by a provider that honours keys for as long as it says, if at all."""
        key = None if by.retention_s is None else call.key
        done = self.outside.apply(
            kind, request, key=key, marker=call.marker, refuse=refuse, retention_s=by.retention_s or 0
        )
        return str(done)

    def find(self, kind: str, call: Call) -> Probed:
        """Look what became of it."""
        found = self.outside.find(kind, call.marker)
        if found is None:
            return Absent()
        if found.refused is not None:
            raise Declined(found.refused)
        return Found(found.result)

    def debited(self, call: Call) -> Found | Absent | Pending:
        """What the bank says of a debit: it is pending for some hours."""
        found = self.outside.find("debit", call.marker)
        if found is None:
            return Absent()
        if self.outside.now_ms() < found.at_ms + _DECIDES_MS:
            return Pending(f"dd_{found.result}")
        return Found(found.result)

    def times(self, kind: str) -> int:
        """How often something was done."""
        return sum(asked.kind == kind for asked in self.outside.applied)


# ── writes ──────────────────────────────────────────────────────────────────


async def _insert(w: Write[Any], order: Order) -> None:
    await w.tx.execute(
        sql(w.tx, "INSERT INTO orders (id, amount, state) VALUES (?, ?, 'new')"), (order.id, order.amount_minor)
    )
    for article in order.articles:
        # Nothing here is unique: only the receipt keeps these from being stored twice.
        await w.tx.execute(sql(w.tx, "INSERT INTO lines VALUES (?, ?)"), (order.id, article))


@write
async def insert_order(w: Write[Any], order: Order) -> None:
    """Store the order and its lines."""
    await _insert(w, order)


@write
async def announce_order(w: Write[Any], order: Order) -> None:
    """Store the order, and the intent to charge it, in one transaction."""
    await _insert(w, order)
    w.intend(charge_announced, order)


@write
async def close_order(w: Write[Any], order: Order) -> None:
    """Say that all is done."""
    await mark(w, order, "closed")


async def mark(w: Write[Any], order: Order, state: str) -> None:
    cursor = await w.tx.execute(
        sql(w.tx, "UPDATE orders SET state = ?, marks = marks + 1 WHERE id = ?"), (state, order.id)
    )
    changed_one(cursor, f"order {order.id}")


# ── effects ─────────────────────────────────────────────────────────────────


async def find_charge(call: Call, order: Order, *, others: Others = inject()) -> Probed:
    """Ask the bank."""
    del order
    return others.find("charge", call)


@effect(key="order:{order.id}:refund", provider=Bank, after=None)
async def refund(call: Call, order: Order, *, others: Others = inject()) -> str:
    """Give the money back."""
    return others.ask("refund", call, order.amount_minor, by=Bank())


@refund.on_success
async def mark_refunded(w: Write[Any], order: Order) -> None:
    """With the receipt."""
    await mark(w, order, "refunded")


def _charging(key: str, after: Any, **options: Any) -> Any:
    @effect(key=key, provider=Bank, after=after, probe=find_charge, **options)
    async def charge(call: Call, order: Order, *, others: Others = inject()) -> str:
        return others.ask("charge", call, order.amount_minor, by=Bank())

    @charge.on_success
    async def mark_paid(w: Write[Any], order: Order) -> None:
        await mark(w, order, "paid")

    return charge


charge_card = _charging("order:{order.id}:charge", insert_order, undo=refund, name="charge_card")
charge_announced = _charging("order:{order.id}:charge-announced", announce_order, name="charge_announced")


@effect(key="order:{order.id}:pay", provider=Bank, after=insert_order, probe=find_charge)
async def charge_in_vain(call: Call, order: Order, *, others: Others = inject()) -> str:
    """Declined at the first attempt."""
    no = "no money yet" if call.attempt == 1 else None
    return others.ask("charge", call, order.amount_minor, by=Bank(), refuse=no)


@charge_in_vain.on_decline
async def mark_declined(w: Write[Any], order: Order, declined: Declined) -> None:
    """With the receipt."""
    await mark(w, order, f"declined: {declined.reason}")


@charge_in_vain.on_success
async def mark_paid_at_last(w: Write[Any], order: Order) -> None:
    """With the receipt."""
    await mark(w, order, "paid")


@effect(key="order:{order.id}:unship:{article}", provider=WAREHOUSE, after=None)
async def unship(call: Call, order: Order, article: str, *, others: Others = inject()) -> str:
    """Take a parcel back."""
    return others.ask("unship", call, [order.id, article], by=WAREHOUSE)


@effect(key="order:{order.id}:ship:{article}", provider=WAREHOUSE, after=insert_order, undo=unship)
async def ship(call: Call, order: Order, article: str, *, others: Others = inject()) -> str:
    """Have a parcel sent."""
    return others.ask("ship", call, [order.id, article], by=WAREHOUSE)


@ship.on_success
async def note_shipment(w: Write[Any], order: Order, article: str, shipment: str) -> None:
    """With the receipt."""
    await w.tx.execute(sql(w.tx, "INSERT INTO shipments VALUES (?, ?)"), (f"{order.id}/{article}", shipment))


def render_letter(order: Order) -> dict[str, str]:
    """With a date that is another one each time."""
    return {"to": order.id, "text": f"Thank you, on {_time_ms()}"}


@effect(key="order:{order.id}:letter", provider=WAREHOUSE, after=insert_order, freeze=render_letter)
async def send_letter(call: Call, order: Order, *, others: Others = inject()) -> str:
    """Send what was rendered once."""
    del order
    return others.ask("letter", call, call.request, by=WAREHOUSE)


@effect(key="order:{order.id}:card", provider=POST, after=insert_order)
async def send_card(call: Call, order: Order, *, others: Others = inject()) -> str:
    """The post office knows no keys and answers no questions, and its first answer is lost."""
    done = others.ask("card", call, order.id, by=POST)
    if others.times("card") == 1:
        raise Unknown("the line went dead")
    return done


@effect(key="order:{order.id}:note", provider=POST, after=insert_order)
async def send_note(call: Call, order: Order, *, others: Others = inject()) -> str:
    """As little is known of what becomes of it, and mostly it arrives."""
    return others.ask("note", call, order.id, by=POST)


async def find_parcel(call: Call, order: Order, *, others: Others = inject()) -> Probed:
    """Ask for a parcel."""
    del order
    return others.find("parcel", call)


@effect(key="order:{order.id}:parcel", provider=POST, after=insert_order, probe=find_parcel)
async def send_parcel(call: Call, order: Order, *, others: Others = inject()) -> str:
    """No keys either, but one can ask."""
    return others.ask("parcel", call, order.id, by=POST)


_DECIDES_MS = 3 * 3600 * 1000
"""How long the bank takes to decide about a debit."""


async def find_debit(call: Call, order: Order, *, others: Others = inject()) -> Probed:
    """Ask what has become of a debit."""
    del order
    return others.debited(call)


@effect(key="order:{order.id}:debit", provider=Bank, after=insert_order, probe=find_debit, undo=refund)
async def debit(call: Call, order: Order, *, others: Others = inject()) -> str | Pending:
    """Taken on at once, and decided hours later."""
    done = others.ask("debit", call, order.amount_minor, by=Bank())
    seen = others.debited(call)
    return seen if isinstance(seen, Pending) else done


@debit.on_pending
async def mark_awaited(w: Write[Any], order: Order) -> None:
    """With the receipt: accepted is not paid. It is no mark: who is late finds a debit that is decided."""
    cursor = await w.tx.execute(sql(w.tx, "UPDATE orders SET state = 'awaited' WHERE id = ?"), (order.id,))
    changed_one(cursor, f"order {order.id}")


@debit.on_success
async def mark_debited(w: Write[Any], order: Order) -> None:
    """With the receipt, and once, whoever hears of it."""
    await mark(w, order, "paid")


def _time_ms() -> int:
    import time  # noqa: PLC0415 - the world's own, while it is explored

    return time.time_ns() // 1_000_000


# ── workflows ───────────────────────────────────────────────────────────────


@workflow
async def order(ctx: Context, order: Order) -> str:
    """Insert, charge, close."""
    await insert_order(ctx, order)
    charge: str = await charge_card(ctx, order)
    await close_order(ctx, order)
    return charge


@workflow
async def awaited(ctx: Context, order: Order) -> str:
    """Insert, debit, wait until the bank has decided, close."""
    await insert_order(ctx, order)
    paid: str = await debit(ctx, order)
    await close_order(ctx, order)
    return paid


@workflow
async def announced(ctx: Context, order: Order) -> str:
    """The intent rides in the write."""
    await announce_order(ctx, order)
    charge: str = await charge_announced(ctx, order)
    return charge


class OutOfStockError(Exception):
    """The workflow's own failure."""


@workflow(fails=OutOfStockError)
async def undo(ctx: Context, order: Order) -> str:
    """Charge, send what there is, and take all of it back."""
    await insert_order(ctx, order)
    await charge_card(ctx, order)
    await ship(ctx, order, "book")
    raise OutOfStockError("pen")


@workflow
async def fan_out(ctx: Context, order: Order) -> list[str]:
    """Send everything at once."""
    await insert_order(ctx, order)
    shipments = await asyncio.gather(*(ship(ctx, order, article) for article in order.articles))
    await close_order(ctx, order)
    return list(shipments)


@workflow
async def timer(ctx: Context, order: Order) -> str:
    """Charge after a week."""
    await insert_order(ctx, order)
    await ctx.sleep(timedelta(days=7))
    charge: str = await charge_card(ctx, order)
    return charge


@workflow
async def park(ctx: Context, order: Order) -> str:
    """What became of the card, an operator must say; the letter is the same each time."""
    await insert_order(ctx, order)
    await send_letter(ctx, order)
    card: str = await send_card(ctx, order)
    await close_order(ctx, order)
    return card


@workflow
async def keyless(ctx: Context, order: Order) -> list[str]:
    """Without keys: one may be asked for, the other only looked for by an operator."""
    await insert_order(ctx, order)
    return [await send_parcel(ctx, order), await send_note(ctx, order)]


@workflow
async def attempts(ctx: Context, order: Order) -> str:
    """A declined card, and another attempt."""
    await insert_order(ctx, order)
    try:
        return await charge_in_vain(ctx, order)
    except Declined:
        return await charge_in_vain.attempt(2)(ctx, order)


@workflow
async def hasty(ctx: Context, order: Order) -> str:
    """Does not wait for the write before it charges: the charge has to."""
    _, charge = await asyncio.gather(insert_order(ctx, order), charge_card(ctx, order))
    return str(charge)


@workflow
async def deployed(ctx: Context, order: Order) -> str:
    """Insert, send a letter, close; a later version charges before the letter."""
    await insert_order(ctx, order)
    letter: str = await send_letter(ctx, order)
    await close_order(ctx, order)
    return letter


@workflow(name="deployed")
async def deployed_later(ctx: Context, order: Order) -> str:
    """The later version."""
    await insert_order(ctx, order)
    await charge_card(ctx, order)
    letter: str = await send_letter(ctx, order)
    await close_order(ctx, order)
    return letter


def _case(workflow: Any, *versions: Any) -> Case:
    return Case(
        workflow=workflow,
        args=(ORDER,),
        id="order:1",
        tables=TABLES,
        provide=lambda outside: {Others: Others(outside)},
        invariants=("SELECT article FROM lines GROUP BY article HAVING count(*) > 1",),
        versions=versions,
    )


CASES: dict[str, Case] = {
    found.name: _case(found)
    for found in (order, awaited, announced, undo, fan_out, timer, park, keyless, attempts, hasty)
} | {"deployed": _case(deployed, deployed_later)}
