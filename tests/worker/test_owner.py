"""P7, P9: an open app, record or client is one process's and one event loop's; everyone else is told so at once."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import stripe as stripe_sdk

from recordfirst import App, Context, Misuse, RecordfirstError, workflow
from recordfirst.ledgers.tigerbeetle import TigerBeetle
from recordfirst.providers.stripe import stripe_client
from recordfirst.records.open import record_from_url
from recordfirst.testing import StripeSimulator
from tests.starts.harness import Shop, migrated


@workflow
async def greet(ctx: Context, name: str) -> str:
    return f"hello {name}"


def elsewhere(asked: Callable[[], Awaitable[Any]]) -> BaseException | None:
    """What comes of it in an event loop of another thread."""
    found: list[BaseException | None] = []

    async def ask() -> None:
        try:
            await asyncio.wait_for(asked(), 20)  # type: ignore[arg-type]
        except BaseException as error:
            found.append(error)
        else:
            found.append(None)

    thread = threading.Thread(target=lambda: asyncio.run(ask()))
    thread.start()
    thread.join(30)
    return found[0]


async def in_a_block(block: Any) -> None:
    async with block:
        pass


async def test_another_loop_is_refused(shop: Shop):
    """P7, P9: whatever is asked of an open app in another loop or thread is refused; the app works on."""
    async with shop.working(greet) as app:
        handle = await app.start(greet, "a", id="a")
        record = app.runtime.record
        asked: list[Callable[[], Awaitable[Any]]] = [
            lambda: app.start(greet, "b", id="b"),
            lambda: app.handle("a"),
            handle.status,
            handle.result,
            lambda: app.retry("a"),
            lambda: app.cancel("a"),
            lambda: app.resolve("a", outcome="not done"),
            lambda: app.dismiss("RF-X", "a", why="seen"),
            lambda: app.collect(older_than_s=1),
            app.reconcile,
            lambda: in_a_block(app),
            lambda: in_a_block(app.worker()),
            lambda: in_a_block(app.record.write()),
            lambda: in_a_block(app.record.read()),
            lambda: in_a_block(record.session()),
            lambda: in_a_block(record.transaction()),
            lambda: record.changed(1),
            record.schema_version,
            record.close,
        ]
        for each in asked:
            error = await asyncio.to_thread(elsewhere, each)
            assert isinstance(error, Misuse), error
            assert "event loop" in str(error)
        assert await handle.result() == "hello a"
        assert await (await app.start(greet, "c", id="c")).result() == "hello c"


def test_it_is_free_again_after_it_was_closed(shop: Shop):
    """P7: an app that was closed is opened in another loop, and waits there for what ends elsewhere."""
    engine_shop = Shop(shop.url)

    async def use(app: Any, number: int) -> str:
        async with app, engine_shop.working(greet):  # another app's worker: the client waits for what it does not run
            handle = await app.start(greet, "a", id=str(number))
            others = asyncio.gather(*[asyncio.wait_for(handle.result(), 30) for _ in range(2)])
            return (await others)[0]

    asyncio.run(migrated(shop.url))
    app = App("shop", record=record_from_url(shop.url), workflows=[greet])
    for number in range(3):
        assert asyncio.run(use(app, number)) == "hello a"


async def test_two_tasks_open_it_together(shop: Shop):
    """P9: of two tasks of one loop that open an app at one time, both have it open, until the last has closed it."""
    async with shop.app(greet):
        pass
    app = App("shop", record=record_from_url(shop.url), workflows=[greet])

    async def use(number: int) -> str:
        async with app:
            return (await app.start(greet, "a", id=str(number))).id

    assert await asyncio.gather(*[use(number) for number in range(5)]) == [str(number) for number in range(5)]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # nobody can close it any longer
def test_a_loop_that_ended_without_closing_is_named(shop: Shop):
    """P9: what cannot be closed any longer is not used either."""
    asyncio.run(migrated(shop.url))
    app = App("shop", record=record_from_url(shop.url), workflows=[greet])
    loop = asyncio.new_event_loop()
    loop.run_until_complete(app.__aenter__())
    pool = getattr(app.runtime.record, "_pool", None)
    if pool is not None:
        loop.run_until_complete(pool.close())
    loop.close()
    with pytest.raises(Misuse, match="ended without closing"):
        asyncio.run(app.__aenter__())
    del app, pool
    gc.collect()  # here, and not during another test


# ── processes ───────────────────────────────────────────────────────────────


def run(role: str, url: str, **options: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-W", "ignore", "-m", "tests.worker.shared", role, url]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


def test_a_forked_child_harms_nobody(record_url: str):
    """P9: a child that uses an open app is refused, and neither that nor its end reaches the parent's sessions."""
    said, errors = run("fork", record_url).communicate(timeout=110)
    child = [line for line in said.splitlines() if line.startswith("child: ")]
    assert len(child) == 4, (said, errors)
    assert all("forked" in line and "process" in line for line in child), child
    assert "child ended: 3" in said, (said, errors)
    assert "parent: 5" in said, (said, errors)


async def test_a_forked_child_keeps_no_lease(shop: Shop):
    """P7: a worker is killed; a child that it had forked lives on; the next worker works at once all the same."""
    process = run("orphan", shop.url)
    assert process.stdout is not None
    child = int((await asyncio.to_thread(process.stdout.readline)).split()[1])
    try:
        process.kill()
        process.wait(10)
        async with asyncio.timeout(30), shop.working(greet) as app:
            assert await (await app.start(greet, "a", id="a")).result() == "hello a"
        os.kill(child, 0)  # it lives
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        process.stdout.close()
        process.stderr.close()  # type: ignore[union-attr]


# ── clients ─────────────────────────────────────────────────────────────────


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the client tells a loop that has ended
def test_tigerbeetle_serves_one_loop():
    """P9: a second loop is refused at once; after a close, another loop has a session of its own."""
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen(50)
        ledger = TigerBeetle(str(silent.getsockname()[1]), deadline_s=0.1)

        async def asked() -> str:
            try:
                await ledger.lookup_accounts([1])
            except RecordfirstError as error:
                return type(error).__name__
            return "an answer"

        async def both() -> None:
            assert await asked() == "LedgerUnavailable"
            assert isinstance(await asyncio.to_thread(elsewhere, ledger.close), Misuse)
            began = time.monotonic()
            with pytest.raises(Misuse, match="another event loop"):
                await asyncio.to_thread(lambda: asyncio.run(ledger.lookup_transfers([1])))
            assert time.monotonic() - began < 5
            await ledger.close()

        asyncio.run(both())
        assert asyncio.run(asked()) == "LedgerUnavailable"
        assert asyncio.run(asked()) == "Misuse"  # its loop has ended, and it was not closed
        asyncio.run(asyncio.wait_for(ledger.close(), 5))
        assert asyncio.run(asked()) == "LedgerUnavailable"
        asyncio.run(asyncio.wait_for(ledger.close(), 5))


async def test_stripe_serves_one_loop():
    """P3, P5: under a second loop nothing is sent. aiohttp would make the payment, and say that it was not reached."""
    async with StripeSimulator() as sim, stripe_client("sk_test_x", base_url=sim.url) as client:
        pay = {"amount": 100, "currency": "eur"}

        async def create() -> stripe_sdk.PaymentIntent:
            return await client.v1.payment_intents.create_async(pay, {"idempotency_key": "k"})  # type: ignore[arg-type]

        error = await asyncio.to_thread(elsewhere, create)
        assert isinstance(error, Misuse), error
        listed = await client.v1.payment_intents.list_async()
        assert listed.data == []
        assert (await create()).amount == 100
