"""A provider that refuses the app's credential is said once, is a finding, and takes nothing away (P3, P10)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from recordfirst import Call, Context, Provider, effect, inject, workflow
from recordfirst.errors import REFUSED_CREDENTIAL, NotDone
from recordfirst.observe import CredentialAccepted, CredentialRefused
from recordfirst.providers.contract import Verdict
from recordfirst.providers.stripe import Stripe
from tests.starts.harness import Shop

stripe = pytest.importorskip("stripe")


class Forbidden(Exception):  # noqa: N818 - as an API names its answer
    """What a client of an API of one's own raises for a 403."""


class Warehouse(Provider, frozen=True, kw_only=True):
    name: str = "warehouse"
    retention_s: int | None = 86_400

    def classify(self, error: Exception) -> Verdict:
        if isinstance(error, Forbidden):
            return NotDone("this token may not do that", code=REFUSED_CREDENTIAL)
        return Provider.classify(self, error)


class World:
    """A provider with a lock on its door."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.refused, self.done = 0, 0

    def enter(self) -> None:
        if self.error is not None:
            self.refused += 1
            raise self.error
        self.done += 1


@effect(key="{who}:ship", provider=Warehouse, after=None)
async def ship(call: Call, who: str, *, world: World = inject()) -> None:
    world.enter()


@effect(key="{who}:pay", provider=Stripe, after=None)
async def pay(call: Call, who: str, *, world: World = inject()) -> None:
    world.enter()


@workflow
async def shipping(ctx: Context, who: str) -> None:
    await ship(ctx, who)


@workflow
async def paying(ctx: Context, who: str) -> None:
    await pay(ctx, who)


ERRORS = [
    (shipping, "warehouse", Forbidden()),
    (paying, "stripe", stripe.AuthenticationError("Expired API Key provided", http_status=401)),
    (paying, "stripe", stripe.PermissionError("The key lacks a permission", http_status=403)),
    (paying, "stripe", stripe.APIError("<html>Forbidden</html>", http_status=403)),
]


@pytest.mark.parametrize(("flow", "provider", "error"), ERRORS)
async def test_it_is_said_once_and_found_until_a_call_gets_through(
    record_url: str, flow: Any, provider: str, error: Exception
) -> None:
    """P10: however many wait, and however often they are called. P3: each is done once in the end."""
    shop, world = Shop(record_url), World()
    world.error = error
    async with shop.working(flow, provide={World: world}, random=lambda: 0.0) as app:
        handles = [await app.start(flow, who, id=who) for who in ("ann", "bob")]
        async with asyncio.timeout(30):
            while world.refused < 4:
                await asyncio.sleep(0.05)
        assert [event.provider for event in shop.seen(CredentialRefused)] == [provider]
        assert await found(app) == [("RF-CREDENTIAL-REFUSED", provider)]
        world.error = None
        async with asyncio.timeout(60):
            await asyncio.gather(*(handle.result() for handle in handles))
        assert world.done == len(handles)
        assert [event.provider for event in shop.seen(CredentialAccepted)] == [provider]
        assert await found(app) == []


async def found(app: Any) -> list[tuple[str, str]]:
    report = await app.reconcile(only=["intents"])
    return [(seen.finding.code, seen.finding.subject) for seen in report.found]


def test_no_other_answer_of_stripe_is_one() -> None:
    """P5: a decline, a limit, or no answer says nothing of the credential."""
    others = [
        stripe.CardError("no", "n", "card_declined", http_status=402, json_body={"error": {"type": "card_error"}}),
        stripe.RateLimitError("slow", http_status=429),
        stripe.APIError("down", http_status=503),
        stripe.APIConnectionError("no answer"),
    ]
    assert [getattr(Stripe().classify(error), "code", None) == REFUSED_CREDENTIAL for error in others] == [False] * 4
