"""What a body does wrong stops its workflow, and never ends it in a success; it is told with its place."""

from __future__ import annotations

import asyncio
import datetime as dt
import itertools
import logging

import msgspec
import pytest

from recordfirst import (
    BadArguments,
    Call,
    Context,
    Misuse,
    WorkflowFailed,
    WorkflowStopped,
    effect,
    workflow,
    write,
)
from recordfirst.conformance.record import run
from recordfirst.core import identity
from recordfirst.observe import Failed, Reconciled, Stopped, log_events
from recordfirst.providers.contract import Provider


class Order(msgspec.Struct, frozen=True):
    id: str
    amount_minor: int


@write(key="order:{order.id}")
async def insert(w, order: Order) -> None:
    await w.tx.execute(f"INSERT INTO orders (id, amount) VALUES ('{order.id}', {order.amount_minor})")


class OutOfStock(Exception):  # noqa: N818 - an outcome, as users name it
    """There is none left."""


@write
async def stumble(w) -> None:
    raise KeyError("sku")


@write(fails=OutOfStock)
async def reserve(w) -> None:
    raise OutOfStock("sku")


@effect(key="charge:{amount_minor}", provider=Provider(name="bank", retention_s=86_400), after=None)
async def charge(call: Call, amount_minor: int) -> str:
    raise AssertionError("must not be called")


@effect(key="odd", provider=Provider(name="bank", arrives_within_s=0), after=None)
async def odd(call: Call) -> str:
    raise KeyError("sku")


@write
async def announce(w, amount_minor: float) -> None:
    w.intend(charge, amount_minor)


@workflow
async def forgets(ctx: Context) -> str:
    stumble(ctx)
    return "done"


@workflow
async def looks_after(ctx: Context) -> str:
    insert(ctx, Order("1", 1))
    reserving = reserve(ctx)
    try:
        await reserving
    except OutOfStock:
        return "seen to"
    return "done"


@workflow
async def forgets_an_outcome(ctx: Context) -> str:
    reserve(ctx)
    return "done"


@workflow
async def stumbles(ctx: Context) -> None:
    await stumble(ctx)


@workflow
async def sells_out(ctx: Context) -> None:
    await reserve(ctx)


@workflow
async def promises_a_number(ctx: Context) -> int:
    return "seven"  # type: ignore[return-value]


@workflow
async def has_a_float(ctx: Context) -> None:
    await insert(ctx, Order("1", 19.99))  # type: ignore[arg-type]


@workflow
async def charges_a_float(ctx: Context) -> None:
    await charge(ctx, 19.99)  # type: ignore[arg-type]


@workflow
async def announces_a_float(ctx: Context) -> None:
    await announce(ctx, 19.99)


@workflow
async def in_doubt(ctx: Context) -> None:
    await odd(ctx)


async def end(app, which):
    return await (await app.start(which, id=which.name)).result(if_stopped="raise")


async def stopped(app, which, match: str) -> WorkflowStopped:
    """Run it until a defect stops it; nothing of it has failed, or is undone."""
    with pytest.raises(WorkflowStopped, match=match) as caught:
        await end(app, which)
    start = await (await app.handle(which.name)).status()
    assert (start.state, start.is_stopped) == ("open", True)
    return caught.value


def test_a_step_that_nobody_awaits_and_fails_stops_its_workflow(shop):
    """P7: a forgotten ``await`` is told, and not a success; one that is awaited later, or succeeds, is as it was."""

    async def go():
        async with shop.working(forgets, forgets_an_outcome, looks_after) as app:
            await stopped(app, forgets, r"KeyError: 'sku'; at .*test_mistakes.py:\d+, in stumble; ")
            told = r"'forgets_an_outcome' calls write reserve and never awaits it, and it failed: .*OutOfStock"
            await stopped(app, forgets_an_outcome, told)
            assert await end(app, looks_after) == "seen to"
            assert await shop.rows(app, "SELECT id, amount FROM orders") == [("1", 1)]

    run(go())


def test_a_failure_says_where(shop):
    """P10: the start, the error and the log name the line of the user's code, though the error went by the engine."""

    async def go():
        async with shop.working(sells_out) as app:
            with pytest.raises(WorkflowFailed, match=r"sku; at .*test_mistakes.py:\d+, in reserve; ") as failed:
                await end(app, sells_out)
            [told] = shop.seen(Failed)
            assert (told.workflow, told.cause, told.at) == ("sells_out", "OutOfStock: sku", failed.value.at)
            stored = msgspec.json.decode((await (await app.handle("sells_out")).status()).error)
            assert stored == {"type": "OutOfStock", "message": "sku", "at": told.at}

    run(go())


def test_a_stop_says_where(shop, caplog):
    """P10, P9: so do they of a defect, and the log has its traceback."""

    async def go():
        async with shop.working(stumbles) as app:
            error = await stopped(app, stumbles, r"'sku'; at .*test_mistakes.py:\d+, in stumble; ")
            [told] = shop.seen(Stopped)
            assert (told.workflow, told.cause, told.at) == ("stumbles", "KeyError: 'sku'", error.at)
            stored = msgspec.json.decode((await (await app.handle("stumbles")).status()).stop)
            said = {"type": "KeyError", "message": "'sku'", "at": told.at, "step": "stumble", "undoing": False}
            assert stored == said
            assert any("in stumble" in record.getMessage() for record in caplog.records)

    run(go())


def test_a_call_in_doubt_says_where(shop):
    """P5: whoever must decide sees whether the effect failed before its call or behind it."""

    async def go():
        async with shop.working(in_doubt) as app:
            await app.start(in_doubt, id="1")
            async with app.runtime.record.session() as session:
                while (receipt := (await session.find_receipt("odd")).receipt) is None or receipt.parked_on is None:
                    await app.runtime.record.changed(0.05)
            assert "test_mistakes.py" in receipt.error
            assert "in odd" in receipt.error

    run(go())


def test_a_result_that_is_not_what_was_promised_is_no_success(shop):
    """P8: it is refused where it is made, and not by everybody who asks for it later."""

    async def go():
        async with shop.working(promises_a_number) as app:
            await stopped(app, promises_a_number, "the result of workflow 'promises_a_number' is not int")

    run(go())


@write(name="count")
async def count(w) -> str:
    return "seven"


@write(name="count")
async def count_later(w) -> int:
    return 7


async def look(ctx) -> str:
    return "seven"


async def look_later(ctx) -> int:
    return 7


def deployed(step):
    @workflow(name="deployed", steps=(count,))
    async def deployed(ctx: Context) -> None:
        await ctx.run(step)
        await ctx.sleep(dt.timedelta(seconds=0.5))

    return deployed


@pytest.mark.parametrize(("before", "after"), [(count, count_later), (look, look_later)], ids=["step", "function"])
def test_a_result_of_another_type_than_today_stops_its_workflow(shop, before, after):
    """P8, P9: after a deploy; a version that reads it goes on.

    It had been given back to the engine, and delivered again, thousands of times a second.
    """
    after.__name__ = before.__name__

    async def go():
        async with shop.working(deployed(before)) as app:
            id = await asleep(app, deployed(before))
        async with shop.working(deployed(after)) as app:
            told = r"the stored result of .* is not what it returns now: .*got `str`"
            with pytest.raises(WorkflowStopped, match=told):
                await (await app.handle(id)).result(if_stopped="raise")
        async with shop.working(deployed(before)) as app:
            await (await app.handle(id)).result()

    run(go())


async def asleep(app, deployed) -> str:
    """Start one, and return its id once its engine is stored; another, if the end of its sleep was stored first."""
    for number in itertools.count():
        await app.start(deployed, id=f"{number}")
        start = None
        while start is None or (start.engine is None and start.state == "open"):
            await app.runtime.record.changed(0.05)
            async with app.runtime.record.session() as session:
                start = await session.find_start(f"{number}")
        if start.state == "open":
            return start.id
    raise AssertionError


def taking(type_: type, log: list[str]):
    async def taking(ctx: Context, n) -> str:
        log.append(f"{type_.__name__} {n!r}")
        await ctx.sleep(dt.timedelta(seconds=0.5))
        return str(n)

    taking.__annotations__["n"] = type_
    return workflow(taking)


def test_arguments_of_another_type_than_today_hold_nobody_up(shop):
    """P7: a body that slept over a deploy is not begun with them; its worker ends, and the old version goes on."""
    log: list[str] = []

    async def go():
        first, engine_id = taking(str, log), identity.engine_id("shop", "1", 1)
        async with shop.working(first) as app:
            await app.start(first, "seven", id="1")
            while not log:
                await app.runtime.record.changed(0.05)
        async with asyncio.timeout(30), shop.working(taking(int, log)) as app:
            while app._dispatcher is None or await app._dispatcher.engine.look(engine_id) != "settled":
                await app.runtime.record.changed(0.05)
        async with shop.working(first) as app:
            assert await (await app.handle("1")).result() == "seven"
        assert set(log) == {"str 'seven'"}

    run(go())


@pytest.mark.parametrize("which", [has_a_float, charges_a_float, announces_a_float], ids=lambda each: each.name)
def test_an_amount_that_is_no_whole_number_gets_nowhere(shop, which):
    """P8: trap 16: nothing is written, intended or called, so that the same key is free for the right amount."""

    async def go():
        async with shop.working(which) as app:
            await stopped(app, which, r"BadArguments: argument .*Expected `int`, got `float`")
            assert await shop.rows(app, "SELECT id FROM orders") == []
            async with app.runtime.record.session() as session:
                assert await session.receipts_of(which.name) == []

    run(go())


def test_a_type_without_a_shape_is_taken_as_it_is():
    """P12: as JSON's own types, which must be what was given."""

    async def sized(w, of: type[int] | list[str], n: int) -> None: ...

    step = write(sized)
    assert step.function.freeze((["a"], 1), {}) == {"of": ["a"], "n": 1}
    with pytest.raises(BadArguments, match="argument 'n'"):
        step.function.freeze((["a"], True), {})
    with pytest.raises(BadArguments, match=r"argument 'of' .* it is .*Order, and would come back as dict"):
        step.function.freeze((Order("1", 1), 1), {})


def test_what_needs_a_person_is_logged_as_a_warning(caplog):
    """P10: with no logging set up, Python prints warnings and above, so a failure and a finding are seen."""
    with caplog.at_level(logging.DEBUG, logger="recordfirst"):
        log_events(Failed("order:1", "order", "KeyError: 'sku'", None))
        log_events(Reconciled("RF-EFFECT-UNKNOWN", "order:1:charge", None))
        log_events(Reconciled("RF-START-LOST", "order:2", "opened a new epoch"))
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING", "INFO"]


BANK = Provider(name="bank", arrives_within_s=0)


async def pay(call: Call, order: Order) -> None: ...


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ({"provider": "stripe"}, "provider= takes a Provider"),
        ({"provider": int}, "provider= takes a Provider"),
        ({"timeout_s": "5"}, "timeout_s= takes a number"),
        ({"timeout_s": 0}, "timeout_s= takes a number"),
        ({"timeout_s": float("nan")}, "timeout_s= takes a number"),
        ({"in_doubt": "retry"}, "in_doubt= takes 'park' or 'repeat', not 'retry'"),
        ({"max_doubts": 0}, "max_doubts= takes a whole number"),
    ],
    ids=str,
)
def test_an_option_that_cannot_be_is_refused_at_once(option, told):
    """P8: and not at the first call, or never."""
    with pytest.raises(Misuse, match=rf"@effect .*pay \(.*test_mistakes.py:\d+\): {told}"):
        effect(**{"key": "pay:{order.id}", "after": None, "provider": BANK} | option)(pay)
