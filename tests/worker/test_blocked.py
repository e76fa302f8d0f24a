"""P7, P10: a step that blocks the event loop is named, and ends its process; the next worker goes on."""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import subprocess
import sys
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from recordfirst import Call, Context, effect, workflow
from recordfirst.observe import LoopBlocked, ThreadsBusy
from recordfirst.process.threads import Threads
from recordfirst.worker.watchdog import EXIT_CODE, Watchdog
from tests.starts.harness import Shop
from tests.worker import shared
from tests.worker.shared import BANK


@pytest.mark.parametrize(("id", "code"), [("suspended", EXIT_CODE), ("locked", 1)])
async def test_it_ends_and_the_next_worker_goes_on(shop: Shop, id: str, code: int, monkeypatch):
    """P7: whether the step waits or keeps the interpreter's lock. Healthy workflows wait no longer than that."""
    async with shop.app(shared.pay, shared.greet) as app:
        await app.start(shared.pay, id, id=id)
    command = [sys.executable, "-m", "tests.worker.shared", "block", shop.url]
    ended = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == code, ended.stderr
    assert "in charge" in ended.stderr  # the stack
    if code == EXIT_CODE:
        assert f"workflow '{id}', step charge" in ended.stderr
        assert "this process ends" in ended.stderr
    monkeypatch.setenv("SHOP_FIXED", "1")
    async with asyncio.timeout(60), shop.working(shared.pay, shared.greet) as app:
        assert await (await app.start(shared.greet, "a", id="healthy")).result() == "hello a"
        assert await (await app.handle(id)).result() == "charged"


@effect(key="{id}:charge", provider=BANK, after=None)
async def blocks(call: Call, id: str) -> str:
    time.sleep(0.8)  # noqa: ASYNC251 - the mistake of which this is about
    return id


@workflow
async def blocking(ctx: Context, id: str) -> str:
    return await blocks(ctx, id)


@workflow
async def blocking_itself(ctx: Context) -> None:
    time.sleep(0.8)  # noqa: ASYNC251 - the mistake of which this is about


async def test_it_is_told_while_it_lasts(shop: Shop, caplog):
    """P10: workflow, step and place, as an event and as an error in the log, from a thread of its own."""
    ends: list[int] = []
    async with shop.working(blocking, blocking_itself) as app:
        with Watchdog(app.runtime, 0.5, tell_s=0.2, end=ends.append), caplog.at_level(logging.ERROR, "recordfirst"):
            assert await (await app.start(blocking, "a", id="a")).result() == "a"
        with Watchdog(app.runtime, None, tell_s=0.2, end=ends.append):
            await (await app.start(blocking_itself, id="b")).result()
    told = shop.seen(LoopBlocked)
    assert [(e.workflow, e.step, e.ends) for e in told] == [
        ("a", "blocks", False),
        ("a", "blocks", True),
        ("b", None, False),
    ]
    assert all("time.sleep(0.8)" in e.at for e in told)
    assert ends == [EXIT_CODE]
    assert "time.sleep(0.8)" in caplog.text
    assert "test_blocked.py" in caplog.text


async def test_a_slow_turn_is_not_told(shop: Shop):
    """P10: neither a loop that turns seldom, nor one that has nothing to do."""
    async with shop.working(blocking) as app:
        with Watchdog(app.runtime, 0.9, tell_s=0.9):
            for _ in range(4):
                time.sleep(0.3)  # noqa: ASYNC251 - the mistake of which this is about
                await asyncio.sleep(0.05)
            await asyncio.sleep(1.5)
    assert shop.seen(LoopBlocked) == []


async def test_who_has_left_is_not_ended(monkeypatch):
    """P10: the thread that watches comes to renew the timer at the moment in which the worker leaves."""
    did: list[str] = []
    monkeypatch.setattr(faulthandler, "dump_traceback_later", lambda *_, **__: did.append("armed"))
    monkeypatch.setattr(faulthandler, "cancel_dump_traceback_later", lambda: did.append("cancelled"))
    comes, left, asked = threading.Event(), threading.Event(), list[float]()

    def now_s() -> float:
        if threading.current_thread() is threading.main_thread():
            return time.monotonic()
        asked.append(time.monotonic())
        if len(asked) == 1:  # as it begins
            return asked[0]
        comes.set()
        left.wait(0.3)  # it is left meanwhile, or waits for this thread
        return time.monotonic() + 60

    with Watchdog(SimpleNamespace(app="shop"), 30, tell_s=0.04, now_s=now_s):  # type: ignore[arg-type]
        await asyncio.to_thread(comes.wait)
    left.set()
    await asyncio.sleep(0.2)
    assert did[0] == "armed"
    assert did[-1] == "cancelled"


async def test_busy_threads_are_told():
    """P10: a sync step that waits for a thread is an event; one that finds one is none."""
    told: list[Any] = []
    threads, go = Threads("shop", lambda: told.append, most=2), threading.Event()
    loop = asyncio.get_running_loop()
    running = [loop.run_in_executor(threads, go.wait) for _ in range(2)]
    await asyncio.sleep(1.2)
    assert told == []
    running.append(loop.run_in_executor(threads, go.wait))
    await asyncio.sleep(1.2)
    assert told == [ThreadsBusy("shop", 2, 1)]
    go.set()
    await asyncio.gather(*running)
    threads.shutdown()


def test_a_loop_with_a_clock_of_its_own_is_not_watched():
    """P10: the explorer's time does not turn with ours."""

    class Other(asyncio.SelectorEventLoop):
        def time(self) -> float:
            return 0.0

    async def watched() -> bool:
        with Watchdog(SimpleNamespace(app="shop"), None) as dog:  # type: ignore[arg-type]
            return dog._timer is not None

    with asyncio.Runner(loop_factory=Other) as runner:
        assert not runner.run(watched())
    assert asyncio.run(watched())
