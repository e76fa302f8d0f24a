"""P8, P9: a deploy takes a workflow away that is open, or a part of one: it stops, and goes on when it is back."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from resonate.connections import LocalConnection
from resonate.resonate import Resonate
from resonate.types import TaskData, Value

from recordfirst import Context, Embedded, WorkflowStopped, workflow
from recordfirst.engine.sdk import steps as sdk
from recordfirst.observe import Resumed, Stopped
from recordfirst.worker import resuming

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


async def without(shop: Any, *workflows: Any, stops: int = 0, **options: Any) -> None:
    """A worker of this version does other work meanwhile."""
    async with shop.working(*workflows, **options) as app, asyncio.timeout(30):
        await asyncio.sleep(SLEEPS.total_seconds())
        while len(shop.seen(Stopped)) < stops:
            await asyncio.sleep(0.02)
        assert await (await app.start(other, id="o")).result() == "other"


def table(shop: Any) -> str:
    return "recordfirst.start" if shop.url.startswith("postgresql") else "recordfirst_start"


@pytest.fixture(autouse=True)
def _soon(monkeypatch, caplog):
    """No task is given back as one that cannot be run: it would come again at once, a thousand times a second."""
    TURNS.clear()
    monkeypatch.setattr(resuming, "_EVERY_S", 0.2)
    yield
    assert [each for each in caplog.get_records("call") if "releasing task" in each.getMessage()] == []


@pytest.fixture
def engine(tmp_path) -> Embedded:
    """It has what the version before has left there."""
    return Embedded(tmp_path / "engine")


async def test_without_the_part_it_stops_and_goes_on_when_it_is_back(shop, engine):
    """It says which workflow the app does not have, and another one is not held up."""
    async with shop.working(whole, part, engine=engine, version="1") as app:
        await app.start(whole, id="1")
        await asleep(app)
    await without(shop, whole, other, stops=2, engine=engine, version="2")
    waits, calls = shop.seen(Stopped)
    assert "no workflow 'part', which runs a part of this one; it has: whole, other" in waits.cause
    assert "ctx.rpc(part): the app has no such workflow" in calls.cause
    assert {told.workflow for told in (waits, calls)} == {"1"}
    async with shop.working(whole, part, engine=engine, version="3") as app, asyncio.timeout(30):
        assert await (await app.handle("1")).result() == "from the part"
    assert [(event.workflow, event.version) for event in shop.seen(Resumed)] == [("1", "2"), ("1", "3")]


@pytest.mark.parametrize("known_by_the_record", [True, False])
async def test_without_the_whole_it_is_open_until_it_is_back(shop, engine, known_by_the_record):
    """Whether its worker has come to say that the engine has it, or has died before."""
    async with shop.working(whole, part, engine=engine, version="1") as app:
        await app.start(whole, id="1")
        await asleep(app)
        if not known_by_the_record:
            async with app.runtime.record.transaction() as tx:
                await tx.connection.execute(f"UPDATE {table(shop)} SET engine = NULL")
    await without(shop, part, other, engine=engine, version="2")
    assert shop.seen(Stopped) == []
    async with shop.working(whole, part, engine=engine, version="3") as app, asyncio.timeout(30):
        assert await (await app.handle("1")).result() == "from the part"


async def test_a_body_that_does_without_the_part_goes_on(shop, engine):
    """By itself. What is left of the part is dropped."""
    async with shop.working(whole, part, engine=engine, version="1") as app:
        await app.start(whole, id="1")
        await asleep(app)
    async with shop.working(without_the_part(), engine=engine, version="2") as app, asyncio.timeout(30):
        assert await (await app.handle("1")).result() == "without it"
    [told] = shop.seen(Stopped)
    assert "no workflow 'part', which runs a part of this one" in told.cause


async def test_what_is_over_leaves_no_part_behind(shop, engine):
    """Its workflow was ended by hand: the part's task is taken once, and is gone."""
    async with shop.working(whole, part, engine=engine, version="1") as app:
        await app.start(whole, id="1")
        await asleep(app)
    async with shop.app(whole) as app:
        await app.cancel("1", undo=False)
    await without(shop, other, engine=engine, version="2")
    assert shop.seen(Stopped) == []


async def test_a_part_that_the_app_was_never_given(shop):
    """The mistake is told at once."""
    async with shop.working(by_object) as app, asyncio.timeout(20):
        with pytest.raises(WorkflowStopped, match=r"ctx.rpc\(part\): the app has no such workflow"):
            await (await app.start(by_object, id="1")).result(if_stopped="raise")


async def test_a_part_that_is_called_by_a_name_of_nothing(shop):
    """Only who runs it can tell: the body is tried once more, and no further."""
    async with shop.working(by_name, other, version="2") as app, asyncio.timeout(20):
        await app.start(by_name, id="1")
        while len(shop.seen(Stopped)) < 2:
            await asyncio.sleep(0.02)
        await asyncio.sleep(5 * resuming._EVERY_S)
        assert (await (await app.handle("1")).status()).is_stopped
    assert len(shop.seen(Stopped)) == 2
    assert len(shop.seen(Resumed)) == 1


async def test_a_task_of_another_app_is_not_ours_to_end(shop, caplog):
    """P7: two apps on one Resonate: what one does not know is the other's, whose worker is away."""
    resonate = Resonate(network=LocalConnection(), env={}, autostart=False)
    async with shop.working(other, engine=resonate):
        tags = sdk.tags_of_epoch("bank~1", sdk.address_of(resonate))
        await resonate.promises.create("bank~1", sdk.far_from_now_ms(resonate), Value(data=TaskData(func="pay")), tags)
        await asyncio.sleep(0.3)
        assert (await resonate.promises.get("bank~1")).state == "pending"
    assert "function not found: pay" in caplog.text
    caplog.clear()
