"""The simulator on a socket: in this process and as one of its own."""

from __future__ import annotations

import asyncio
import base64
import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any
from urllib.request import Request, urlopen

import aiohttp
import pytest
from click.testing import CliRunner

from recordfirst.testing import Faults, SimClock, StripeSimulator
from recordfirst.testing.stripe.__main__ import main

FORM = "amount=1999&currency=usd&confirm=true&payment_method=pm_card_visa"


def headers(key: str) -> dict[str, str]:
    return {"Authorization": "Bearer sk_test_x", "Idempotency-Key": key}


async def pay(session: aiohttp.ClientSession, url: str, key: str = "k") -> tuple[int, Any]:
    async with session.post(f"{url}/v1/payment_intents", data=FORM.encode(), headers=headers(key)) as reply:
        return reply.status, await reply.json()


async def until(happened: Callable[[], int]) -> None:
    """Let the simulator work until something has happened."""
    while not happened():
        await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("given", "status", "says"),
    [
        (f"Basic {base64.b64encode(b'sk_test_x:').decode()}", 200, "succeeded"),
        ("Bearer sk_test_x", 200, "succeeded"),
        ("Basic ==", 401, "did not provide an API key"),
        ("Bearer ", 401, "did not provide an API key"),
        ("", 401, "did not provide an API key"),
        (f"Basic {base64.b64encode(b'pk_test_x:').decode()}", 401, "Invalid API Key provided: pk_test_x"),
    ],
    ids=["as curl -u", "bearer", "garbage", "empty", "none", "a public one"],
)
async def test_a_key_comes_as_stripe_takes_it(given, status, says):
    """P8: as the user name of Basic, too, which Stripe's own examples have."""
    async with (
        StripeSimulator() as sim,
        aiohttp.ClientSession(headers={"Authorization": given}) as session,
        session.post(f"{sim.url}/v1/payment_intents", data=FORM.encode()) as reply,
    ):
        assert (reply.status, says in await reply.text()) == (status, True)


async def test_slow_request_holds_its_key():
    """P3: over HTTP too, a second request with a key in use gets 409, and the result afterwards."""
    async with StripeSimulator(faults=Faults(slow_s=0.3)) as sim, aiohttp.ClientSession() as session:
        sim.next("slow")
        first = asyncio.create_task(pay(session, sim.url))
        await until(lambda: sim.api.count)
        busy, _ = await pay(session, sim.url)
        paid = await first
        assert (busy, paid[0]) == (409, 200)
        assert await pay(session, sim.url) == paid


async def test_stops_at_once_with_hanging_requests():
    """P7: a request that hangs does not keep the simulator from ending."""
    async with StripeSimulator() as sim, aiohttp.ClientSession() as session:
        sim.next("timeout_after_applying")
        hanging = asyncio.create_task(pay(session, sim.url))
        await until(lambda: len(sim.ledger().charges))
        await sim.__aexit__(None, None, None)
        with pytest.raises(aiohttp.ClientError):
            await hanging


async def test_control_in_another_process_does_what_methods_do():
    """P10: ledger, faults and clock can be reached over HTTP."""
    async with StripeSimulator() as sim, aiohttp.ClientSession(sim.url) as session:

        async def control(method: str, path: str, **given: Any) -> tuple[int, Any]:
            async with session.request(method, f"/_sim/{path}", **given) as reply:
                return reply.status, await reply.json()

        orders = {"faults": {"seed": 3, "slow_s": 0}, "next": [{"kind": "decline"}]}
        assert (await control("POST", "faults", json=orders))[0] == 200
        assert (await pay(session, ""))[0] == 402
        before = (await control("GET", "clock"))[1]["now_ms"]
        await control("POST", "clock", json={"advance_s": 86400})
        assert (await pay(session, ""))[0] == 200
        _, ledger = await control("GET", "ledger")
        assert [len(ledger[kind]) for kind in ("charges", "refunds", "declines")] == [1, 0, 1]
        assert (ledger["faults"]["decline"], ledger["requests"]) == (1, 2)
        assert sim.clock.now_ms() >= before + 86_400_000
        assert "charges" not in (await control("GET", "ledger?entries=0"))[1]
        assert (await control("POST", "faults", json={"faults": {"declined": 1}}))[0] == 400
        assert (await control("POST", "clock", json={"advance_s": -1}))[0] == 400
        assert (await control("GET", "nothing"))[0] == 404


def test_clock_does_not_run_backwards():
    """P8: time only goes on."""
    clock = SimClock(start_ms=1000, monotonic_ms=lambda: 0)
    assert clock.advance(1.5) == clock.now_ms() == 2500
    with pytest.raises(ValueError, match="backwards"):
        clock.advance(-1)


def test_process_says_where_it_is_and_ends_on_sigterm():
    """P10: as a process it prints its URL as one line of JSON, serves, and ends with status 0."""
    command = [sys.executable, "-W", "error", "-m", "recordfirst.testing.stripe", "--decline", "1"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = json.loads(process.stdout.readline())["url"]
            with urlopen(Request(f"{url}/_sim/ledger"), timeout=10) as reply:
                assert json.load(reply)["totals"]["charge"] == {"count": 0}
        finally:
            process.send_signal(signal.SIGTERM)
        assert (process.communicate(timeout=10), process.returncode) == (("", ""), 0)


def test_rates_that_cannot_be_end_the_process_with_usage():
    """P8: rates that add up to more than one are refused at the start."""
    command = [sys.executable, "-m", "recordfirst.testing.stripe", "--decline", "0.6", "--slow", "0.6"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert (ended.returncode, "at most 1" in ended.stderr) == (2, True)


def test_testing_needs_no_provider_package():
    """P10: recordfirst.testing imports where no provider's SDK is installed."""
    code = "import sys; sys.modules['stripe'] = None; import recordfirst.testing"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


def test_a_process_says_in_one_line_what_it_cannot_do():
    """Where its port is taken; and what it takes, by -h as other commands."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = CliRunner().invoke(main, ["--port", str(port)])
    assert (ended.exit_code, ended.stdout) == (1, "")
    assert re.fullmatch(rf"Error: cannot listen on 127\.0\.0\.1:{port}: .*address already in use.*\n", ended.stderr)
    assert "--events-to URL" in CliRunner().invoke(main, ["-h"]).stdout
