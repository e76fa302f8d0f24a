"""An app of which much is amiss: something for each pass of a reconciler to find and to repair."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from recordfirst import Absent, App, Call, Context, Found, Provider, effect, inject, workflow, write
from recordfirst.core import decide as d
from recordfirst.core.start import Finish
from recordfirst.engine.contract import Engine
from recordfirst.providers.contract import Probed
from recordfirst.reconcile import lives
from recordfirst.reconcile.timelines import leave_mark
from recordfirst.records.open import record_from_url
from tests.restores.carrier import Books

BANK = Provider(name="bank")
lives._SETTLING_S = 0.0


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


def app_of(record: str, engine: str, books: str) -> App:
    """The app, whose engine is a server."""
    app = App("shop", record=record_from_url(record), workflows=[order], engine=engine)
    app.provide(Books(books))
    return app


OPEN = ("there", "lost", "ended", "overdue", "parked")
GIVEN = ("there", "lost", "ended", "overdue")
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
