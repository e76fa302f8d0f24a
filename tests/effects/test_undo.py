"""P3 and P5 backwards: what an effect did is taken back, once, newest first, and never on a guess."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import pytest

from recordfirst import (
    Call,
    Context,
    Declined,
    Embedded,
    Misuse,
    Read,
    Undone,
    Unknown,
    WorkflowCancelled,
    WorkflowFailed,
    WorkflowStopped,
    Write,
    effect,
    inject,
    read,
    workflow,
)
from tests.effects.harness import ORDER, Order, mark, orders, receipt, until, until_state
from tests.effects.program import KEYED, PLAIN, insert_order


class World:
    """What was called, in order, and what it is to answer."""

    def __init__(self, **answers: Any) -> None:
        self.log: list[str] = []
        self.keys: list[str] = []
        self.answers = answers
        self.fixed = False

    def call(self, call: Call, what: str) -> str:
        self.log.append(what)
        self.keys.append(call.key)
        answer = self.answers.pop(what.replace(" ", "_"), what.upper())
        if isinstance(answer, Exception):
            raise answer
        return str(answer)


@effect(key="back:{name}", provider=PLAIN, after=None)
async def back(call: Call, name: str, result: str, *, world: World = inject()) -> None:
    world.call(call, f"back {name}")
    assert result == f"DO {name}".upper()


@effect(key="do:{name}", provider=PLAIN, after=None, undo=back)
async def do(call: Call, name: str, *, world: World = inject()) -> str:
    return world.call(call, f"do {name}")


@effect(key="keyed:{name}", provider=KEYED, after=None, undo=back)
async def do_keyed(call: Call, name: str, *, world: World = inject()) -> str:
    world.log.append(f"do {name}")
    raise Unknown("timeout")


@workflow
async def parking_keyed(ctx: Context) -> None:
    await do_keyed(ctx, "a")


class OutOfStockError(Exception):
    """Why the workflows fail."""


@workflow(fails=OutOfStockError)
async def three(ctx: Context) -> None:
    for name in "abc":
        with contextlib.suppress(Declined):
            await do(ctx, name)
    raise OutOfStockError("out of stock")


@workflow
async def side_by_side(ctx: Context) -> None:
    await asyncio.gather(do(ctx, "a"), do(ctx, "b"))


@contextlib.asynccontextmanager
async def failing(shop, workflow_, world, *args):
    """A worker, and the handle of a workflow that it runs."""
    async with shop.working(workflow_, provide={World: world}, random=lambda: 0.0) as app:
        yield app, await app.start(workflow_, *args, id="o")


async def fails(handle, why="OutOfStockError: out of stock;"):
    with pytest.raises(WorkflowFailed, match=why):
        await handle.result(if_stopped="raise")


async def stops(handle, why):
    with pytest.raises(WorkflowStopped, match=why):
        await handle.result(if_stopped="raise")


async def undone_by(app, *keys):
    return [(await receipt(app, key)).undone_by for key in keys]


async def test_succeeded_only_newest_first(shop):
    """P5: what succeeded is undone, newest first, with its result; what was declined is not."""
    world = World(do_b=Declined("no"))
    async with failing(shop, three, world) as (app, handle):
        await fails(handle)
        assert world.log == ["do a", "do b", "do c", "back c", "back a"]
        assert await undone_by(app, "do:a", "do:b", "do:c") == ["back:a", None, "back:c"]


@effect(key="back nothing", provider=PLAIN, after=None)
async def back_nothing(call: Call) -> None:
    raise AssertionError


@effect(key="look", provider=PLAIN, after=None, undo=back_nothing)
async def look(call: Call, *, apps: list = inject()) -> str | None:
    return (await receipt(apps[0], "look")).undo


@workflow
async def looking(ctx: Context) -> str | None:
    return await look(ctx)


async def test_stored_before_the_call(shop):
    """P5, trap 10: the undo is in the record before the first call of what it undoes."""
    apps: list[Any] = []
    async with shop.working(looking, provide={list: apps}) as app:
        apps.append(app)
        assert await (await app.start(looking, id="o")).result() == "back_nothing"


@pytest.mark.parametrize(
    ("outcome", "taken_back"),
    [({"outcome": "succeeded", "result": "DO A"}, ["back a"]), ({"outcome": "declined", "reason": "no"}, [])],
    ids=["succeeded", "declined"],
)
async def test_ambiguous_sibling(shop, outcome, taken_back):
    """P5, trap 10: one step fails, and of the other it is not known if it happened: that is waited for, then undone."""
    world = World(do_a=Unknown("timeout"), do_b=Declined("sold out"))
    async with failing(shop, side_by_side, world) as (app, handle):
        await until_state(app, "do:a", "unknown")
        assert (await handle.status()).state == "open"
        await app.resolve("do:a", **outcome)
        await fails(handle, "declined: ")
        assert sorted(world.log[:2]) == ["do a", "do b"]
        assert world.log[2:] == taken_back


@effect(key="back slow", provider=PLAIN, after=None)
async def back_slow(call: Call, *, world: World = inject()) -> None:
    world.call(call, "back slow")


async def test_sibling_still_running(shop):
    """P3: one step fails while the other is in the middle of its call: the undo waits for that one to end."""
    go = asyncio.Event()

    @effect(key="go slow", provider=PLAIN, after=None, undo=back_slow)
    async def go_slow(call: Call, *, world: World = inject()) -> str:
        await go.wait()
        return world.call(call, "do slow")

    @workflow
    async def racing(ctx: Context) -> None:
        await asyncio.gather(go_slow(ctx), do(ctx, "b"))

    world = World(do_b=Declined("sold out"))
    async with failing(shop, racing, world) as (app, handle):
        await until_state(app, "do:b", "declined")
        assert world.log == ["do b"]
        go.set()
        await fails(handle, "sold out")
        assert world.log == ["do b", "do slow", "back slow"]


async def test_one_undo_is_refused(shop):
    """P5, P7: an undo that is declined is named in the workflow's failure; the others are made, and it ends."""
    world = World(back_c=Declined("too late"))
    async with failing(shop, three, world) as (app, handle):
        await fails(handle, r"out of stock; NOT UNDONE: 'do:c' \(Declined: effect 'back:c': declined: too late\)")
        assert world.log[3:] == ["back c", "back b", "back a"]
        assert await undone_by(app, "do:a", "do:b", "do:c") == ["back:a", "back:b", None]


@workflow(fails=OutOfStockError)
async def one_then_mended(ctx: Context) -> str:
    result = await do(ctx, "a")
    return await fixed(ctx, result)


@read
async def fixed(r: Read, result: str, *, world: World = inject()) -> str:
    if not world.fixed:
        raise OutOfStockError("out of stock")
    return result


async def test_what_was_not_undone_stands(shop):
    """P5, P7: its undo was declined, so it has happened still: when the workflow is retried, it goes on from there."""
    world = World(back_a=Declined("too late"))
    async with failing(shop, one_then_mended, world) as (app, handle):
        await fails(handle, "NOT UNDONE: 'do:a'")
        world.fixed = True
        assert await (await app.retry("o")).result() == "DO A"
        assert world.log == ["do a", "back a"]


async def test_parked_undo(shop):
    """P5: an undo whose outcome is unknown parks its workflow as any effect does; resolved, it goes on to the next."""
    world = World(back_c=Unknown("timeout"))
    async with failing(shop, three, world) as (app, handle):
        await until_state(app, "back:c", "unknown")
        assert (await handle.status()).state == "open"
        await app.resolve("back:c", outcome="succeeded")
        await fails(handle)
        assert world.log[3:] == ["back c", "back b", "back a"]
        assert await undone_by(app, "do:a", "do:b", "do:c") == ["back:a", "back:b", "back:c"]


@workflow
async def takes_back_itself(ctx: Context) -> str:
    held = await do(ctx, "a")
    with contextlib.suppress(Declined):
        await do(ctx, "b")
    await back(ctx, "a", held)
    return await do(ctx, "c")


async def test_a_body_that_calls_an_undo_itself(shop):
    """P3, P6: what the body itself took back is no undo that has begun: with another engine it goes on, and ends well.

    The worker and its engine are gone in the middle of the step behind it.
    """
    world = World(do_b=Declined("out of stock"), do_c=Unknown("timeout"))
    async with failing(shop, takes_back_itself, world) as (app, _):
        await until_state(app, "do:c", "unknown")
    async with shop.working(takes_back_itself, provide={World: world}, engine=Embedded(":memory:")) as app:
        await app.resolve("do:c", outcome="succeeded", result="sent")
        handle = await app.handle("o")
        assert await handle.result() == "sent"
        assert (await handle.status()).epoch == 2
        assert await undone_by(app, "do:a") == [None]
    assert world.log == ["do a", "do b", "back a", "do c"]


async def test_cancelled_in_doubt_without_a_probe(shop):
    """P3, P5: to learn what became of a call it is never sent again, though its key is honoured: an operator says."""
    world = World()
    async with shop.working(parking_keyed, provide={World: world}) as app:
        await app.start(parking_keyed, id="o")

        async def in_doubt() -> bool:
            return bool(world.log) and (await receipt(app, "keyed:a")).doubts > 0

        await until(in_doubt)
    async with shop.app(parking_keyed, provide={World: world}, random=lambda: 0.0) as app:
        await app.cancel("o", undo=True)
        called = len(world.log)
        async with app.worker():
            await until_state(app, "keyed:a", "unknown")
            await app.resolve("keyed:a", outcome="declined", reason="never seen")
            with pytest.raises(WorkflowCancelled):
                await (await app.handle("o")).result()
    assert len(world.log) == called


async def test_undo_that_a_deploy_took_away(shop):
    """P8, P9: an effect that was to be undone by what nobody knows stops the workflow; who knows it undoes it."""
    world = World(do_b=Unknown("timeout"))
    async with failing(shop, parking, world) as (app, _):
        await until_state(app, "do:b", "unknown")
    async with shop.app(parking, provide={World: World()}) as app:
        await app.resolve("do:b", outcome="declined")
    async with shop.working(without(parking), provide={World: World()}) as app:
        handle = await app.handle("o")
        await stops(handle, r"Misuse: it must be undone by 'back'[^)]*\(steps=...\)")
        start = await handle.status()
        assert (start.state, start.is_stopped, start.undo_only) == ("open", True, True)
    async with shop.working(parking, provide={World: world}) as app:
        with pytest.raises(WorkflowFailed, match="declined"):
            await (await app.handle("o")).result()  # by itself
        assert await undone_by(app, "do:a") == ["back:a"]
    assert world.log == ["do a", "do b", "back a"]


@workflow
async def parking(ctx: Context) -> None:
    await do(ctx, "a")
    await do(ctx, "b")


def without(_: Any) -> Any:
    """The same workflow, after a deploy in which its effect lost its undo."""

    @effect(key="do:{name}", provider=PLAIN, after=None, name="do")
    async def do_only(call: Call, name: str) -> str:
        raise AssertionError

    @workflow(name="parking")
    async def parking_only(ctx: Context) -> None:
        await do_only(ctx, "a")
        await do_only(ctx, "b")

    return parking_only


# ── a workflow that is retried after its effects were undone ────────────────


@workflow(fails=OutOfStockError)
async def retried(ctx: Context) -> str:
    for attempt in (1, 2, 3):
        with contextlib.suppress(Undone):
            await do.attempt(attempt)(ctx, "a")
            raise OutOfStockError(f"out of stock at attempt {attempt}")
    return "gave up"


async def test_every_attempt_has_its_undo(shop):
    """P3: a retry after an undo must be told to do it again: under its own key, and so is the undo of that attempt."""
    world = World()
    async with failing(shop, retried, world) as (app, handle):
        await fails(handle, "at attempt 1")
        with pytest.raises(Misuse, match="what it had done was undone: do:a;"):
            await app.retry("o")
        await fails(await app.retry("o", again=True), "at attempt 1")
        assert world.keys == ["shop/do:a", "shop/back:a", "shop/do:a#2", "shop/back:a#2"]
        assert [(await receipt(app, "do:a", attempt)).undone_by for attempt in (1, 2)] == ["back:a"] * 2


@workflow(fails=OutOfStockError)
async def second_card(ctx: Context, by_hand: bool) -> None:
    try:
        held = await do(ctx, "a")
    except Declined:
        held = await do.attempt(2)(ctx, "a")
    if by_hand:
        await back(ctx, "a", held)
    raise OutOfStockError("out of stock")


@workflow
async def by_support(ctx: Context) -> None:
    await back(ctx, "a", "DO A")


@pytest.mark.parametrize("by_hand", [True, False])
async def test_a_later_attempt_is_undone_once(shop, by_hand):
    """P3: whoever calls its undo: the body before the workflow fails, the failure, or another workflow after it."""
    world = World(do_a=Declined("no funds"))
    async with shop.working(second_card, by_support, provide={World: world}) as app:
        await fails(await app.start(second_card, by_hand, id="o"))
        await (await app.start(by_support, id="support")).result()
        assert world.keys == ["shop/do:a", "shop/do:a#2", "shop/back:a"]
        assert (await receipt(app, "do:a", 2)).undone_by == "back:a"
        await fails(await app.retry("o", again=True))
        assert world.keys[3:] == ["shop/do:a#3", "shop/back:a#2"]  # another charge, so another refund
        assert (await receipt(app, "do:a", 3)).undone_by == "back:a"


@workflow(fails=OutOfStockError)
async def first_card(ctx: Context) -> None:
    await do(ctx, "a")
    raise OutOfStockError("out of stock")


@workflow(fails=OutOfStockError)
async def another_card(ctx: Context) -> None:
    await do.attempt(2)(ctx, "a")
    await do(ctx, "c")


async def test_an_undo_that_was_collected_is_not_taken_for_another(shop):
    """P3: the first attempt and its undo left the record meanwhile. The provider still knows that undo's key."""
    world = World(do_c=Unknown("timeout"))
    async with shop.working(first_card, another_card, provide={World: world}, random=lambda: 0.0) as app:
        await fails(await app.start(first_card, id="1"))
        handle = await app.start(another_card, id="2")
        await until_state(app, "do:c", "unknown")
        of = "recordfirst." if shop.url.startswith("postgresql") else "recordfirst_"
        async with app.record.write() as w:
            for table in ("receipt", "undoing"):
                await w.tx.execute(f"DELETE FROM {of}{table} WHERE workflow = '1'")
        await app.resolve("do:c", outcome="declined", reason="never seen")
        await fails(handle, "declined")
    assert world.keys == ["shop/do:a", "shop/back:a", "shop/do:a#2", "shop/do:c", "shop/back:a#2"]


# ── an effect that happened, and whose on_success cannot be stored ──────────


@effect(key="order:{order.id}:back", provider=PLAIN, after=insert_order)
async def back_order(call: Call, order: Order, charge: str, *, world: World = inject()) -> None:
    world.call(call, f"back {charge}")


@effect(key="order:{order.id}:unmarked", provider=PLAIN, after=insert_order, undo=back_order)
async def charge_unmarked(call: Call, order: Order, *, world: World = inject()) -> str:
    return world.call(call, "charge")


@charge_unmarked.on_success
async def mark_or_fail(w: Write, order: Order, *, world: World = inject()) -> None:
    await mark(w, order.id, "paid")
    if not world.fixed:
        raise world.answers["marking"]


@workflow(fails=OutOfStockError)
async def unmarked(ctx: Context, order: Order) -> str:
    await insert_order(ctx, order)
    return await charge_unmarked(ctx, order)


async def test_happened_but_not_stored(shop):
    """P3, P5: on_success fails, so the workflow does; what happened is undone all the same, and never stored later."""
    world = World(marking=OutOfStockError("not fixed"))
    async with failing(shop, unmarked, world, ORDER) as (app, handle):
        await fails(handle, "OutOfStockError: not fixed")
        stored = await receipt(app, "order:1:unmarked")
        assert (stored.state, stored.undone_by, stored.reply) == ("succeeded", "order:1:back", None)
        world.fixed = True
        with pytest.raises(Misuse, match="what it had done was undone: order:1:unmarked;"):
            await app.retry("o")
        assert await orders(app) == [("new", 0)]
    assert world.log == ["charge", "back CHARGE"]


async def test_happened_not_stored_and_cancelled(shop):
    """P3, P9: a bug in on_success undoes nothing; an operator who cancels takes back what happened, and it stays so."""
    world = World(marking=AssertionError("not fixed"))
    async with failing(shop, unmarked, world, ORDER) as (app, handle):
        await stops(handle, "AssertionError: not fixed")
        assert world.log == ["charge"]
        await app.cancel("o", undo=True)
        with pytest.raises(WorkflowCancelled):
            await handle.result()
        stored = await receipt(app, "order:1:unmarked")
        assert (stored.state, stored.undone_by, stored.reply) == ("succeeded", "order:1:back", None)
        assert await orders(app) == [("new", 0)]
    assert world.log == ["charge", "back CHARGE"]
