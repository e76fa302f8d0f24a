"""P7, P9: what branches of a body do that nobody waits for: one may go on when another has failed, or was suspended."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import Any

import pytest

from recordfirst import (
    Call,
    Context,
    Declined,
    Provider,
    WorkflowFailed,
    WorkflowStopped,
    Write,
    effect,
    inject,
    workflow,
    write,
)
from recordfirst.observe import Stopped
from tests.starts.harness import Shop

BANK = Provider(name="bank", retention_s=86_400)


class Calls(list[str]):
    """Who was called, in order; the first of a kind waits at the gate."""

    def __init__(self) -> None:
        super().__init__()
        self.gate = asyncio.Event()

    async def made(self, what: str) -> None:
        self.append(what)
        if what == "hold":
            await self.gate.wait()


@effect(key="{id}:release", provider=BANK, after=None)
async def release(call: Call, id: str, *, calls: Calls = inject()) -> None:
    await calls.made("release")


@effect(key="{id}:hold", provider=BANK, after=None, undo=release)
async def hold(call: Call, id: str, *, calls: Calls = inject()) -> None:
    await calls.made("hold")


@effect(key="{id}:refund", provider=BANK, after=None)
async def refund(call: Call, id: str, *, calls: Calls = inject()) -> None:
    await calls.made("refund")


@effect(key="{id}:charge", provider=BANK, after=None, undo=refund)
async def charge(call: Call, id: str, *, calls: Calls = inject()) -> None:
    await calls.made("charge")


@effect(key="{id}:check", provider=BANK, after=None)
async def check(call: Call, id: str, *, calls: Calls = inject()) -> None:
    while not calls:
        await asyncio.sleep(0.01)
    asyncio.get_running_loop().call_later(0.2, calls.gate.set)
    raise Declined("blocked")


@write
async def note(w: Write[Any], id: str) -> None:
    """Something that takes a moment."""


@write
async def has_a_bug(w: Write[Any], id: str) -> None:
    raise KeyError("sku")


async def held_and_charged(ctx: Context, id: str) -> None:
    await hold(ctx, id)
    await charge(ctx, id)


@workflow
async def failing(ctx: Context, id: str) -> None:
    await asyncio.gather(held_and_charged(ctx, id), check(ctx, id))


@workflow
async def catching(ctx: Context, id: str) -> str:
    with contextlib.suppress(Declined):
        await asyncio.gather(held_and_charged(ctx, id), check(ctx, id))
    return "blocked"


async def noted_and_broken(ctx: Context, id: str) -> None:
    await charge(ctx, id)
    await has_a_bug(ctx, id)


@workflow
async def sleeping(ctx: Context, id: str) -> None:
    await asyncio.gather(noted_and_broken(ctx, id), ctx.sleep(timedelta(days=7)), note(ctx, id))


async def held_and_broken(ctx: Context, id: str) -> None:
    await hold(ctx, id)
    await has_a_bug(ctx, id)


@workflow
async def catching_beside_a_bug(ctx: Context, id: str) -> str:
    with contextlib.suppress(Declined):
        await asyncio.gather(held_and_broken(ctx, id), check(ctx, id))
    return "blocked"


async def test_a_branch_of_a_body_that_has_failed_begins_nothing_more(shop: Shop):
    """P9: its call in flight is stored and taken back; it went on with the next one, which nobody took back."""
    calls = Calls()
    async with shop.working(failing, provide={Calls: calls}) as app:
        with pytest.raises(WorkflowFailed, match="blocked"):
            await (await app.start(failing, "1", id="1")).result()
        await asyncio.sleep(0.3)
    assert calls == ["hold", "release"]


async def test_a_branch_that_nobody_awaits_ends_before_its_workflow(shop: Shop):
    """P7: the body has caught what another branch failed with; the end is stored when all is done."""
    calls = Calls()
    async with shop.working(catching, provide={Calls: calls}) as app:
        assert await (await app.start(catching, "1", id="1")).result() == "blocked"
        assert calls == ["hold", "charge"]


async def test_a_defect_of_a_branch_that_nobody_awaits_stops(shop: Shop):
    """P9: the workflow ended well before the branch came to its bug."""
    calls = Calls()
    async with shop.working(catching_beside_a_bug, provide={Calls: calls}) as app:
        with pytest.raises(WorkflowStopped, match="sku"):
            await (await app.start(catching_beside_a_bug, "1", id="1")).result(if_stopped="raise")


async def test_a_defect_beside_a_branch_that_sleeps_stops(shop: Shop):
    """P9: the body was told to suspend before the other branch came to its bug; it ran again and again, for ever."""
    calls = Calls()
    async with shop.working(sleeping, provide={Calls: calls}) as app:
        with pytest.raises(WorkflowStopped, match="sku"):
            await (await app.start(sleeping, "1", id="1")).result(if_stopped="raise")
        assert [event.step for event in shop.seen(Stopped)] == ["has_a_bug"]
    assert calls == ["charge"]
