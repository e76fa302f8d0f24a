"""``examples/fastapi_stripe``: web server and worker are killed, and each event comes three times, in any order.

``KILLS=100`` kills each of them that often.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import time
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import psycopg
import pytest

from recordfirst.providers.stripe import METADATA_KEY
from recordfirst.testing import Sending, StripeSimulator
from recordfirst.testing.stripe.objects import StripeEvent
from tests.events.killed_shop import Killed

SECRET = "whsec_of_a_test"
KILLS = int(os.environ.get("KILLS", "20"))
SCHEMA = (Path(__file__).parents[2] / "examples/fastapi_stripe/schema.sql").read_text()

STORIES = {
    "paid": ["accepted", "paid"],
    "3-D Secure": ["accepted", "awaiting customer", "paid"],
    "not confirmed": ["accepted", "awaiting customer", "not paid"],
    "declined": ["accepted", "not paid"],
    "refunded in part": ["accepted", "awaiting customer", "paid", "refunded"],
    "refunded twice": ["accepted", "paid", "refunded", "refunded"],
    "disputed and lost": ["accepted", "awaiting customer", "paid", "disputed", "dispute_lost"],
    "refunded, disputed and won": ["accepted", "awaiting customer", "paid", "refunded", "disputed", "dispute_won"],
}
"""What happens to an order, and the changes of its row that come of it: each once. In this order; but Stripe's times
are seconds, so of a refund and a dispute within one, either may be told first."""
METHODS = {"paid": "pm_card_visa", "refunded twice": "pm_card_visa", "declined": "pm_card_chargeDeclined"}
LEFT = {
    "paid": 5000, "3-D Secure": 5000, "not confirmed": 0, "declined": 0, "refunded in part": 4500,
    "refunded twice": 4000, "disputed and lost": 0, "refunded, disputed and won": 4500,
}  # fmt: skip


class Customer:
    """Somebody who orders, confirms, and asks for money back; and never gives up."""

    def __init__(
        self, id: str, story: str, web: str, sim: StripeSimulator, session: aiohttp.ClientSession, chance: random.Random
    ) -> None:
        self.id, self.story, self.web, self.sim, self.session, self.chance = id, story, web, sim, session, chance

    async def lives(self, from_s: float) -> None:
        """Go through the story, one thing after the other."""
        await asyncio.sleep(from_s)
        method = METHODS.get(self.story, "pm_card_threeDSecureRequired")
        await self.says({"id": self.id, "amount_minor": 5000, "payment_method": method})
        if "awaiting customer" in STORIES[self.story]:
            secret = (await self.sees("awaiting customer"))["client_secret"]
            self.sim.do("fail" if self.story == "not confirmed" else "complete", secret.partition("_secret_")[0])
        if "paid" not in STORIES[self.story]:
            await self.sees("not paid")
            return
        intent = (await self.sees("paid"))["payment"]
        dispute = ""
        for deed in STORIES[self.story][STORIES[self.story].index("paid") + 1 :]:
            await asyncio.sleep(self.chance.uniform(0, 0.3))  # whatever came before may or may not have arrived
            match deed:
                case "refunded":
                    self.sim.do("refund", intent, amount=500)
                case "disputed":
                    dispute = self.sim.do("dispute", intent).id
                case "dispute_won":
                    self.sim.do("win_dispute", dispute)
                case "dispute_lost":
                    self.sim.do("lose_dispute", dispute)

    async def says(self, order: dict[str, Any]) -> None:
        """Send the order until it is taken."""
        while True:
            with contextlib.suppress(aiohttp.ClientError, OSError):
                async with self.session.post(f"{self.web}/orders", json=order) as reply:
                    assert reply.status in (202, 500, 503), await reply.text()
                    if reply.status == 202:
                        return
            await asyncio.sleep(0.05)

    async def sees(self, status: str) -> dict[str, Any]:
        """Look until the order has come to that."""
        while True:
            with contextlib.suppress(aiohttp.ClientError, OSError):
                async with self.session.get(f"{self.web}/orders/{self.id}") as reply:
                    seen: dict[str, Any] = await reply.json() if reply.status == 200 else {}
                    if seen.get("status") == status:
                        return seen
            await asyncio.sleep(0.05)


def in_order(changes: list[str]) -> tuple[list[str], list[str], list[str]]:
    """What is told in order; and apart from that, refunds."""
    until_paid = changes[: changes.index("paid") + 1] if "paid" in changes else changes
    later = changes[len(until_paid) :]
    return until_paid, [each for each in later if each != "refunded"], [each for each in later if each == "refunded"]


class Postman:
    """Delivers each event three times, at times of chance, and again until it is taken."""

    def __init__(self, sim: StripeSimulator, url: str, chance: random.Random) -> None:
        self.sender, self.chance = sim.send_events_to(url, Sending(lost=1.0)), chance
        sim.api.books.events.listeners.append(self.take)

    def take(self, event: StripeEvent) -> None:
        for _ in range(3):
            self.sender.send(event, self.chance.uniform(0, 0.6))


@pytest.mark.timeout(100 + 10 * KILLS)
def test_every_change_is_made_once(postgres_dsn: str) -> None:
    """P1, P3, P6: whichever dies, and however its events come, an order has each change of its story once."""
    asyncio.run(every_change_is_made_once(postgres_dsn))


async def every_change_is_made_once(postgres_dsn: str) -> None:
    chance = random.Random(KILLS)
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute(SCHEMA.encode())
    async with StripeSimulator(events_secret=SECRET, search_lag_s=0.0) as sim, aiohttp.ClientSession() as session:
        shop = Killed({"SHOP_RECORD": postgres_dsn, "STRIPE_URL": sim.url, "STRIPE_SECRET": SECRET}, seed=KILLS)
        try:
            Postman(sim, f"{shop.url}/stripe/events", chance)
            customers = [
                Customer(f"{n}", story, shop.url, sim, session, chance) for n, story in enumerate([*STORIES] * 4)
            ]
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(shop.kill(KILLS))
                for customer in customers:
                    tasks.create_task(customer.lives(chance.uniform(0, 0.7 * KILLS)))
            await sim.sent_all()
            await came_true(postgres_dsn, {each.id: STORIES[each.story] for each in customers})
        finally:
            await shop.close()
        charged = Counter(each.metadata[METADATA_KEY] for each in sim.api.books.intents.values())
    assert set(charged.values()) == {1}
    assert len(charged) == len(customers)
    with psycopg.connect(postgres_dsn) as connection:
        left: dict[str, int] = dict(connection.execute("SELECT id, paid_minor FROM orders").fetchall())
        states = {state for (state,) in connection.execute("SELECT DISTINCT state FROM recordfirst.event")}
    assert left == {each.id: LEFT[each.story] for each in customers}
    assert "stopped" not in states


async def came_true(dsn: str, stories: dict[str, list[str]]) -> None:
    """Wait until each order has the changes of its story, and no event is open; then there are no more of them."""
    deadline, is_open = time.monotonic() + 60, True
    seen: dict[str, list[str]] = {}
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
        while True:
            amiss = {id: seen.get(id) for id, story in stories.items() if in_order(seen.get(id, [])) != in_order(story)}
            if not amiss and not is_open:
                return
            assert time.monotonic() < deadline, (amiss, is_open)
            await asyncio.sleep(0.1)
            found = await connection.execute("SELECT order_id, status FROM changes ORDER BY number")
            seen = {id: [] for id in stories}
            for id, status in await found.fetchall():
                seen[id].append(status)
            unsettled = await connection.execute("SELECT 1 FROM recordfirst.event WHERE state = 'open' LIMIT 1")
            is_open = await unsettled.fetchone() is not None
