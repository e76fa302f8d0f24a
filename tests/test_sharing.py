"""Shared work: an answer is never older than its question, and many questions at once are two pieces of work."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordfirst.process.sharing import Sharing


@given(
    st.lists(st.tuples(st.integers(0, 8), st.sampled_from("ab")), min_size=1, max_size=12),
    st.lists(st.integers(0, 5), min_size=1, max_size=12),
)
def test_work_begins_behind_whoever_gets_its_answer(asks: list[tuple[int, str]], takes: list[int]) -> None:
    """P11: whoever asks when, and however long each piece of work takes, in turns of the loop. Of one key there is
    never more than one at a time; and none is behind another but for somebody who has asked meanwhile.
    """
    clock, began, under_way = 0, [], set()

    async def ask(sharing: Sharing[int], at: int, key: str) -> tuple[int, int]:
        nonlocal clock

        async def work(waited: bool) -> int:
            nonlocal clock
            assert key not in under_way
            under_way.add(key)
            clock += 1
            mine = clock
            began.append((key, waited))
            for _ in range(takes[len(began) % len(takes)]):
                await asyncio.sleep(0)
            under_way.discard(key)
            return mine

        for _ in range(at):
            await asyncio.sleep(0)
        clock += 1
        asked = clock
        return asked, await sharing.once(key, work)

    async def all_of_them() -> list[tuple[int, int]]:
        sharing: Sharing[int] = Sharing()
        return await asyncio.gather(*(ask(sharing, at, key) for at, key in asks))

    answers = asyncio.run(all_of_them())
    assert all(asked < begun for asked, begun in answers)
    assert len(began) == len({begun for _, begun in answers})


def test_many_at_once_are_two_pieces_of_work() -> None:
    """P7: one for the first, one for all that have asked while it ran; that one is told that it has waited."""
    ran: list[bool] = []

    async def work(waited: bool) -> int:
        ran.append(waited)
        await asyncio.sleep(0.01)
        return len(ran)

    async def ask() -> list[int]:
        sharing: Sharing[int] = Sharing()
        first = asyncio.create_task(sharing.once("k", work))
        while not ran:
            await asyncio.sleep(0)
        return [*await asyncio.gather(*(sharing.once("k", work) for _ in range(9))), await first]

    assert asyncio.run(ask()) == [2] * 9 + [1]
    assert ran == [False, True]


def test_what_fails_fails_for_all_who_share_it_and_not_for_the_next() -> None:
    """P8: an error is no answer for later."""
    ran = 0

    async def work(_waited: bool) -> int:
        nonlocal ran
        ran += 1
        await asyncio.sleep(0)
        if ran == 2:
            raise LookupError("away")
        return ran

    async def ask() -> None:
        sharing: Sharing[int] = Sharing()
        three = await asyncio.gather(*(sharing.once("k", work) for _ in range(3)), return_exceptions=True)
        assert [str(each) for each in three] == ["1", "away", "away"]
        assert await sharing.once("k", work) == 3

    asyncio.run(ask())


def test_who_is_cancelled_leaves_the_place_to_the_next() -> None:
    """P7: while it works, and while it waits for its turn."""

    async def never(_waited: bool) -> int:
        await asyncio.Event().wait()
        return 0

    async def now(_waited: bool) -> int:
        return 1

    async def ask() -> None:
        sharing: Sharing[int] = Sharing()
        works = asyncio.create_task(sharing.once("k", never))
        await asyncio.sleep(0)
        waits = asyncio.create_task(sharing.once("k", never))
        await asyncio.sleep(0)
        for task in (waits, works):
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        async with asyncio.timeout(5):
            assert await sharing.once("k", now) == 1

    asyncio.run(ask())
