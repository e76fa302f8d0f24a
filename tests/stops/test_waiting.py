"""P9: a body that waits, or whose task is given back, begins nothing more, whatever stands around its step."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from resonate.error import PlatformError

from recordfirst import Call, Context, Declined, NotDone, Provider, Write, effect, inject, workflow, write
from recordfirst.engine.sdk import steps as sdk
from recordfirst.execution.write_runner import WriteRun
from recordfirst.observe import Stopped
from tests.starts.harness import Shop

BANK = Provider(name="bank", retention_s=86_400)
MOMENT = timedelta(milliseconds=300)


class Calls(list[str]):
    """What was called, in order."""


@effect(key="{what}", provider=BANK, after=None)
async def call(call: Call, what: str, *, calls: Calls = inject()) -> str:
    calls.append(what)
    return what


@effect(key="refused", provider=BANK, after=None)
async def busy(call: Call, *, calls: Calls = inject()) -> str:
    calls.append("busy")
    if calls.count("busy") == 1:
        raise NotDone("come back later", retry_after_ms=6_000)
    return "done"


@write(key="{id}:note")
async def note(w: Write[Any], id: str) -> str:
    return id


@pytest.fixture
def out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first write finds that nothing can be stored, for so long that its task is given back."""
    once, down = WriteRun._once, [True]

    async def first(self: WriteRun, *args: Any) -> Any:
        if down and down.pop():
            raise sdk.release("the record is out of reach")
        return await once(self, *args)

    monkeypatch.setattr(WriteRun, "_once", first)


async def nap(ctx: Context, what: str) -> None:
    await ctx.sleep(MOMENT)
    await call(ctx, what)


async def both(ctx: Context, what: str, then: str) -> None:
    await call(ctx, what)
    await call(ctx, then)


@workflow
async def gathered(ctx: Context) -> None:
    try:
        await asyncio.gather(nap(ctx, "charge"), call(ctx, "hold"))
    finally:
        await call(ctx, "last")


@workflow
async def grouped(ctx: Context) -> None:
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(nap(ctx, "charge"))
            group.create_task(both(ctx, "hold", "pack"))
    finally:
        await call(ctx, "last")


@workflow
async def settled_in_a_branch(ctx: Context) -> None:
    async def branch() -> None:
        await asyncio.gather(nap(ctx, "charge"), call(ctx, "hold"), return_exceptions=True)
        await call(ctx, "last")

    await asyncio.gather(branch(), call(ctx, "pack"))


@workflow
async def waited_for(ctx: Context) -> None:
    tasks = [asyncio.create_task(nap(ctx, "charge")), asyncio.create_task(both(ctx, "hold", "pack"))]
    await asyncio.wait(tasks)
    await call(ctx, "last")


async def inside(ctx: Context) -> None:
    try:
        await asyncio.gather(nap(ctx, "charge"), call(ctx, "hold"))
    finally:
        await call(ctx, "last")


@workflow
async def in_a_function(ctx: Context) -> None:
    await ctx.run(inside)


@pytest.mark.parametrize("body", [gathered, grouped, settled_in_a_branch, waited_for, in_a_function])
async def test_what_comes_last_waits(shop: Shop, body: Any):
    """It was called while a branch slept, behind which the charge was still to come."""
    calls = Calls()
    async with shop.working(body, provide={Calls: calls}) as app:
        await (await app.start(body, id="1")).result()
    assert (calls[0] == "last", calls[-2:]) == (False, ["charge", "last"])


@workflow
async def week(ctx: Context) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(_sleep(ctx))
        group.create_task(both(ctx, "hold", "pack"))


async def _sleep(ctx: Context) -> None:
    await ctx.sleep(timedelta(days=7))


async def test_a_branch_goes_on_beside_one_that_sleeps(shop: Shop):
    """A task group was given up when one of its branches slept: the other one began its next step a week later."""
    calls = Calls()
    async with shop.working(week, provide={Calls: calls}) as app:
        await app.start(week, id="1")
        async with asyncio.timeout(20):
            while calls != ["hold", "pack"]:
                await asyncio.sleep(0.05)


@workflow
async def twice(ctx: Context) -> list[str]:
    return [*await asyncio.gather(busy(ctx), busy(ctx))]


async def test_two_branches_of_one_key_wait_together(shop: Shop):
    """P7: one kept quiet for the other, which waited for the key that the first one held: for ever."""
    calls = Calls()
    async with shop.working(twice, provide={Calls: calls}) as app:
        async with asyncio.timeout(30):
            assert await (await app.start(twice, id="1")).result() == ["done", "done"]
    assert calls == ["busy", "busy"]


@workflow
async def noted_in_a_group(ctx: Context) -> str:
    async with asyncio.TaskGroup() as group:
        group.create_task(_note(ctx))
    return "noted"


async def _note(ctx: Context) -> str:
    return await note(ctx, "1")


@workflow
async def noted_or_declined(ctx: Context) -> str:
    (found,) = await asyncio.gather(note(ctx, "1"), return_exceptions=True)
    if isinstance(found, BaseException):
        raise Declined("not noted")
    return "noted"


@workflow
async def noted_and_called(ctx: Context) -> str:
    try:
        await note(ctx, "1")
    finally:
        await call(ctx, "last")
    return "noted"


@workflow
async def noted_whatever_comes(ctx: Context) -> str:
    try:
        await note(ctx, "1")
    except PlatformError:
        await call(ctx, "wrong")
    return "noted"


@pytest.mark.parametrize("body", [noted_in_a_group, noted_or_declined, noted_and_called, noted_whatever_comes])
@pytest.mark.usefixtures("out_of_reach")
async def test_what_is_given_back_is_no_outcome(shop: Shop, body: Any):
    """The record was out of reach for a while: it stopped, or failed, or called what comes last."""
    calls = Calls()
    async with shop.working(body, provide={Calls: calls}) as app:
        async with asyncio.timeout(20):
            assert await (await app.start(body, id="1")).result(if_stopped="raise") == "noted"
        assert shop.seen(Stopped) == []
    assert calls == ["last"] * (body is noted_and_called)
