"""Values that steps need, found by type; two values of one class need two keys."""

from collections.abc import AsyncIterator
from typing import NewType, Protocol

import aiosqlite

from recordfirst import App, Call, Context, Provider, effect, inject, workflow
from recordfirst.records.sqlite import SqliteRecord


# [keys]
class Mailer(Protocol):
    async def send(self, to: str, text: str, message_id: str) -> None: ...


StockDb = NewType("StockDb", aiosqlite.Connection)


class PrintedMail:
    async def send(self, to: str, text: str, message_id: str) -> None:
        print(to, text, message_id)


async def open_stock() -> AsyncIterator[aiosqlite.Connection]:
    async with aiosqlite.connect("stock.db") as connection:
        yield connection


# [/keys]


@effect(key="mail:{order}", provider=Provider(name="mail", retention_s=None), after=None, in_doubt="repeat")
async def send_mail(call: Call, order: str, *, mailer: Mailer = inject(), stock: StockDb = inject()) -> None:
    rows = await stock.execute_fetchall("SELECT count(*) FROM items")
    (in_stock,) = next(iter(rows))
    await mailer.send("buyer@example.com", f"{order}: {in_stock} in stock", call.marker)


@workflow
async def confirm(ctx: Context, order: str) -> None:
    await send_mail(ctx, order)


# [provide]
app = App("shop", record=SqliteRecord("shop.db"), workflows=[confirm])
app.provide(PrintedMail(), as_=Mailer)
app.provide_factory(StockDb, open_stock)
# [/provide]
