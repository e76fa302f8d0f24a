"""An app of which much is amiss: something for each pass of a reconciler to find and to repair."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from pathlib import Path
from typing import Any

from recordfirst import Absent, App, Call, Context, Found, Provider, Read, effect, inject, project, workflow, write
from recordfirst.core import decide as d
from recordfirst.core.start import Finish
from recordfirst.engine.contract import Engine
from recordfirst.execution.projection_runner import NotConfirmed, bring
from recordfirst.providers.contract import Item, Listing, Probed
from recordfirst.reconcile.passes import starts as epochs
from recordfirst.reconcile.restores import leave_mark
from recordfirst.records.open import record_from_url
from tests.references.program import Mirror
from tests.restores.carrier import Books

_PAGE = 2


async def page(books: Books, since_ms: int, before_ms: int, after: str | None) -> tuple[list[Item], str | None]:
    """What the bank has, as it was made half an hour ago: each reconcile looks at it in one of its windows."""
    at_ms = books.since_ms() - 1_800_000
    there = sorted(marker for marker in books.counts() if marker > (after or ""))
    if not since_ms <= at_ms < before_ms:
        return [], None
    items = [Item(id=marker, marker=marker, at_ms=at_ms, stands=True) for marker in there[:_PAGE]]
    return items, there[_PAGE - 1] if len(there) > _PAGE else None


BANK = Provider(
    name="bank", arrives_within_s=0, listing=Listing(name="calls", client=Books, page=page, pages_per_s=1_000.0)
)
epochs._SETTLING_S = 0.0


@write
async def visit(w: Any, who: str) -> None:
    await w.tx.execute(f"INSERT INTO visits (who) VALUES ('{who}')")


async def find(call: Call, who: str, *, books: Books = inject()) -> Probed:
    return Found("charged") if books.has(call.marker) else Absent()


@effect(key="{who}:charge", provider=BANK, after=visit, probe=find)
async def charge(call: Call, who: str, *, books: Books = inject()) -> str:
    books.write(call.marker)
    return "charged"


@charge.on_success
async def paid(w: Any, who: str) -> None:
    await w.tx.execute(f"INSERT INTO visits (who) VALUES ('{who} has paid')")


@effect(key="{who}:letter", provider=BANK, after=visit)
async def letter(call: Call, who: str, *, books: Books = inject()) -> str:
    books.write(call.marker)
    return "sent"


@workflow
async def order(ctx: Context, who: str) -> str:
    await visit(ctx, who)
    await ctx.sleep(timedelta(days=1))
    await letter(ctx, who)
    return await charge(ctx, who)


@project(key="{who}:shown", into=Mirror, id="{who}")
async def show(r: Read[Any], who: str) -> dict[str, Any] | None:
    found = await (await r.tx.execute(f"SELECT count(*) FROM visits WHERE who = '{who}'")).fetchone()
    return None if not found or not found[0] else {"visits": found[0]}


@show.every
async def every_visitor(r: Read[Any], after: str | None) -> list[str]:
    query = f"SELECT DISTINCT who FROM visits WHERE who > '{after or ''}' ORDER BY who LIMIT 2"
    return [row[0] for row in await (await r.tx.execute(query)).fetchall()]


@workflow
async def shown(ctx: Context, who: str) -> None:
    await show(ctx, who)


def app_of(record: str, engine: str, books: str) -> App:
    """The app, whose engine is a server."""
    app = App("shop", record=record_from_url(record), workflows=[order, shown], engine=engine)
    app.provide(Books(books))
    app.provide(Mirror(Path(f"{books}.mirror")))
    return app


OPEN = ("there", "lost", "ended", "overdue", "parked")
GIVEN = ("there", "lost", "ended", "overdue")
VISITORS = ("ann", "bob", "eve")
CLOSED = ("charged", "not charged", "written", "unknown")


async def make_amiss(app: App, engine: Engine, books: Books) -> None:
    """Workflows that the engine has, has lost, or has ended; effects that are overdue, were left behind, or unknown."""
    for who in (*OPEN, *CLOSED):
        await app.start(order, who, id=who)
    await leave_mark(app.runtime, engine)
    await leave_mark(app.runtime, engine)
    async with app.runtime.record.session() as session:
        given = [start for start in await session.starts("open", 20) if start.id in GIVEN]
        await session.dispatched(given, engine.identity)
        for who in ("there", "ended", "overdue"):
            await engine.create(f"shop~{who}", "order", {"who": who})
        await engine.settle("shop~ended")
        for who, step in (
            ("overdue", charge), ("parked", charge), ("charged", charge), ("not charged", charge), ("written", letter),
            ("unknown", charge),
        ):  # fmt: skip
            new = await step.new_receipt(app.runtime, who, {"who": who}, 0)
            receipt = (await session.intend(new, after=None, claim="x", claim_ms=1)).receipt
            assert receipt is not None
            if who in ("parked", "unknown"):
                await session.change_receipt(receipt, d.unknown(receipt, '{"reason":"lost"}'))
        await session.finish([Finish(id=who, epoch=1, state="failed", error="{}") for who in CLOSED])
    for who in ("charged", "parked"):
        books.write(f"shop/{who}:charge")
    await _make_others_amiss(app, books)


def _is_away(point: str) -> None:
    raise OSError(f"the mirror is away, {point}")


async def _make_others_amiss(app: App, books: Books) -> None:
    """What the bank has and no receipt knows, and the other way; mirrors that are behind, and that show wrongly."""
    books.write("shop/nobody:charge")
    async with app.runtime.record.session() as session:
        new = await charge.new_receipt(app.runtime, "gone", {"who": "gone"}, 0)
        receipt = (await session.intend(new, after=None, claim="x", claim_ms=1)).receipt
        assert receipt is not None
        await session.change_receipt(receipt, d.succeeded(receipt, '"charged"'))
    async with app.record.write() as w:
        for who in VISITORS:
            await w.tx.execute(f"INSERT INTO visits (who) VALUES ('{who}')")
    mirror = await app.runtime.injector.get(Mirror)
    mirror.plug = _is_away
    with contextlib.suppress(NotConfirmed):
        await bring(show, app.runtime, {"who": "ann"}, None)
    mirror.set("bob", {"visits": 7}, 1)
    mirror.set("eve", {"visits": 1}, 1)
