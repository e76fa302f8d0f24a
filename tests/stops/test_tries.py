"""P7, P9: what kills each process that runs it is counted before it runs, and stopped after a few; others end."""

from __future__ import annotations

import asyncio
import sys

from recordfirst.execution.tries import MOST
from tests.starts.harness import Shop, migrated
from tests.stops.deadly import app_on, healthy


async def test_what_kills_every_process_is_stopped_and_the_others_end(shop: Shop) -> None:
    """SIGKILL in a step: six processes die, the next one stops it; what ran beside it is done, once."""
    await migrated(shop.url)
    beside = [f"healthy {number}" for number in range(4)]
    command = [sys.executable, "-m", "tests.stops.deadly", shop.url, "deadly", *beside]
    codes: list[int] = []
    while codes[-1:] != [0] and len(codes) < MOST + 3:
        process = await asyncio.create_subprocess_exec(*command)
        codes.append(await asyncio.wait_for(process.wait(), 60))
    # The first run of all is not counted: nothing tells it from one that was never begun.
    assert codes == [-9] * (MOST + 1) + [0]
    app = app_on(shop.url)
    async with app:
        start = await (await app.handle("deadly")).status()
        assert (start.state, start.is_stopped, "ProcessDied" in (start.stop or "")) == ("open", True, True)
        assert [(await (await app.handle(id)).status()).state for id in beside] == ["succeeded"] * 4


async def test_a_wait_takes_the_count_back(shop: Shop) -> None:
    """A workflow that is begun by many processes in turn, and comes to a wait in each, is no suspect."""
    await migrated(shop.url)
    app = app_on(shop.url)
    async with app, app.runtime.record.session() as session:
        await app.start(healthy, "1", id="1")
        for _ in range(3 * MOST):
            async with app.runtime.tries.of("shop~1", "1", 1, first=False) as died:
                assert died is None
            await app.runtime.tries.take_back()
            app.runtime.tries._known.clear()  # the next process has not begun it yet
            start = await session.find_start("1")
            assert start is not None
            assert start.tries == 0
