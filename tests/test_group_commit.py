"""Group commit: who asks while a statement is under way goes with the next, and fails alone."""

import asyncio

import pytest

from recordfirst.process.group_commit import GroupCommit


def test_p7_what_is_asked_for_meanwhile_goes_together_and_each_gets_its_own_answer():
    """P7: one statement for the first, one for all that came while it ran."""
    batches: list[list[int]] = []

    async def work(items):
        batches.append(list(items))
        await asyncio.sleep(0)
        return [item * 10 for item in items]

    async def ask():
        together = GroupCommit(work)
        return await asyncio.gather(*(together.add(n) for n in range(5)))

    assert asyncio.run(ask()) == [0, 10, 20, 30, 40]
    assert len(batches) <= 2


def test_p8_one_that_is_refused_does_not_fail_the_others():
    """P8: the statement of many is refused, each is asked for alone, and only the culprit is told."""

    async def work(items):
        if 3 in items:
            raise ValueError("three")
        return items

    async def ask():
        together = GroupCommit(work)
        return await asyncio.gather(*(together.add(n) for n in range(5)), return_exceptions=True)

    answers = asyncio.run(ask())
    assert [answer for answer in answers if not isinstance(answer, ValueError)] == [0, 1, 2, 4]
    with pytest.raises(ValueError, match="three"):
        raise answers[3]


def test_p7_who_stops_waiting_keeps_nobody_from_an_answer():
    """P7: a request that is cancelled does not take the others' answers with it."""

    async def work(items):
        await asyncio.sleep(0)
        return items

    async def ask():
        together = GroupCommit(work)
        gone = asyncio.create_task(together.add(1))
        there = asyncio.create_task(together.add(2))
        await asyncio.sleep(0)
        gone.cancel()
        return await there

    assert asyncio.run(ask()) == 2
