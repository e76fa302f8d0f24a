"""Waiting for workflows that end in other processes: one look for all, as often as ends come (P10)."""

from __future__ import annotations

import asyncio

import pytest

from recordfirst import Context, Misuse, RecordUnavailable, UnknownWorkflow, workflow
from recordfirst.conformance.record import run
from recordfirst.core.start import Finish
from recordfirst.records.session import SqlSession

MANY = 30


@workflow
async def far(ctx: Context, number: int) -> int:
    raise NotImplementedError(f"nobody works in this process: {ctx} {number}")


class Looks:
    """What was asked of the record, look by look; it may be made to fail."""

    def __init__(self, monkeypatch):
        self.asked: list[list[str]] = []
        self.error = None
        plain = SqlSession.still_open

        async def noted(session, ids):
            self.asked.append(list(ids))
            if self.error is not None:
                raise self.error
            return await plain(session, ids)

        monkeypatch.setattr(SqlSession, "still_open", noted)

    async def more(self, number):
        """Wait until there were so many more."""
        wanted = len(self.asked) + number
        async with asyncio.timeout(20):
            while len(self.asked) < wanted:
                await asyncio.sleep(0.005)


@pytest.fixture
def looks(monkeypatch):
    return Looks(monkeypatch)


async def end(app, *numbers):
    """As the worker of another process does."""
    async with app.runtime.record.session() as session:
        await session.finish(
            [Finish(id=f"w{n}", epoch=1, state="succeeded", result=str(n), error=None) for n in numbers]
        )


def test_one_look_for_all_who_wait(shop, looks):
    """P10: however many wait, a look is one query; who has ended is told, and is asked for no more."""

    async def go():
        async with shop.app(far) as app:
            handles = [await app.start(far, n, id=f"w{n}") for n in range(MANY)]
            waiting = [asyncio.create_task(handle.result()) for handle in handles]
            await looks.more(3)
            assert looks.asked[-1] == sorted(f"w{n}" for n in range(MANY))
            await end(app, *range(1, MANY))
            assert await asyncio.gather(*waiting[1:]) == [*range(1, MANY)]
            await looks.more(2)
            assert looks.asked[-1] == ["w0"]
            await end(app, 0)
            assert await waiting[0] == 0

    run(go())


def test_nobody_looks_when_nobody_waits(shop, looks):
    """P10: neither after the last end, nor after the last who waited has gone."""

    async def go():
        async with shop.app(far) as app:
            waiting = asyncio.create_task((await app.start(far, 1, id="w1")).result())
            await looks.more(5)
            looking = app.completions._looking
            assert looking is not None
            waiting.cancel()
            await asyncio.wait([waiting])
            await asyncio.wait_for(looking, 20)
            handle = await app.start(far, 2, id="w2")
            await end(app, 2)
            assert await handle.result() == 2
            assert app.completions._looking is not None
        assert app.completions._looking is None

    run(go())


def test_who_waits_when_the_app_is_closed_is_told(shop):
    """P9: nobody waits for ever on a record that is closed."""

    async def go():
        async with shop.app(far) as app:
            waiting = asyncio.create_task((await app.start(far, 1, id="w1")).result())
            await asyncio.sleep(0)
            assert app.completions._waiting
        assert app.completions._looking is None
        with pytest.raises(Misuse, match="was closed before workflow 'w1' had ended"):
            await asyncio.wait_for(waiting, 20)

    run(go())


def test_looks_are_seldom_while_nothing_ends(shop, looks):
    """P10: the pause grows to a tenth of a second, and is short again as soon as another waits."""

    async def go():
        async with shop.app(far) as app:
            waiting = [asyncio.create_task((await app.start(far, 1, id="w1")).result())]
            await looks.more(8)
            assert app.completions._pause_s == 0.1
            waiting.append(asyncio.create_task((await app.start(far, 2, id="w2")).result()))
            await asyncio.sleep(0)
            assert app.completions._pause_s == 0.02
            await end(app, 1, 2)
            assert await asyncio.gather(*waiting) == [1, 2]

    run(go())


def test_what_goes_wrong_is_told_to_all_who_wait(shop, looks):
    """P9, P8: a record that stays out of reach, and a start that is gone, end the wait; the next wait looks anew."""

    async def go():
        async with shop.app(far) as app:
            handles = [await app.start(far, n, id=f"w{n}") for n in (1, 2)]
            looks.error = RecordUnavailable("there", "no answer")
            for done in await asyncio.gather(*(handle.result() for handle in handles), return_exceptions=True):
                assert isinstance(done, RecordUnavailable)
            looks.error = None
            waiting = asyncio.create_task(handles[0].result())
            await looks.more(1)
            async with app.record.write() as w:
                table = "recordfirst.start" if "postgres" in shop.url else "recordfirst_start"
                await w.tx.execute(f"DELETE FROM {table} WHERE id = 'w1'")
            with pytest.raises(UnknownWorkflow):
                await waiting
            await end(app, 2)
            assert await handles[1].result() == 2

    run(go())
