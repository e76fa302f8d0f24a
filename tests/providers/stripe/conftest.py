"""The real SDK over real HTTP: against the simulator, and against a server that says whatever a test wants."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import stripe
from aiohttp import web

from recordfirst.providers.stripe import METADATA_KEY, stripe_client
from recordfirst.testing import StripeSimulator


@pytest.fixture(autouse=True)
def no_telemetry(monkeypatch):
    """The SDK would write an id into the home directory."""
    monkeypatch.setattr(stripe, "enable_telemetry", False)


class Shop:
    """A simulator, a client of it, and the two calls that a shop makes."""

    def __init__(self, sim: StripeSimulator, client: stripe.StripeClient) -> None:
        self.sim, self.client = sim, client

    async def pay(
        self, key: str | None, *, marker: str = "shop/o1", amount: int = 1999, **more: Any
    ) -> stripe.PaymentIntent:
        params: Any = {
            "amount": amount,
            "currency": "usd",
            "confirm": True,
            "payment_method": "pm_card_visa",
            "metadata": {METADATA_KEY: marker},
            **more,
        }
        options: Any = {} if key is None else {"idempotency_key": key}
        return await self.client.v1.payment_intents.create_async(params, options)

    async def refund(self, intent: str, key: str, *, marker: str = "shop/o1/refund", **more: Any) -> stripe.Refund:
        params: Any = {"payment_intent": intent, "metadata": {METADATA_KEY: marker}, **more}
        return await self.client.v1.refunds.create_async(params, {"idempotency_key": key})

    async def failure(self, call: Awaitable[object]) -> Exception:
        """Await what must fail, and return how."""
        with pytest.raises(Exception) as caught:  # noqa: PT011 - what it is, is what the test asks
            await call
        return caught.value


@asynccontextmanager
async def shop(timeout_s: float = 10.0) -> AsyncIterator[Shop]:
    async with StripeSimulator() as sim, stripe_client("sk_test_x", base_url=sim.url, timeout_s=timeout_s) as client:
        yield Shop(sim, client)


@pytest.fixture
def open_shop():
    return shop


@asynccontextmanager
async def serve(answer: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    """Serve every request with ``answer(request)``."""
    runner = web.ServerRunner(web.Server(answer), shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield "http://{}:{}".format(*runner.addresses[0][:2])
    finally:
        await runner.cleanup()


@pytest.fixture
def server():
    return serve
