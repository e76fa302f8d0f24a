"""A worker process for the restores: ``python -m tests.reconcile.program RECORD ENGINE BOOKS``."""

from __future__ import annotations

import asyncio
import logging
import sys
from datetime import timedelta

from recordfirst import Absent, App, Call, Context, Found, Provider, effect, inject, workflow, write
from recordfirst.providers.contract import Probed
from recordfirst.reconcile import keeper
from recordfirst.records.open import record_from_url
from tests.reconcile.bank import Books

BANK = Provider(name="bank")


@write
async def visit(w, who: str) -> None:
    await w.tx.execute(f"INSERT INTO visits (who) VALUES ('{who}')")


async def find(call: Call, who: str, *, books: Books = inject()) -> Probed:
    return Found("found") if books.has(call.marker) else Absent()


@effect(key="{who}:charge", provider=BANK, after=visit, probe=find, timeout_s=1.0)
def charge(call: Call, who: str, *, books: Books = inject()) -> str:
    books.charge(call.marker)
    return "charged"


@effect(key="{who}:ship", provider=BANK, after=visit, probe=find, timeout_s=1.0)
def ship(call: Call, who: str, *, books: Books = inject()) -> str:
    books.charge(call.marker)
    return "shipped"


@charge.on_success
async def paid(w, who: str) -> None:
    await w.tx.execute(f"INSERT INTO visits (who) VALUES ('{who} has paid')")


@workflow
async def order(ctx: Context, who: str, wait_ms: int) -> str:
    await visit(ctx, who)
    await charge(ctx, who)
    await ctx.sleep(timedelta(milliseconds=wait_ms))
    await ship(ctx, who)
    return who


def app_of(record: str, engine: str | None, books: str) -> App:
    app = App("shop", record=record_from_url(record), workflows=[order], engine=engine, concurrency=16)
    app.provide(Books(books))
    return app


async def main(record: str, engine: str, books: str) -> None:
    keeper.WATCH_S, keeper.MARK_EVERY = 0.1, 3
    async with app_of(record, engine, books).worker():
        await asyncio.Event().wait()


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    asyncio.run(main(*sys.argv[1:]))
