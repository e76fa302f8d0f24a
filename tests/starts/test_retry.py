"""Trap 23: a workflow that a bug has failed can be run again under its id, and what was completed stays done."""

from __future__ import annotations

import asyncio

import pytest

from recordfirst import (
    Call,
    Context,
    Misuse,
    Provider,
    UnknownWorkflow,
    WorkflowFailed,
    effect,
    inject,
    workflow,
    write,
)
from recordfirst.conformance.record import run


class World:
    """What the effect has done, and what is wrong with the code behind it."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.bug = True


@write
async def insert_order(w, id: str) -> None:
    await w.tx.execute(f"INSERT INTO orders (id, amount) VALUES ('{id}', 1)")


@effect(key="order:{id}:charge", provider=Provider(name="bank", retention_s=86_400), after=insert_order)
async def charge(call: Call, id: str, *, world: World = inject()) -> str:
    world.calls.append(call.key)
    return "charged"


@write
async def mark(w, id: str, *, world: World = inject()) -> None:
    await w.tx.execute(f"UPDATE orders SET amount = amount + 1 WHERE id = '{id}'")
    if world.bug:
        raise ZeroDivisionError("a bug")


@workflow
async def order(ctx: Context, id: str) -> str:
    await insert_order(ctx, id)
    charged = await charge(ctx, id)
    await mark(ctx, id)
    return charged


@workflow
async def stumbling(ctx: Context) -> None:
    STUMBLES.append(1)
    raise ValueError("before the first step")


STUMBLES: list[int] = []


async def fail(app):
    told = r"ZeroDivisionError: a bug; at .*test_retry.py:\d+, in mark; .*run: recordfirst retry 1"
    with pytest.raises(WorkflowFailed, match=told) as failed:
        await (await app.start(order, "1", id="1")).result()
    return failed.value


def test_retry_after_the_fix(shop):
    """P7: a new epoch of the same id ends; the charge was called once and the rows are there once."""

    async def go():
        world = World()
        async with shop.working(order, provide={World: world}) as app:
            assert isinstance((await fail(app)).__cause__, ZeroDivisionError)
            assert (await (await app.handle("1")).status()).state == "failed"
            world.bug = False
            handle = await app.retry("1")
            assert await handle.result() == "charged"
            assert (await handle.status()).epoch == 2
            assert world.calls == ["shop/order:1:charge"]
            assert await shop.rows(app, "SELECT id, amount FROM orders") == [("1", 2)]

    run(go())


def test_retry_from_another_process(shop):
    """P7: a client opens it again, and the worker elsewhere hears of it; a retry that fails again can be retried."""

    async def go():
        world = World()
        async with (
            shop.working(order, provide={World: world}) as app,
            shop.app(order, provide={World: world}) as client,
        ):
            await fail(app)
            for epoch in (2, 3):
                with pytest.raises(WorkflowFailed, match="a bug"):
                    await (await client.retry("1")).result()
                assert (await (await client.handle("1")).status()).epoch == epoch
            world.bug = False
            assert await (await client.retry("1")).result() == "charged"
            assert world.calls == ["shop/order:1:charge"]

    run(go())


def test_retry_of_one_that_failed_before_the_engine_was_lost(shop):
    """P6: a worker with an empty engine takes it up in the new epoch."""

    async def go():
        world = World()
        async with shop.working(order, provide={World: world}) as app:
            await fail(app)
        world.bug = False
        async with shop.working(order, provide={World: world}) as app:
            assert await (await app.retry("1")).result() == "charged"
            assert world.calls == ["shop/order:1:charge"]

    run(go())


def test_only_what_failed_can_be_retried(shop):
    """P8: an open workflow stays as it is, a succeeded one is not opened, and an id that nobody started is named."""

    async def go():
        world = World()
        world.bug = False
        async with shop.app(order, provide={World: world}) as app:
            handle = await app.start(order, "1", id="1")
            assert (await (await app.retry("1")).status()).epoch == 1
            async with app.worker():
                await handle.result()
            with pytest.raises(Misuse, match="'1' is succeeded; only a failed one"):
                await app.retry("1")
            with pytest.raises(UnknownWorkflow, match="no workflow '2'"):
                await app.retry("2")

    run(go())


def test_body_that_fails_before_its_first_step_has_failed(shop):
    """P7: what the record says has failed is not tried again behind its back, and holds up no worker's end."""
    STUMBLES.clear()

    async def go():
        async with shop.working(stumbling) as app:
            with pytest.raises(WorkflowFailed, match="before the first step"):
                await (await app.start(stumbling, id="1")).result()
            closing = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - closing < 0.5
        assert len(STUMBLES) == 1

    run(go())
