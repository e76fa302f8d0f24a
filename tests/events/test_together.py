"""P11: events that come together about one payment share a look, which begins behind them all."""

from __future__ import annotations

import asyncio
import importlib
from typing import Any

from recordfirst.process.sharing import Sharing
from recordfirst.worker import events as worker_events
from tests.events.selling import sell, selling
from tests.events.test_taking import awaited
from tests.starts.harness import Shop

SHOP: Any = importlib.import_module("tests.events.selling")


async def test_events_that_come_while_a_look_is_under_way_share_the_next(shop: Shop, monkeypatch: Any) -> None:
    """P11, P7: the first look has asked before the customer paid, and its answer is slow: what it says is older than
    the two events that come meanwhile. One more look settles the payment for both.
    """
    find, asks, asked = SHOP.find_payment_intent, 0, 0
    began, answers = asyncio.Event(), asyncio.Event()

    async def slow(*args: Any, **named: Any) -> Any:
        nonlocal asked
        asked += 1
        found = await find(*args, **named)
        if asked == 1:
            began.set()
            await answers.wait()
        return found

    class Counted(Sharing[Any]):
        async def once(self, key: Any, work: Any) -> Any:
            nonlocal asks
            asks += 1
            return await super().once(key, work)

    monkeypatch.setattr(worker_events, "Sharing", Counted)
    async with selling(shop) as at:
        handle = await at.app.start(sell, "1", "pm_card_authenticationRequired", id="1")
        await at.until(lambda: awaited(at))
        await at.sim.sent_all()
        await at.until(at.all_taken_up)
        monkeypatch.setattr(SHOP, "find_payment_intent", slow)
        asks = 0
        [intent] = at.sim.api.books.intents
        [created] = [each for each in at.sim.events if each.type == "payment_intent.created"]
        await at.app.operations.events.replay(created.id, who="a test", why="it asks again")
        await asyncio.wait_for(began.wait(), 20)
        at.sim.do("complete", intent)

        async def all_wait() -> bool:
            return asks == 3

        await at.until(all_wait)
        answers.set()
        assert await handle.result() == intent
        await at.until(at.all_taken_up)
        assert await at.paid() == [("1", 5000)]
        assert asked == 2
