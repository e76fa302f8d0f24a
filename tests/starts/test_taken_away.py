"""P8, P9: a deploy takes a workflow away that is open, or a part of one: it stops, and goes on when it is back."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import Any

import pytest

from recordfirst import Context, Embedded, WorkflowStopped, workflow
from recordfirst.observe import Resumed, Stopped

SLEEPS = timedelta(seconds=2)
TURNS: list[str] = []
"""Which bodies ran."""


@workflow
async def part(ctx: Context) -> str:
    TURNS.append("part")
    await ctx.sleep(SLEEPS)
    return "from the part"


@workflow
async def whole(ctx: Context) -> str:
    TURNS.append("whole")
    return await ctx.rpc(part)


def without_the_part() -> Any:
    @workflow(name="whole")
    async def shorter(ctx: Context) -> str:
        return "without it"

    return shorter


@workflow
async def other(ctx: Context) -> str:
    return "other"


@workflow
async def by_object(ctx: Context) -> str:
    return await ctx.rpc(part)


@workflow
async def by_name(ctx: Context) -> str:
    return await ctx.rpc("part")


async def asleep(app: Any) -> None:
    """The part has begun, and sleeps; the record knows which engine has it."""
    async with asyncio.timeout(20):
        while "part" not in TURNS or (await (await app.handle("1")).status()).engine is None:
            await asyncio.sleep(0.02)


async def idle(shop: Any, *workflows: Any, **options: Any) -> None:
    """A worker of this version does other work, and has time to spare: it does not take one task again and again."""
    began = time.process_time()
    async with shop.working(*workflows, **options) as app:
        await asyncio.sleep(SLEEPS.total_seconds())
        assert await (await app.start(other, id="o")).result() == "other"
    assert time.process_time() - began < SLEEPS.total_seconds() / 2


def table(shop: Any) -> str:
    return "recordfirst.start" if shop.url.startswith("postgresql") else "recordfirst_start"


@pytest.fixture(autouse=True)
def _fresh():
    TURNS.clear()


@pytest.fixture
def engine(tmp_path) -> Embedded:
    """It has what the version before has left there."""
    return Embedded(tmp_path / "engine")


async def test_without_the_part_it_stops_and_goes_on_when_it_is_back(shop, engine):
    """It says which workflow the app does not have, and another one is not held up."""
    async with shop.working(whole, part, engine=engine, version="1") as app:
        await app.start(whole, id="1")
        await asleep(app)
    await idle(shop, whole, other, engine=engine, version="2")
    [told] = shop.seen(Stopped)
    assert told.workflow == "1"
    assert "no workflow 'part', which runs a part of this one; it has: whole, other" in told.cause
    async with shop.working(whole, part, engine=engine, version="3") as app, asyncio.timeout(30):
        assert await (await app.handle("1")).result() == "from the part"
    assert [event.workflow for event in shop.seen(Resumed)] == ["1"]


@pytest.mark.parametrize("known_by_the_record", [True, False])
async def test_without_the_whole_it_is_open_until_it_is_back(shop, engine, known_by_the_record):
    """Whether its worker has come to say that the engine has it, or has died before."""
    async with shop.working(whole, part, engine=engine, version="1") as app:
        await app.start(whole, id="1")
        await asleep(app)
        if not known_by_the_record:
            async with app.runtime.record.transaction() as tx:
                await tx.connection.execute(f"UPDATE {table(shop)} SET engine = NULL")
    await idle(shop, part, other, engine=engine, version="2")
    assert shop.seen(Stopped) == []
    async with shop.working(whole, part, engine=engine, version="3") as app, asyncio.timeout(30):
        assert await (await app.handle("1")).result() == "from the part"


async def test_a_body_that_does_without_the_part_goes_on(shop, engine):
    """When it is told to, or by itself with the next version. What is left of the part is dropped."""
    async with shop.working(whole, part, engine=engine, version="1") as app:
        await app.start(whole, id="1")
        await asleep(app)
    async with shop.working(without_the_part(), engine=engine, version="2") as app, asyncio.timeout(30):
        with pytest.raises(WorkflowStopped, match="no workflow 'part', which runs a part of this one"):
            await (await app.handle("1")).result(if_stopped="raise")
        await app.retry("1")
        assert await (await app.handle("1")).result() == "without it"


async def test_what_is_over_leaves_no_part_behind(shop, engine):
    """Its workflow was ended by hand: the part's task is taken once, and is gone."""
    async with shop.working(whole, part, engine=engine, version="1") as app:
        await app.start(whole, id="1")
        await asleep(app)
    async with shop.app(whole) as app:
        await app.cancel("1", undo=False)
    await idle(shop, other, engine=engine, version="2")
    assert shop.seen(Stopped) == []


@pytest.mark.parametrize("calls", [by_object, by_name])
async def test_a_part_that_the_app_was_never_given(shop, calls):
    """The mistake is told at once."""
    async with shop.working(calls) as app, asyncio.timeout(20):
        with pytest.raises(WorkflowStopped, match=r"no (such )?workflow"):
            await (await app.start(calls, id="1")).result(if_stopped="raise")
    assert [event.workflow for event in shop.seen(Stopped)] == ["1"]
