"""P9: a provider that does not answer delays its own events alone, and one question those about the same receipt."""

from __future__ import annotations

import asyncio
from typing import Any

from recordfirst.core.reversal import TakenBack
from recordfirst.events.taking import AT_ONCE
from tests.events.banking import TAKEN, Bank, banking, pay, pay_elsewhere, returned, send
from tests.starts.harness import Shop


async def test_a_provider_that_does_not_answer_delays_its_own_events_alone(shop: Shop, monkeypatch: Any) -> None:
    """P9, P11: more of its events than a worker takes up at once are under way; another provider's settle in a second,
    and its own when it answers again.
    """
    answers, waiting = asyncio.Event(), 0

    async def taken_back(self: Bank, get: Any, references: Any) -> list[TakenBack]:
        nonlocal waiting
        del get, references
        if self.name == "other":
            waiting += 1
            await answers.wait()
        return list(TAKEN)

    async with banking(shop) as at:
        assert await (await at.app.start(pay_elsewhere, "1", "7", id="1")).result() == "7"
        monkeypatch.setattr(Bank, "taken_back", taken_back)
        for number in range(20):
            await at.event(f"other{number}", "other", transfer="7")
        async with asyncio.timeout(10):
            while waiting < AT_ONCE:
                await asyncio.sleep(0.02)
        assert await (await at.app.start(pay, "2", id="2")).result() == "1"
        TAKEN.append(returned())
        await at.event("ours", transfer="1")
        async with asyncio.timeout(5):
            while (await at.states())["ours"] != "done":
                await asyncio.sleep(0.02)
        assert await at.visits() == ["2 sent returned 30"]
        answers.set()
        await at.over()


async def test_one_question_that_is_not_answered_delays_no_other(shop: Shop, monkeypatch: Any) -> None:
    """P9, P11: the same provider's, too; the first event is under way when the second comes."""
    answers, asked = asyncio.Event(), asyncio.Event()

    async def taken_back(self: Bank, get: Any, references: Any) -> list[TakenBack]:
        del self, get
        if "7" in references.values():
            asked.set()
            await answers.wait()
        return []

    async with banking(shop) as at:
        for order, transfer in (("1", "7"), ("2", "8")):
            assert await (await at.app.start(pay_elsewhere, order, transfer, id=order)).result() == transfer
        monkeypatch.setattr(Bank, "taken_back", taken_back)
        await at.event("slow", "other", transfer="7")
        await asyncio.wait_for(asked.wait(), 10)
        await at.event("quick", "other", transfer="8")
        async with asyncio.timeout(5):
            while (await at.states())["quick"] != "done":
                await asyncio.sleep(0.02)
        assert (await at.states())["slow"] == "open"
        answers.set()
        await at.over()


async def test_what_takes_back_is_asked_for_as_long_as_a_probe(shop: Shop, monkeypatch: Any) -> None:
    """P9, P11: its client knows no time limit, and it does not answer; the event is looked into again, and told."""
    asked: list[str] = []

    async def taken_back(self: Bank, get: Any, references: Any) -> list[TakenBack]:
        del get, references
        asked.append(self.name)
        if len(asked) == 1:
            await asyncio.Event().wait()
        return [returned()]

    monkeypatch.setattr(Bank, "taken_back", taken_back)
    monkeypatch.setattr(send, "timeout_s", 0.2)
    async with banking(shop) as at:
        assert await (await at.app.start(pay, "1", id="1")).result() == "1"
        await at.event("back", transfer="1")
        await at.over()
        assert await at.visits() == ["1 sent returned 30"]
        assert len(asked) == 2
