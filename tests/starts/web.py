"""A web shop as a process: ``python -m tests.starts.web URL``. A bare ASGI app, served over HTTP by a few lines.

It dies by SIGKILL right before or right after the commit, if the request's query says so.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any

import msgspec
from aiohttp import web

from recordfirst import App, Call, Context, Provider, effect, insert_or_same, workflow, write
from recordfirst.errors import RecordfirstError
from recordfirst.records.open import record_from_url
from tests.engines import engine_for
from tests.starts.harness import migrated


class Order(msgspec.Struct, frozen=True):
    id: str
    amount: int


@write
async def accept(w, order: Order) -> None:
    await w.tx.execute(f"INSERT INTO visits (who) VALUES ('accepted {order.id}')")


@effect(key="order:{order.id}:charge", provider=Provider(name="bank", retention_s=86_400), after=accept)
async def charge(call: Call, order: Order) -> int:
    return order.amount


@charge.on_success
async def mark_charged(w, order: Order, charged: int) -> None:
    await w.tx.execute(f"INSERT INTO visits (who) VALUES ('charged {order.id}: {charged}')")


@workflow
async def create_order(ctx: Context, order: Order) -> str:
    await accept(ctx, order)
    await charge(ctx, order)
    return "done"


def shop(url: str) -> App:
    return App("shop", record=record_from_url(url), workflows=[create_order], engine=engine_for(url))


def asgi(app: App) -> Any:
    """The ASGI application: POST an order, and it is taken together with its workflow, or not at all."""

    async def handle(scope: Any, receive: Any, send: Any) -> None:
        dies = scope["query_string"].decode()
        body = (await receive())["body"]
        order = msgspec.json.decode(body, type=Order)
        try:
            async with app.record.write() as w:
                await insert_or_same(w.tx, "orders", {"id": order.id}, {"amount": order.amount})
                w.start(create_order, order, id=f"order:{order.id}")
                if dies == "before":
                    os.kill(os.getpid(), signal.SIGKILL)
            if dies == "after":
                os.kill(os.getpid(), signal.SIGKILL)
            status, text = 202, b"accepted"
        except RecordfirstError as error:
            status, text = 409, str(error).encode()
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": text})

    return handle


def served(application: Any) -> Any:
    """An aiohttp handler that speaks ASGI to the application."""

    async def handler(request: web.Request) -> web.Response:
        sent: list[dict[str, Any]] = []
        body = await request.read()

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        scope = {"type": "http", "method": request.method, "query_string": request.query_string.encode()}
        await application(scope, receive, send)
        return web.Response(status=sent[0]["status"], body=sent[1]["body"])

    return handler


async def main(url: str) -> None:
    """Serve on loopback until killed; say where."""
    await migrated(url)
    async with shop(url) as app:
        site = web.Application()
        site.router.add_post("/orders", served(asgi(app)))
        runner = web.AppRunner(site, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        sys.stdout.write(f"http://127.0.0.1:{runner.addresses[0][1]}/orders\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
