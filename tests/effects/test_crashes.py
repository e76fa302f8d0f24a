"""P3 when processes die: by SIGKILL, at every point of every way in which an effect calls; then another takes over."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from recordfirst import Embedded, WorkflowFailed
from tests.effects import program
from tests.effects.harness import ORDER, Shop, orders, pass_time, receipt, until, until_state
from tests.effects.program import dies_at

WORKFLOWS = [workflow for workflow in program.WORKFLOWS if not workflow.name.startswith("by_card")]
CHARGED_ONCE = [("charge", "1", 1999)]


async def takes_over(shop: Shop, name: str, **options: Any) -> object:
    """Finish here what the dead have left; every claim of theirs has run out by then."""
    wanted = getattr(program, name)
    async with shop.app(*WORKFLOWS, **options) as app:
        await pass_time(app, 100)
        async with app.worker():
            return await (await app.start(wanted, ORDER, id="order:1")).result()


KEYED = ["before intend", "after intend", "charge calling", "charge applied", "before succeeded", "in on_success",
         "commit succeeded", "after succeeded", "before finish", "after finish"]  # fmt: skip


@pytest.mark.parametrize("point", KEYED)
async def test_with_a_key(shop, point):
    """P3: whatever was sent is sent again under the same key, and what is stored is not sent again."""
    await dies_at(shop, "keyed", point)
    async with shop.app(*WORKFLOWS) as app:
        assert await takes_over(shop, "keyed") == "charge of 1"
        assert await orders(app) == [("paid", 1)]
        assert (await receipt(app, "order:1:charge")).state == "succeeded"
    assert shop.bank.applied == CHARGED_ONCE
    assert set(shop.bank.requests) == {("charge", "shop/order:1:charge", 1999)}


async def test_again_and_again(shop):
    """P3: every successor dies as well, each at another point, and there is one charge."""
    for point in ["charge applied", "after begin", "charge calling", "charge applied", "in on_success"]:
        await dies_at(shop, "keyed", point)
    assert await takes_over(shop, "keyed") == "charge of 1"
    async with shop.app(*WORKFLOWS) as app:
        assert await orders(app) == [("paid", 1)]
        assert (await receipt(app, "order:1:charge")).calls == 6
    assert shop.bank.applied == CHARGED_ONCE


ANNOUNCED = ["in the write", "before intend", "commit intend", "after intend", "charge calling", "charge applied"]


@pytest.mark.parametrize("point", ANNOUNCED)
async def test_announced_by_a_write(shop, point):
    """P1, P3: an intent that rides in a write is there with the write's rows or not at all; there is one charge."""
    await dies_at(shop, "announced", point)
    async with shop.app(*WORKFLOWS) as app:
        committed = point not in ("in the write", "before intend", "commit intend")
        assert len(await orders(app)) == committed
        assert await takes_over(shop, "announced") == "charge of 1"
        assert await orders(app) == [("paid", 1)]
    assert shop.bank.applied == CHARGED_ONCE


PROBED = [
    ["after intend"],
    ["charge calling"],
    ["charge applied"],
    ["before succeeded"],
    ["in on_success"],
    ["after succeeded"],
    ["after intend", "probing"],
    ["charge applied", "probing"],
    ["charge applied", "in on_success"],
]


@pytest.mark.parametrize("points", PROBED, ids=", then ".join)
async def test_without_a_key_but_a_probe(shop, points):
    """P3: a successor asks before it calls, and calls only if nothing was done."""
    for number, point in enumerate(points):
        if number:
            async with shop.app(*WORKFLOWS) as app:
                await pass_time(app, 100)
        await dies_at(shop, "probed", point)
    assert await takes_over(shop, "probed") == "charge of 1"
    async with shop.app(*WORKFLOWS) as app:
        assert await orders(app) == [("paid", 1)]
    assert shop.bank.applied == CHARGED_ONCE
    assert len(shop.bank.requests) == 1


async def test_call_after_a_probe_found_nothing(shop):
    """P3: a call that was begun because the probe found nothing is probed for in its turn."""
    for point in ["after intend", "after begin", "charge applied"]:
        await dies_at(shop, "probed", point)
        async with shop.app(*WORKFLOWS) as app:
            await pass_time(app, 100)
    assert await takes_over(shop, "probed") == "charge of 1"
    assert shop.bank.requests == [("charge", None, 1999)]


@pytest.mark.parametrize("point", ["after intend", "charge calling", "charge applied", "before succeeded"])
async def test_without_key_and_probe(shop, point):
    """P3, trap 6: a call that nothing can tell of is not repeated: an operator says what became of it."""
    await dies_at(shop, "blind", point)
    happened = bool(shop.bank.applied)
    async with shop.app(*WORKFLOWS) as app:
        await pass_time(app, 100)
        async with app.worker():
            key = "order:1:charge-blind"
            await until_state(app, key, "unknown")
            if happened:
                await app.resolve(key, outcome="succeeded", result="charge of 1")
            else:
                await app.resolve(key, outcome="not done")
            handle = await app.handle("order:1")
            assert await handle.result() == "charge of 1"
            assert await orders(app) == [("paid", 1)]
    assert shop.bank.applied == CHARGED_ONCE


async def test_repeats_if_it_says_so(shop):
    """P3, trap 6: an effect that declares itself at-least-once is called again, and nothing claims more."""
    await dies_at(shop, "again", "charge applied")
    assert await takes_over(shop, "again") == "charge of 1"
    assert shop.bank.applied == CHARGED_ONCE * 2


@pytest.mark.parametrize(
    "point", ["before declined", "in on_decline", "after declined", "after intend", "charge applied", "in on_success"]
)
async def test_second_attempt(shop, point):
    """P3, P5: a decline is stored once with its rows; the attempt after it has a key of its own, and is made once."""
    await dies_at(shop, "second", point)
    assert await takes_over(shop, "second") == "charge of 1"
    async with shop.app(*WORKFLOWS) as app:
        assert await orders(app) == [("paid", 2)]
    assert shop.bank.applied == CHARGED_ONCE
    assert {key for _, key, _ in shop.bank.requests} == {"shop/order:1:charge-twice#2"}


UNDO = ["refund calling", "refund applied", "in on_success of the refund", "before undone", "after undone"]


@pytest.mark.parametrize("point", UNDO)
async def test_undo(shop, point):
    """P3, P5: an undo that was interrupted is finished, and gives the money back once."""
    await dies_at(shop, "refunded", point)
    with pytest.raises(WorkflowFailed, match="OutOfStockError: out of stock"):
        await takes_over(shop, "refunded")
    async with shop.app(*WORKFLOWS) as app:
        assert await orders(app) == [("refunded", 2)]
        assert (await receipt(app, "order:1:charge")).undone_by == "order:1:refund"
    assert shop.bank.applied == [("charge", "1", 1999), ("refund", "1", 1999)]


BEGUN = ["refund calling", "refund applied", "in on_success of the refund", "before finish"]


@pytest.mark.parametrize("point", BEGUN)
async def test_undo_that_was_begun_is_finished(shop, point):
    """P3, P6: the engine is lost with the worker in the middle of an undo, and what had failed would succeed by now.

    The money is on its way back, so the workflow fails as it was about to; it does not end well with an order that was
    charged and refunded.
    """
    await dies_at(shop, "sold", point)
    (shop.bank.path.parent / "in stock").touch()
    with pytest.raises(WorkflowFailed, match=r"order:1:charge' .* is being undone by 'order:1:refund'"):
        await takes_over(shop, "sold", engine=Embedded(":memory:"))
    async with shop.app(*WORKFLOWS) as app:
        assert await orders(app) == [("refunded", 2)]
        assert (await receipt(app, "order:1:charge")).undone_by == "order:1:refund"
    assert shop.bank.applied == [("charge", "1", 1999), ("refund", "1", 1999)]


async def test_standby_takes_over(shop):
    """P3, P7: one worker stands by while the other is in the middle of a call; it goes on when that one is killed."""
    process = program.process(program.run_and_hang, shop, "keyed", "charge applied")
    try:

        async def applied() -> bool:
            return bool(shop.bank.applied)

        await until(applied)
        async with shop.app(*WORKFLOWS) as app, app.worker() as worker:
            handle = await app.handle("order:1")
            assert not worker.working.is_set()
            process.kill()
            assert await handle.result() == "charge of 1"
            assert await orders(app) == [("paid", 1)]
    finally:
        process.kill()
        await asyncio.to_thread(process.join)
        process.close()
    assert shop.bank.applied == CHARGED_ONCE


@pytest.mark.parametrize("point", ["charge calling", "charge applied"])
async def test_key_too_old_and_no_probe(shop, point):
    """P3, trap 3: the provider may have forgotten the key and nothing else can tell: no call, an operator says."""
    await dies_at(shop, "keyed", point)
    requests = len(shop.bank.requests)
    async with shop.app(*WORKFLOWS) as app:
        await pass_time(app, 25 * 3600)
        async with app.worker():
            await until_state(app, "order:1:charge", "unknown")
            assert len(shop.bank.requests) == requests
            await app.resolve("order:1:charge", outcome="declined", reason="gave up")
            with pytest.raises(WorkflowFailed, match="declined: gave up"):
                await (await app.handle("order:1")).result()
            assert await orders(app) == [("declined", 1)]
