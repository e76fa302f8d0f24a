"""``App(engine="http://...")`` and ``App(engine="postgresql://...")`` on the real ones, with workers in processes."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta

import pytest

from recordfirst import Context, inject, read, workflow
from recordfirst.conformance.record import run
from tests.engine.kills import kill_at_random
from tests.engine.live import until
from tests.engine.program import WORKFLOWS, World, journey, long

pytestmark = [pytest.mark.timeout(300), pytest.mark.usefixtures("quiet_sdk")]


class Place:
    """Which worker this is."""

    def __init__(self, name: str) -> None:
        self.name = name


@read
async def here(r, *, place: Place = inject()) -> str:
    return place.name


@workflow
async def near(ctx: Context) -> list[str]:
    first = await here(ctx)
    return [first, await ctx.options(target=f"{first}-heavy", timeout=timedelta(days=1)).rpc(far), await here(ctx)]


@workflow
async def far(ctx: Context) -> str:
    await ctx.sleep(timedelta(milliseconds=50))
    return await here(ctx)


def test_two_processes_share_the_work(live):
    """P3, P7: workflows with timers and children, started by a third process, end once, by the work of both."""

    async def go():
        async with live.app(*WORKFLOWS, provide={World: None}) as app:
            async with app.record.write() as w:
                for number in range(30):
                    w.start(journey, f"w{number}", waits=False, id=f"w{number}")
            results = [await (await app.handle(f"w{number}")).result() for number in range(30)]
        assert results[7] == ["w7/first", "w7", "w7/child", "w7/last"]

    with live.worker() as one, live.worker() as other:
        one.hear("working")
        other.hear("working")
        run(go())
        done = live.rows("SELECT what, pid FROM done")
        assert len({what for what, _ in done}) == len(done) == 90
        assert {by for _, by in done} == {one.pid, other.pid}
        assert Counter(live.rows("SELECT key FROM calls")).most_common(1)[0][1] == 1
        for process in (one, other):
            process.tell_to_stop()
        assert (one.wait(20), other.wait(20)) == (0, 0)


def test_drained_worker_ends_its_step_and_gives_back_the_workflow(live):
    """P7: told to stop in the middle of a call, it ends that and begins nothing; another goes on at once."""

    async def go():
        async with live.app(*WORKFLOWS, provide={World: None}) as app:
            handle = await app.start(long, "l", id="l")
            with live.worker() as one:
                one.hear("working")
                await asyncio.to_thread(until, lambda: live.rows("SELECT 1 FROM signs WHERE name = 'l calls'"))
                with live.worker() as other:
                    other.hear("working")
                    one.tell_to_stop()
                    live.rows("INSERT INTO signs VALUES ('l goes on')")
                    assert one.wait(20) == 0
                    # Long before the lease of the one would have lapsed.
                    async with asyncio.timeout(10):
                        assert await handle.result() == "l"
                    assert live.rows("SELECT pid FROM calls") == [(one.pid,)]
                    assert live.rows("SELECT pid FROM done") == [(other.pid,)]

    run(go())


def test_group_gets_what_is_sent_to_it(live):
    """P7: starts go to the app's own group, whoever dispatchers them; a child that is sent to another runs there
    alone.
    """

    async def go():
        home, heavy = Place(live.name), Place(f"{live.name}-heavy")
        async with (
            live.working(near, far, provide={Place: home}) as app,
            live.working(near, far, provide={Place: heavy}, group=heavy.name) as other,
        ):
            for starter in (app, other):
                handles = [await starter.start(near, id=f"{id(starter)}/{number}") for number in range(5)]
                for handle in handles:
                    assert await handle.result() == [home.name, heavy.name, home.name]

    run(go())


@pytest.mark.parametrize("live", ["embedded", "resonate-pg", "server"], indirect=True)
def test_killed_at_random(live):
    """P3, P6, P7: SIGKILL of either of two workers, four times: all end, no step twice, no letter sent again."""
    told = asyncio.run(kill_at_random(live, workflows=40, kills=4, workers=2, seed=4))
    # A worker that dies between the intent of a letter and its call leaves one in doubt that was never sent.
    assert (told["workflows"], told["kills"]) == (40, 4)
    assert told["letters"] <= 4
