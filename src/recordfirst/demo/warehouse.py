"""The demo's warehouse: an HTTP API that ships once per idempotency key, and sometimes cuts the connection."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Self

import msgspec
from aiohttp import web


class WarehouseServer:
    """Serves on loopback while its ``async with`` block lasts."""

    def __init__(
        self, seed: int, lost_reply: float = 0.0, *, out_of_stock: Callable[[str], bool] = lambda _: False
    ) -> None:
        self._out_of_stock = out_of_stock
        self._random = random.Random(seed)  # noqa: S311 - faults, not secrets
        self._lost_reply = lost_reply
        self._by_key: dict[str, str] = {}
        self.shipments: Counter[str] = Counter()
        """How many shipments each order has."""
        self.url = ""

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/shipments", self._ship)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._runner.cleanup()

    async def _ship(self, request: web.Request) -> web.Response:
        key = request.headers["Idempotency-Key"]
        order: str = msgspec.json.decode(await request.read())["order"]
        if self._out_of_stock(order):
            return web.Response(status=409)
        if key not in self._by_key:
            self._by_key[key] = f"sh_{len(self._by_key) + 1}"
            self.shipments[order] += 1
        if self._random.random() < self._lost_reply and request.transport is not None:
            request.transport.close()
        return web.Response(body=msgspec.json.encode({"id": self._by_key[key]}), content_type="application/json")
