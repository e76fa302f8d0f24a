"""P6, P7: what an engine holds and nobody can read is settled there, and its workflow goes on from the record."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from recordfirst import Context, workflow
from recordfirst.observe import EpochUnreadable
from recordfirst.worker.renewing import renew


@workflow
async def order(ctx: Context) -> str:
    return "done"


class Shared:
    """An engine that others work for, too: nothing of it is ours to drop."""

    def __init__(self) -> None:
        self.settled: list[str] = []
        self.found: Callable[[str], None] = lambda _: None

    def tell_unreadable(self, found: Callable[[str], None]) -> None:
        self.found = found

    async def settle(self, id: str) -> bool:
        self.settled.append(id)
        return True

    def forget(self, id: str) -> None:
        """A server collects by its own rules."""


async def test_each_part_that_cannot_be_read_is_settled(shop):
    """One that is left would be delivered, and given back, for ever: its workflow has another epoch by then."""
    engine: Any = Shared()
    async with shop.app(order) as app:
        await app.start(order, id="1")
        renewing = asyncio.create_task(renew(app.runtime, engine))
        await asyncio.sleep(0)
        for promise in ("shop~1:part-a", "shop~1:part-b", "shop~1"):
            engine.found(promise)
        async with asyncio.timeout(20):
            while "shop~1:part-b" not in engine.settled or engine.settled[-1] != "shop~1":
                await asyncio.sleep(0.02)
        renewing.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await renewing
        assert set(engine.settled) == {"shop~1", "shop~1:part-a", "shop~1:part-b"}
        assert [(event.workflow, event.epoch) for event in shop.seen(EpochUnreadable)] == [("1", 1)]
        assert (await (await app.handle("1")).status()).epoch == 2
