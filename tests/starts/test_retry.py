"""Trap 23: a workflow that is stopped, or has failed, goes on under its id, and what was completed stays done."""

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
    WorkflowStopped,
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
        self.bug: Exception | None = ZeroDivisionError("a bug")


class Closed(Exception):  # noqa: N818 - an outcome, as users name it
    """The shop takes no orders now."""


@write
async def insert_order(w, id: str) -> None:
    await w.tx.execute(f"INSERT INTO orders (id, amount) VALUES ('{id}', 1)")


@effect(key="order:{id}:charge", provider=Provider(name="bank", retention_s=86_400), after=insert_order)
async def charge(call: Call, id: str, *, world: World = inject()) -> str:
    world.calls.append(call.key)
    return "charged"


@write(fails=Closed)
async def mark(w, id: str, *, world: World = inject()) -> None:
    await w.tx.execute(f"UPDATE orders SET amount = amount + 1 WHERE id = '{id}'")
    if world.bug is not None:
        raise world.bug


@workflow
async def order(ctx: Context, id: str) -> str:
    await insert_order(ctx, id)
    charged = await charge(ctx, id)
    await mark(ctx, id)
    return charged


@workflow(fails=Closed)
async def stumbling(ctx: Context, raises: str) -> None:
    STUMBLES.append(1)
    raise {"Closed": Closed, "ValueError": ValueError}[raises]("before the first step")


STUMBLES: list[int] = []


async def stop(app):
    told = r"ZeroDivisionError: a bug; at .*test_retry.py:\d+, in mark; .*: recordfirst retry 1"
    with pytest.raises(WorkflowStopped, match=told):
        await (await app.start(order, "1", id="1")).result(if_stopped="raise")


def test_retry_after_the_fix(shop):
    """P7, P9: the epoch after the stop ends; the charge was called once and the rows are there once."""

    async def go():
        world = World()
        async with shop.working(order, provide={World: world}) as app:
            await stop(app)
            start = await (await app.handle("1")).status()
            assert (start.state, start.is_stopped, start.epoch) == ("open", True, 2)
            world.bug = None
            handle = await app.retry("1")
            assert await handle.result() == "charged"
            start = await handle.status()
            assert (start.state, start.is_stopped, start.epoch) == ("succeeded", False, 2)
            assert world.calls == ["shop/order:1:charge"]
            assert await shop.rows(app, "SELECT id, amount FROM orders") == [("1", 2)]

    run(go())


def test_retry_of_what_has_failed_is_told_what_it_was_told(shop):
    """P7, P3: a new epoch of the same id; the outcome that it failed on stands, unless it is asked for anew."""

    async def go():
        world = World()
        world.bug = Closed("at night")
        async with shop.working(order, provide={World: world}) as app:
            handle = await app.start(order, "1", id="1")
            told = r"Closed: at night; at .*test_retry.py:\d+, in mark; .*run: recordfirst retry 1"
            with pytest.raises(WorkflowFailed, match=told) as failed:
                await handle.result()
            assert isinstance(failed.value.__cause__, Closed)
            assert (await handle.status()).state == "failed"
            world.bug = None
            with pytest.raises(WorkflowFailed, match="Closed: at night"):
                await (await app.retry("1")).result()
            assert (await handle.status()).epoch == 2
            handle = await app.retry("1", again=True)
            handle = await app.retry("1")
            assert await handle.result() == "charged"
            assert (await handle.status()).epoch == 3
            assert world.calls == ["shop/order:1:charge"]
            assert await shop.rows(app, "SELECT id, amount FROM orders") == [("1", 2)]

    run(go())


def test_retry_from_another_process(shop):
    """P7: a client opens it again, and the worker elsewhere hears of it; one that is stopped again can be retried."""

    async def go():
        world = World()
        async with (
            shop.working(order, provide={World: world}) as app,
            shop.app(order, provide={World: world}) as client,
        ):
            await stop(app)
            for epoch in (3, 4):
                with pytest.raises(WorkflowStopped, match="a bug"):
                    await (await client.retry("1")).result(if_stopped="raise")
                assert (await (await client.handle("1")).status()).epoch == epoch
            world.bug = None
            assert await (await client.retry("1")).result() == "charged"
            assert world.calls == ["shop/order:1:charge"]

    run(go())


def test_retry_of_one_that_was_stopped_before_the_engine_was_lost(shop):
    """P6: a worker with an empty engine takes it up in the new epoch."""

    async def go():
        world = World()
        async with shop.working(order, provide={World: world}) as app:
            await stop(app)
        world.bug = None
        async with shop.working(order, provide={World: world}) as app:
            assert await (await app.retry("1")).result() == "charged"
            assert world.calls == ["shop/order:1:charge"]

    run(go())


def test_only_what_failed_or_is_stopped_can_be_retried(shop):
    """P8: an open workflow stays as it is, a succeeded one is not opened, and an id that nobody started is named."""

    async def go():
        world = World()
        world.bug = None
        async with shop.app(order, provide={World: world}) as app:
            handle = await app.start(order, "1", id="1")
            assert (await (await app.retry("1")).status()).epoch == 1
            async with app.worker():
                await handle.result()
            with pytest.raises(Misuse, match="'1' is succeeded; only one that has failed or is stopped"):
                await app.retry("1")
            with pytest.raises(UnknownWorkflow, match="no workflow '2'"):
                await app.retry("2")

    run(go())


@pytest.mark.parametrize(
    ("raised", "told"),
    [(ValueError, WorkflowStopped), (Closed, WorkflowFailed)],
    ids=["defect", "declared"],
)
def test_body_that_fails_before_its_first_step_is_not_tried_again(shop, raised, told):
    """P7: what the record says has failed, or is stopped, is not run behind its back, and holds up no worker's end."""
    STUMBLES.clear()

    async def go():
        async with shop.working(stumbling) as app:
            with pytest.raises(told, match="before the first step"):
                await (await app.start(stumbling, raised.__name__, id="1")).result(if_stopped="raise")
            closing = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - closing < 0.5
        assert len(STUMBLES) == 1

    run(go())
