"""Events that the simulator sends: signed as the official package verifies them, by seed twice, late and never."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
import stripe
from aiohttp import web

from recordfirst.providers.stripe import stripe_client
from recordfirst.testing import Sending, StripeSimulator
from recordfirst.testing.stripe.__main__ import main

SECRET = "whsec_of_a_test"


class Endpoint:
    """Takes events as the documentation of Stripe says to."""

    def __init__(self) -> None:
        self.url = ""
        self.taken: list[stripe.Event] = []
        self.refuse = 0

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if self.refuse:
            self.refuse -= 1
            return web.Response(status=503)
        body, header = await request.read(), request.headers["Stripe-Signature"]
        self.taken.append(stripe.Webhook.construct_event(body, header, SECRET))
        return web.Response()


@asynccontextmanager
async def listening() -> AsyncIterator[Endpoint]:
    endpoint = Endpoint()
    runner = web.ServerRunner(web.Server(endpoint.answer, access_log=None))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    endpoint.url = f"http://{host}:{port}/events"
    try:
        yield endpoint
    finally:
        await runner.cleanup()


async def pay(url: str, times: int = 1) -> None:
    params: Any = {"amount": 5000, "currency": "usd", "confirm": True, "payment_method": "pm_card_visa"}
    async with stripe_client("sk_test_x", base_url=url) as client:
        for _ in range(times):
            await client.v1.payment_intents.create_async(params)


async def test_events_are_signed_as_the_official_package_verifies_them():
    """P8: the package takes them with the secret, and with no other."""
    async with listening() as endpoint, StripeSimulator(events_to=endpoint.url, events_secret=SECRET) as sim:
        await pay(sim.url)
        await sim.sent_all()
        assert Counter(event.type for event in endpoint.taken) == Counter(event.type for event in sim.events)
        assert [event.pending_webhooks for event in sim.events] == [0, 0, 0]
    async with listening() as endpoint, StripeSimulator(events_to=endpoint.url, sending=Sending(again_s=())) as sim:
        await pay(sim.url)
        await sim.sent_all()
        assert endpoint.taken == []
        assert sim.webhooks is not None
        assert [sent.status for sent in sim.webhooks.sent] == [500, 500, 500]


async def test_events_come_twice_late_in_another_order_and_never_by_seed():
    """P8: the same seed sends the same, another something else; what is lost can be listed."""
    sending = Sending(seed=5, lost=0.2, twice=0.4, held=0.3, held_s=0.05, delay_s=0.02)
    arrived = []
    for seed in (5, 5, 6):
        chosen = Sending(**(as_dict(sending) | {"seed": seed}))
        async with (
            listening() as endpoint,
            StripeSimulator(events_to=endpoint.url, events_secret=SECRET, sending=chosen) as sim,
        ):
            await pay(sim.url, times=40)
            await sim.sent_all()
            assert sim.webhooks is not None
            times = Counter(event.id for event in endpoint.taken)
            assert set(times) | set(sim.webhooks.lost) == {event.id for event in sim.events}
            assert len(sim.webhooks.lost) == len(sim.events) - len(times) > 10
            assert set(times.values()) == {1, 2, 3}
            order = [event.created for event in endpoint.taken], [event.id for event in endpoint.taken]
            assert order[1] != sorted(order[1])
            arrived.append(times)
    assert arrived[0] == arrived[1] != arrived[2]


def as_dict(sending: Sending) -> dict[str, Any]:
    return {name: getattr(sending, name) for name in Sending.__struct_fields__}


async def test_an_event_is_sent_until_it_is_taken():
    """P7: an endpoint that is down for a while gets it later; and anything again that is asked for."""
    sending = Sending(again_s=(0.01,) * 5)
    async with (
        listening() as endpoint,
        StripeSimulator(events_to=endpoint.url, events_secret=SECRET, sending=sending) as sim,
        aiohttp.ClientSession(sim.url) as session,
    ):
        endpoint.refuse = 4
        await pay(sim.url)
        await sim.sent_all()
        assert len(endpoint.taken) == 3
        async with session.post("/_sim/events", json={"resend": endpoint.taken[0].id}) as reply:
            assert reply.status == 200
        await sim.sent_all()
        assert endpoint.taken[3].id == endpoint.taken[0].id
        async with session.get("/_sim/events") as reply:
            assert Counter(sent["status"] for sent in (await reply.json())["sent"]) == {503: 4, 200: 4}


async def test_what_happens_by_itself_is_sent_by_itself():
    """P7: nobody asks anything, and the bank's answer arrives."""
    async with listening() as endpoint, StripeSimulator(events_to=endpoint.url, events_secret=SECRET) as sim:
        async with stripe_client("sk_test_x", base_url=sim.url) as client:
            params: Any = {"amount": 5000, "currency": "usd", "confirm": True}
            await client.v1.payment_intents.create_async(params | {"payment_method": "pm_usBankAccount_success"})
        sim.clock.advance(4 * 24 * 3600)
        async with asyncio.timeout(10):
            while "payment_intent.succeeded" not in [event.type for event in endpoint.taken]:
                await asyncio.sleep(0.01)


async def test_deeds_are_done_from_another_process():
    """P10: a customer, a bank and the dashboard can be played over HTTP, in a process of the simulator's own."""
    async with listening() as endpoint, aiohttp.ClientSession() as session:
        command = [sys.executable, "-W", "error", "-m", "recordfirst.testing.stripe", "--events-to", endpoint.url]
        command += ["--events-secret", SECRET, "--events-twice", "1", "--bank-s", "0.05"]
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        try:
            assert process.stdout is not None
            url = json.loads(await process.stdout.readline())["url"]
            await pay(url)
            async with asyncio.timeout(20):
                while len(endpoint.taken) < 6:
                    await asyncio.sleep(0.01)
            intent = next(e for e in endpoint.taken if e.type == "payment_intent.succeeded").data.object["id"]
            deed = {"do": "refund", "id": intent, "amount": 700}
            async with session.post(f"{url}/_sim/happening", json=deed) as reply:
                assert (reply.status, (await reply.json())["amount"]) == (200, 700)
            async with session.post(f"{url}/_sim/happening", json=deed | {"amount": 7000}) as reply:
                assert (reply.status, "greater than" in (await reply.json())["error"]) == (400, True)
            async with session.post(f"{url}/_sim/happening", json=deed | {"do": "steal"}) as reply:
                assert reply.status == 400
        finally:
            process.send_signal(signal.SIGTERM)
        assert await process.wait() == 0


def test_what_can_be_sent_can_be_said_on_the_command_line():
    """P10: by an option for each; how often an endpoint that does not answer is tried again is the simulator's own."""
    options = {name for param in main.params if (name := str(param.name)).startswith("events_")}
    assert options - {"events_to", "events_secret"} == {
        f"events_{name}" for name in Sending.__struct_fields__ if name not in ("seed", "again_s")
    }


@pytest.mark.parametrize("wrong", [{"lost": 1.1}, {"twice": -0.1}, {"delay_s": -1}])
def test_rates_that_cannot_be_are_refused(wrong):
    """P8: a rate is a number from 0 to 1, a time is none below 0."""
    with pytest.raises(ValueError, match=r"rates|negative"):
        Sending(**wrong)
