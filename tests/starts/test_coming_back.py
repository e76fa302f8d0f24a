"""A worker that comes back, or hears late: it runs what is open, once, and sleepers take no room from others."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta

from recordfirst import Context, workflow
from recordfirst.conformance.record import run
from recordfirst.observe import DispatchFailed, StaleEpoch

ROOM = 2
"""``concurrency``; so many bodies twice are with the engine at a time."""


async def count(ctx: Context, who: str) -> None:
    """Not a step with a receipt: it tells of each epoch in the engine."""
    epochs[who] += 1


epochs: Counter[str] = Counter()


@workflow
async def order(ctx: Context, who: str) -> str:
    await ctx.run(count, who)
    return who


@workflow
async def resting(ctx: Context, who: str) -> str:
    await ctx.run(count, who)
    await ctx.sleep(timedelta(days=7))
    return who


@workflow
async def napping(ctx: Context, who: str) -> str:
    await ctx.run(count, who)
    await ctx.sleep(timedelta(seconds=1))
    return who


gates: list[asyncio.Event] = []


@workflow
async def holding(ctx: Context) -> None:
    """Takes a body's place, and no more."""
    epochs["holding"] += 1
    await gates[-1].wait()


class Refused(Exception):  # noqa: N818 - an outcome, as users name it
    """The shop does not want this one."""


@workflow(fails=Refused)
async def failing(ctx: Context, who: str) -> None:
    epochs[who] += 1
    raise Refused(who)


async def until(look) -> None:
    async with asyncio.timeout(20):
        while not look():
            await asyncio.sleep(0.01)


def test_sleepers_that_the_record_does_not_know_of_take_no_room(shop):
    """P7: a worker dies before the record knows what it handed over, and that is suspended: others run in the next
    one.
    """

    async def go():
        epochs.clear()
        async with shop.working(resting, order, concurrency=ROOM) as app:
            for number in range(4 * ROOM):
                await app.start(resting, f"s{number}", id=f"s{number}")
            await until(lambda: len(epochs) == 4 * ROOM)
        await forget_engine(shop)
        async with shop.working(resting, order, concurrency=ROOM) as app:
            handles = [await app.start(order, f"o{number}", id=f"o{number}") for number in range(4 * ROOM)]
            assert [await asyncio.wait_for(each.result(), 10) for each in handles] == [each.id for each in handles]
        assert set(epochs.values()) == {1}

    run(go())


async def forget_engine(shop) -> None:
    """What a crash leaves between handing over and the record's knowing it."""
    async with shop.app(order) as app, app.record.write() as w:
        table = "recordfirst_start" if shop.url.startswith("sqlite") else "recordfirst.start"
        await w.tx.execute(f"UPDATE {table} SET engine = NULL")


def test_what_ends_while_it_is_put_back_does_not_run_once_more(shop):
    """P3, P6: many sleeps end as a worker comes back, and the engine forgets what has ended: no second epoch begins."""
    ids = [f"n{number}" for number in range(60)]

    async def go():
        epochs.clear()
        async with shop.working(napping) as app:
            async with app.record.write() as w:
                for id in ids:
                    w.start(napping, id, id=id)
            await until(lambda: len(epochs) == len(ids))
        await asyncio.sleep(1)  # what the sleeps take: the time that is asked for, and not how fast the machine is
        async with shop.working(napping) as app:
            assert [await (await app.handle(id)).result() for id in ids] == ids
            await asyncio.sleep(0.5)  # for a second epoch to begin in
        assert set(epochs.values()) == {1}

    run(go())


def test_start_that_is_heard_of_late_does_not_run_once_more(shop):
    """P3, P6: the answer to storing a start comes when the workflow has ended, and the engine has forgotten it."""

    async def go():
        epochs.clear()
        async with shop.working(order) as app:
            handle = await app.start(order, "o", id="o")
            open_start = handle._start
            assert await handle.result() == "o"
            dispatcher = app._dispatcher
            assert dispatcher is not None
            await dispatcher.hand_over(open_start)  # as App.start does, behind a reply of the record
            assert await (await app.start(order, "p", id="p")).result() == "p"
            await until(lambda: not dispatcher._running)
        assert epochs == {"o": 1, "p": 1}

    run(go())


def test_lives_that_are_over_before_they_begin_leave_their_room(shop):
    """P7: retried, handed over and cancelled before their bodies began, workflows keep no room that others need."""

    async def go():
        epochs.clear()
        async with shop.working(failing, holding, order, concurrency=1) as app:
            for number in range(3):
                handle = await app.start(failing, f"f{number}", id=f"f{number}")
                await until_state(handle, "failed")
            for number in range(3):
                gates.append(asyncio.Event())
                await app.start(holding, id=f"h{number}")
                # Before the retried one is open, which is older: if both waited for a round, that would be the first.
                await until(lambda begun=number + 1: epochs["holding"] >= begun)
                dispatcher = app._dispatcher
                assert dispatcher is not None
                await app.retry(f"f{number}")
                await until(lambda epoch=f"shop~f{number}~2", dispatcher=dispatcher: epoch in dispatcher._running)
                await app.cancel(f"f{number}", who="ann")
                gates[-1].set()
                await until_state(await app.handle(f"h{number}"), "succeeded")
            assert await asyncio.wait_for((await app.start(order, "o", id="o")).result(), 10) == "o"
        assert len(shop.seen(StaleEpoch)) == 3

    run(go())


async def until_state(handle, state: str) -> None:
    async with asyncio.timeout(20):
        while (await handle.status()).state != state:
            await asyncio.sleep(0.01)


def test_end_that_the_record_refuses_keeps_no_other_one_back(shop):
    """P7: a trigger of the user's refuses one workflow's end: the others are stored, and it is said."""

    async def go():
        async with shop.working(order) as app:
            async with app.record.write() as w:
                for statement in refusing(shop.url):
                    await w.tx.execute(statement)
                for number in range(20):
                    w.start(order, f"o{number}", id=f"o{number}")
            for number in range(20):
                if number != 7:
                    assert await asyncio.wait_for((await app.handle(f"o{number}")).result(), 10) == f"o{number}"
            assert (await (await app.handle("o7")).status()).state == "open"
        assert any("not this one" in event.cause for event in shop.seen(DispatchFailed))

    run(go())


def refusing(url: str) -> list[str]:
    if url.startswith("sqlite"):
        when = "BEFORE UPDATE ON recordfirst_start WHEN NEW.id = 'o7' AND NEW.state <> 'open'"
        return [f"CREATE TRIGGER refusing {when} BEGIN SELECT RAISE(ABORT, 'not this one'); END"]
    when = "BEFORE UPDATE ON recordfirst.start FOR EACH ROW WHEN (NEW.id = 'o7' AND NEW.state <> 'open')"
    return [
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not this one'; END $$",
        f"CREATE TRIGGER refusing {when} EXECUTE FUNCTION refuse()",
    ]
