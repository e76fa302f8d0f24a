"""Orders that are paid by banks, whose events name transfers alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from recordfirst import (
    App,
    Call,
    Context,
    Provider,
    Reversal,
    SignedEvents,
    TakenBack,
    Unknown,
    Write,
    effect,
    workflow,
)
from recordfirst.core.receipt import Receipt
from recordfirst.core.reversal import TakenBackAs, TakenBackState
from recordfirst.events.endpoint import EventEndpoint
from tests.events.test_signed import body, hmac_of
from tests.starts.harness import Shop

TAKEN: list[TakenBack] = []
"""What every bank of these tests has that takes back."""


class Bank(Provider, frozen=True, kw_only=True):
    """It numbers what it makes, as any other bank does."""

    name: str = "bank"
    retention_s: int | None = None

    def references(self, result: Any) -> Mapping[str, str]:
        return {"transfer": str(result)}

    async def taken_back(self, get: Any, references: Mapping[str, str]) -> list[TakenBack]:
        return list(TAKEN)


@effect(key="order:{order}:send", provider=Bank, after=None)
async def send(call: Call, order: str) -> str:
    return "1"


@send.on_reversal
async def note_sent(w: Write[Any], order: str, reversal: Reversal) -> None:
    await w.tx.execute(f"INSERT INTO visits (who) VALUES ('{order} sent {reversal.kind} {reversal.amount_minor}')")


@effect(key="order:{order}:other", provider=Bank(name="other"), after=None)
async def send_elsewhere(call: Call, order: str, number: str) -> str:
    return number


@send_elsewhere.on_reversal
async def note_other(w: Write[Any], order: str, reversal: Reversal) -> None:
    await w.tx.execute(f"INSERT INTO visits (who) VALUES ('{order} other {reversal.kind} {reversal.amount_minor}')")


@effect(key="order:{order}:part:{part}", provider=Bank, after=None)
async def send_part(call: Call, order: str, part: int) -> str:
    return "1"


@send_part.on_reversal
async def note_part(w: Write[Any], order: str, part: int, reversal: Reversal) -> None:
    await w.tx.execute(f"INSERT INTO visits (who) VALUES ('{order} {part} {reversal.kind}')")


@effect(key="order:{order}:doubtful", provider=Bank, after=None)
async def send_in_doubt(call: Call, order: str) -> str:
    raise Unknown("the line went dead")


@send_in_doubt.on_reversal
async def note_doubtful(w: Write[Any], order: str, reversal: Reversal) -> None:
    await w.tx.execute(f"INSERT INTO visits (who) VALUES ('{order} {reversal.kind}')")


@workflow
async def pay(ctx: Context, order: str) -> str:
    return await send(ctx, order)


@workflow
async def pay_elsewhere(ctx: Context, order: str, number: str) -> str:
    return await send_elsewhere(ctx, order, number)


@workflow
async def pay_part(ctx: Context, order: str, part: int) -> str:
    return await send_part(ctx, order, part)


@workflow
async def pay_in_doubt(ctx: Context, order: str) -> str:
    return await send_in_doubt(ctx, order)


BANKING = (pay, pay_elsewhere, pay_part, pay_in_doubt)


class Banking:
    """A shop with banks, running."""

    def __init__(self, shop: Shop, app: App) -> None:
        self.shop, self.app = shop, app

    async def event(self, id: str, provider: str = "bank", type: str = "transfer.returned", **names: str) -> None:
        """Take one event in."""
        source = SignedEvents(
            provider,
            secrets=["s"],
            header="X-Signature",
            markers=lambda event: [event["marker"]] if "marker" in event else [],
            references=lambda event: [event["transfer"]] if "transfer" in event else [],
        )
        given = body(id, type, **names)
        event = source.read(given, {"x-signature": hmac_of(given)})
        assert await EventEndpoint(self.app.runtime, source).take(event) == "new"

    async def receipt(self, key: str) -> Receipt:
        async with self.app.runtime.record.session() as session:
            receipt = (await session.find_receipt(key)).receipt
        assert receipt is not None
        return receipt

    async def states(self) -> dict[str, str]:
        return {each.id or each.hash: each.state for each in await self.app.operations.events.newest(limit=100)}

    async def visits(self) -> list[str]:
        return sorted(who for (who,) in await self.shop.rows(self.app, "SELECT who FROM visits"))

    async def over(self, seconds: float = 20) -> None:
        """Each event has come to its end."""
        async with asyncio.timeout(seconds):
            while set((await self.states()).values()) != {"done"}:
                await asyncio.sleep(0.02)

    async def looks(self, id: str, count: int) -> None:
        """An event was taken up so often."""
        table = "recordfirst.event" if self.shop.url.startswith("postgresql") else "recordfirst_event"
        async with asyncio.timeout(20):
            while (await self.shop.rows(self.app, f"SELECT looks FROM {table} WHERE id = '{id}'"))[0][0] < count:
                await asyncio.sleep(0.02)


@asynccontextmanager
async def banking(shop: Shop) -> AsyncIterator[Banking]:
    TAKEN.clear()
    async with shop.working(*BANKING) as app:
        yield Banking(shop, app)


def returned(id: str = "back", state: TakenBackState = "stands", how: TakenBackAs = "return") -> TakenBack:
    return TakenBack(how=how, state=state, id=id, amount_minor=30, currency="eur", at_ms=1)
