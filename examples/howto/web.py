"""A web handler that commits an order and its workflow in one transaction. No framework: plain ASGI."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiosqlite import Connection

from recordfirst import App, Context, Write, workflow, write
from recordfirst.records.sqlite import SqliteRecord


class Order(msgspec.Struct, frozen=True):
    id: str
    amount_minor: int


@write
async def accept_order(w: Write[Connection], order: Order) -> None:
    await w.tx.execute("UPDATE orders SET status = 'accepted' WHERE id = ?", (order.id,))


@workflow
async def create_order(ctx: Context, order: Order) -> str:
    await accept_order(ctx, order)
    return "accepted"


app = App("shop", record=SqliteRecord("shop.db"), workflows=[create_order])


# [handler]
async def post_order(body: bytes) -> None:
    order = msgspec.json.decode(body, type=Order)
    async with app.record.write() as w:
        await w.tx.execute(
            "INSERT INTO orders (id, amount_minor, status) VALUES (?, ?, 'new')", (order.id, order.amount_minor)
        )
        w.start(create_order, order, id=f"order:{order.id}")


# [/handler]


# [lifespan]
async def asgi(
    scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[Any], Awaitable[None]]
) -> None:
    if scope["type"] == "lifespan":
        await receive()
        async with app:
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})
        return
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    await post_order(body)
    await send({"type": "http.response.start", "status": 202, "headers": []})
    await send({"type": "http.response.body", "body": b""})


# [/lifespan]
