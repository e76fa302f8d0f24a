"""Orders that are paid with Stripe, whose outcome may come by an event."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from stripe import StripeClient

from recordfirst import App, Call, Context, Pending, ProviderEvent, Write, effect, inject, on_event, workflow, write
from recordfirst.providers.contract import Probed
from recordfirst.providers.stripe import (
    METADATA_KEY,
    Payment,
    Stripe,
    StripeEvents,
    find_payment_intent,
    payment_of,
    stripe_client,
)
from recordfirst.testing import Sending, StripeSimulator
from tests.events.web import PATH, served, web_of
from tests.starts.harness import Shop

SECRET = "whsec_of_a_test"


async def find_charge(call: Call, order: str, method: str, *, stripe: StripeClient = inject()) -> Probed:
    return await find_payment_intent(stripe, marker=call.marker, since_ms=call.since_ms, known=call.references)


@write
async def insert_order(w: Write[Any], order: str, method: str) -> None:
    await w.tx.execute(f"INSERT INTO orders (id, amount) VALUES ('{order}', 0)")


@effect(key="order:{order}:charge", provider=Stripe(lag_s=0.0), after=insert_order, probe=find_charge)
async def charge(call: Call, order: str, method: str, *, stripe: StripeClient = inject()) -> Payment | Pending:
    params: Any = {"amount": 5000, "currency": "usd", "confirm": True, "payment_method": method}
    made = await stripe.v1.payment_intents.create_async(
        params | {"metadata": {METADATA_KEY: call.marker}}, {"idempotency_key": call.key}
    )
    return payment_of(made)


@charge.on_success
async def mark_paid(w: Write[Any], order: str, payment: Payment) -> None:
    await w.tx.execute(f"UPDATE orders SET amount = amount + {payment.amount_minor} WHERE id = '{order}'")


@workflow
async def sell(ctx: Context, order: str, method: str) -> str:
    await insert_order(ctx, order, method)
    return (await charge(ctx, order, method)).id


@workflow
async def look_into(ctx: Context, dispute: str) -> str:
    return dispute


async def status_now(event: ProviderEvent, *, stripe: StripeClient = inject()) -> str:
    dispute = await stripe.v1.disputes.retrieve_async(event.data["data"]["object"]["id"])
    return dispute.status


@on_event(Stripe, "charge.dispute.created", "charge.dispute.closed", fetch=status_now)
async def note_dispute(w: Write[Any], event: ProviderEvent, status: str) -> str:
    dispute = event.data["data"]["object"]["id"]
    await w.tx.execute(f"INSERT INTO visits (who) VALUES ('{event.type} {status}')")
    w.start(look_into, dispute, id=f"dispute:{dispute}")
    return status


class Failing:
    """A handler that fails as long as it is told to."""

    def __init__(self) -> None:
        self.fails, self.runs = True, 0

        @on_event("stripe", "payment_intent.created")
        async def brittle(w: Write[Any], event: ProviderEvent) -> None:
            self.runs += 1
            await w.tx.execute(f"INSERT INTO visits (who) VALUES ('{event.id}')")
            if self.fails:
                raise LookupError("the order is not there yet")

        self.handler = brittle


class Selling:
    """All of it, running."""

    def __init__(self, shop: Shop, app: App, sim: StripeSimulator, client: StripeClient, endpoint: Any, url: str):
        self.shop, self.app, self.sim, self.client, self.endpoint, self.url = shop, app, sim, client, endpoint, url

    async def events(self) -> dict[str, str]:
        """The state of each event in the record, by its id."""
        return {each.id or each.hash: each.state for each in await self.app.operations.events.newest(limit=1000)}

    async def receipt(self, key: str) -> Any:
        async with self.app.runtime.record.session() as session:
            return (await session.find_receipt(key)).receipt

    async def paid(self) -> list[tuple[Any, ...]]:
        return await self.shop.rows(self.app, "SELECT id, amount FROM orders ORDER BY id")

    async def visits(self) -> list[str]:
        return sorted(who for (who,) in await self.shop.rows(self.app, "SELECT who FROM visits"))

    async def until(self, happened: Callable[[], Any], seconds: float = 30) -> None:
        async with asyncio.timeout(seconds):
            while not await happened():
                await asyncio.sleep(0.02)

    async def all_taken_up(self) -> bool:
        states = await self.events()
        return bool(states) and not {"open"} & set(states.values())


@asynccontextmanager
async def selling(
    shop: Shop,
    *,
    works: bool = True,
    sending: Sending | None = None,
    sends: bool = True,
    workflows: Any = (sell, look_into),
    handlers: Any = (note_dispute,),
    livemode: bool = False,
    secrets: tuple[str, ...] = (SECRET,),
    encryptor: Any = None,
    **options: Any,
) -> AsyncIterator[Selling]:
    opened: Any = shop.working if works else shop.app
    async with (
        StripeSimulator(events_secret=SECRET, **options) as sim,
        stripe_client("sk_x", base_url=sim.url) as client,
        opened(*workflows, provide={StripeClient: client}, event_handlers=handlers, encryptor=encryptor) as app,
    ):
        endpoint = app.events(StripeEvents(secrets=secrets, livemode=livemode))
        async with served(web_of(endpoint)) as url:
            if sends:
                sim.send_events_to(url + PATH, sending)
            yield Selling(shop, app, sim, client, endpoint, url)
            if sim.webhooks is not None:
                await sim.webhooks.close()
