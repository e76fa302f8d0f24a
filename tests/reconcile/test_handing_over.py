"""The lease of a worker's reconciles passes on when its holder is killed in the middle of a pass."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from pathlib import Path
from typing import Any

from recordfirst.conformance.record import run
from recordfirst.reconcile import loop as keeper
from recordfirst.reconcile.passes import starts as epochs
from tests.engine.double import Server
from tests.reconcile.harness import Bank, order, sleeper
from tests.starts.harness import Shop

ROOT = Path(__file__).parents[2]
PAGE = 4
IDS = [f"s{number}" for number in range(10)]
HOLDER = f"""
import asyncio, sys
from recordfirst.reconcile import reconciler
from recordfirst.reconcile import loop as keeper
from recordfirst.reconcile.passes import starts as epochs
from tests.reconcile.harness import Bank, order, sleeper
from tests.starts.harness import Shop
async def main():
    keeper._FIRST_S, keeper.EVERY_S, epochs.PAGE, epochs._SETTLING_S = 0, 0.1, {PAGE}, 0
    reconciler._ROWS_PER_S = 0.001  # behind its first page it takes an hour's rest
    async with Shop(sys.argv[1]).working(order, sleeper, engine=sys.argv[2], provide={{Bank: Bank()}}):
        await asyncio.Event().wait()
asyncio.run(main())
"""


@contextlib.contextmanager
def holder(*words: str):
    """A worker that has the lease, and keeps it in the middle of a round."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, *words], cwd=ROOT)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def epochs_pass(app):
    async with app.runtime.record.session() as session:
        return await session.find_pass("epochs")


async def until(true):
    """Wait for a condition; the test's own timeout ends it."""
    while not await true():
        await asyncio.sleep(0.01)


async def as_it_is(app):
    """All sleep, and one is parked: nobody knows what became of its charge."""
    for id in IDS:
        await app.start(sleeper, id, id=id)
    await app.start(order, "ann", id="ann")

    async def so():
        async with app.runtime.record.session() as session:
            given = all(start.engine for start in await session.open_starts(None, 0, 100))
            unknown = await session.unsettled("unknown", None, 0, 1)
        return given and unknown and unknown[0].parked_on is not None

    await until(so)


def test_lease_passes_on_when_its_holder_is_killed(shop: Shop, monkeypatch):
    """P6: SIGKILL in the middle of a pass: who waited has the lease, ends that round, and repairs what was left."""
    monkeypatch.setattr(epochs, "PAGE", PAGE)
    monkeypatch.setattr(keeper, "_FIRST_S", 3_600)
    monkeypatch.setattr(keeper, "EVERY_S", 0.1)

    async def go():
        server, waits, bank = Server(), asyncio.Event(), Bank()
        bank.loses_replies, bank.can_be_asked = True, False
        async with server.running() as url:
            given: dict[str, Any] = {"engine": url, "provide": {Bank: bank}}
            async with shop.working(order, sleeper, **given) as app:
                await as_it_is(app)
            bank.can_be_asked = True
            monkeypatch.setattr(keeper, "_FIRST_S", 0)
            with holder(shop.url, url) as process:
                async with shop.app(order, sleeper, **given) as app:

                    async def in_the_middle():
                        assert process.poll() is None
                        state = await epochs_pass(app)
                        return state is not None and state.finished_at_ms is None and state.position is not None

                    await until(in_the_middle)
                    before = await epochs_pass(app)
                    lease = app.runtime.record.lease

                    def seen(name):
                        if name == "reconcile":
                            waits.set()
                        return lease(name)

                    monkeypatch.setattr(app.runtime.record, "lease", seen)
                    async with app.worker():
                        await waits.wait()
                        assert await epochs_pass(app) == before
                        process.kill()

                        async def repaired():
                            async with app.runtime.record.session() as session:
                                return (await session.find_receipt("ann:charge")).receipt.state == "succeeded"

                        await until(repaired)
                    after = await epochs_pass(app)
                    assert (before.position, after.round) == (IDS[PAGE - 1], before.round)
                    assert after.finished_at_ms is not None
                    assert list(bank.charged.values()) == [1]

    run(go())
