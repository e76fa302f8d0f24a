"""P3, P5: an effect has happened, and its result is missing, or not what it returns by now: there is a way out."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from recordfirst import (
    Call,
    Context,
    Declined,
    Misuse,
    Unencodable,
    WorkflowFailed,
    WorkflowStopped,
    Write,
    effect,
    inject,
    workflow,
)
from tests.effects.harness import ORDER, Order, Plug, Script, mark, orders, receipt
from tests.effects.program import PLAIN, insert_order
from tests.effects.test_parking import command

KEY = "order:1:charge"


class Charge(msgspec.Struct, frozen=True):
    id: str


class Charged(msgspec.Struct, frozen=True):
    """What a later version returns."""

    amount: int


class ChargedLater(msgspec.Struct, frozen=True):
    """What reads both."""

    amount: int = 0
    id: str = ""


def shop_that_returns(type_: Any, after: Any = insert_order, undo: Any = None) -> Any:
    """The workflow as one version has it."""

    async def charge(call: Call, order: Order, *, script: Script = inject()) -> Any:
        return script.next(call)

    charge.__annotations__["return"] = type_
    step = effect(key="order:{order.id}:charge", provider=PLAIN, after=after, undo=undo)(charge)

    @step.on_success
    async def mark_paid(w: Write, order: Order, charge: Any, *, plug: Plug = inject()) -> None:
        await mark(w, order.id, f"paid {charge}")
        plug("in on_success")

    @workflow
    async def ordering(ctx: Context, order: Order) -> str:
        await insert_order(ctx, order)
        return str(await step(ctx, order))

    return ordering


async def stops(app: Any, match: str) -> None:
    with pytest.raises(WorkflowStopped, match=match):
        await (await app.handle("order:1")).result(if_stopped="raise")


@pytest.mark.parametrize("returned", [object(), {"amount": 5}], ids=["no JSON", "another type"])
async def test_person_says_the_result(shop, returned):
    """P3, P5: a success without a result: an operator says it, on_success runs with it, and it goes on; one call."""
    ordering, script = shop_that_returns(Charge), Script(returned)
    async with shop.working(ordering, provide={Script: script}) as app:
        await app.start(ordering, ORDER, id="order:1")
        await stops(app, rf"ResultNotStored: .* recordfirst resolve {KEY} --succeeded JSON")
        with pytest.raises(Unencodable, match="result of effect 'charge' is not"):
            await app.resolve(KEY, outcome="succeeded", result={"amount": 5})
        assert (await app.resolve(KEY, outcome="succeeded", result={"id": "c1"}, dry_run=True)).result is None
        assert await orders(app) == [("new", 0)]
        for _ in range(2):
            await app.resolve(KEY, outcome="succeeded", result={"id": "c1"})
        assert await orders(app) == [("paid Charge(id='c1')", 1)]
        assert await (await app.handle("order:1")).result() == "Charge(id='c1')"
        assert await orders(app) == [("paid Charge(id='c1')", 1)]
    assert len(script.calls) == 1


async def test_that_it_happened_stands(shop):
    """P3, P5: what has succeeded without a result is neither declined nor not done, whatever an operator says."""
    ordering, script = shop_that_returns(Charge), Script(object())
    async with shop.working(ordering, provide={Script: script}) as app:
        await app.start(ordering, ORDER, id="order:1")
        await stops(app, "ResultNotStored")
        for outcome in ("declined", "not done"):
            with pytest.raises(Misuse, match="is succeeded, and only its result is missing: say it with --succeeded"):
                await app.resolve(KEY, outcome=outcome)
        assert (await receipt(app, KEY)).state == "succeeded"
        await app.resolve(KEY, outcome="succeeded", result={"id": "c1"})
        with pytest.raises(Misuse, match="is succeeded; only an outcome that is unknown or pending can be resolved"):
            await app.resolve(KEY, outcome="succeeded", result={"id": "c2"})
    assert len(script.calls) == 1


async def test_two_results_side_by_side(shop):
    """P8: two people say two results: one is stored, with its on_success, and the other is refused."""
    ordering = shop_that_returns(Charge)
    async with shop.working(ordering, provide={Script: Script(object())}) as app:
        await app.start(ordering, ORDER, id="order:1")
        await stops(app, "ResultNotStored")
        said = [app.resolve(KEY, outcome="succeeded", result={"id": id}) for id in ("c1", "c2")]
        told = await asyncio.gather(*said, return_exceptions=True)
        assert sorted(isinstance(each, Misuse) for each in told) == [False, True]
        assert [marks for _, marks in await orders(app)] == [1]


async def test_on_success_fails(shop):
    """P2: the result and its on_success are stored together or not at all, and may be said again."""
    ordering, plug = shop_that_returns(Charge), Plug({"in on_success": LookupError("a bug")})
    async with shop.working(ordering, provide={Script: Script(object())}, plug=plug) as app:
        await app.start(ordering, ORDER, id="order:1")
        await stops(app, "ResultNotStored")
        with pytest.raises(LookupError):
            await app.resolve(KEY, outcome="succeeded", result={"id": "c1"})
        assert (await orders(app), (await receipt(app, KEY)).result) == ([("new", 0)], None)
        await app.resolve(KEY, outcome="succeeded", result={"id": "c1"})
        assert await orders(app) == [("paid Charge(id='c1')", 1)]


async def test_from_the_command_line(shop, tmp_path):
    """P10: the two commands that the error and the how-to name."""
    ordering = shop_that_returns(Charge)
    async with shop.working(ordering, provide={Script: Script(object())}) as app:
        await app.start(ordering, ORDER, id="order:1")
        await stops(app, "ResultNotStored")
        assert (await command(tmp_path, shop, "retry", "order:1"))[0] == 0
        await stops(app, "ResultNotStored")
        code, out, err = await command(tmp_path, shop, "resolve", KEY, "--succeeded", '{"id": "c1"}')
        assert (code, err) == (0, "")
        # A worker may have ended it before the command looks.
        assert out.removeprefix(f"{KEY} (attempt 1) is succeeded; workflow order:1 ") in (
            "goes on\n",
            "is succeeded, and stays so\n",
        )
        assert await (await app.handle("order:1")).result() == "Charge(id='c1')"


@effect(key="order:{order.id}:back", provider=PLAIN, after=None)
async def give_back(call: Call, order: Order, *, gate: asyncio.Event = inject()) -> None:
    await gate.wait()
    raise Declined("closed")


async def test_while_it_may_be_undone(shop):
    """P5: cancelled for want of the result, it takes the effect back: until it has ended nothing is said of it."""
    gate, script = asyncio.Event(), Script(object())
    ordering = shop_that_returns(Charge, undo=give_back)
    async with shop.working(ordering, provide={Script: script, asyncio.Event: gate}) as app:
        await app.start(ordering, ORDER, id="order:1")
        await stops(app, "ResultNotStored")
        await app.cancel("order:1", undo=True)
        while not [row for row in await receipts(app) if row.key == "order:1:back" and row.calls]:
            await asyncio.sleep(0.01)
        with pytest.raises(Misuse, match="is open, and may be undoing 'order:1:charge'"):
            await app.resolve(KEY, outcome="succeeded", result={"id": "c1"})
        assert await orders(app) == [("new", 0)]
        gate.set()
        with pytest.raises(WorkflowFailed, match="NOT UNDONE: 'order:1:charge'"):
            await (await app.handle("order:1")).result()
        await app.resolve(KEY, outcome="succeeded", result={"id": "c1"})
        assert await orders(app) == [("paid Charge(id='c1')", 1)]


async def receipts(app: Any) -> list[Any]:
    async with app.runtime.record.session() as session:
        return list(await session.receipts_of("order:1"))


async def test_result_of_an_older_version(shop):
    """P3, P8: a stored result that a deploy no longer reads fails loudly and stays; one that reads both goes on."""
    script = Script({"id": "c1"})
    old, new, fixed = (shop_that_returns(type_) for type_ in (Charge, Charged, ChargedLater))
    plug = Plug()
    async with shop.working(old, provide={Script: script}, plug=plug) as app:
        assert await (await app.start(old, ORDER, id="order:1")).result() == "Charge(id='c1')"
        before = (await receipt(app, KEY)).result
        async with app.record.write() as w:
            prefix = "recordfirst_" if "aiosqlite" in type(w.tx).__module__ else "recordfirst."
            await w.tx.execute(f"UPDATE {prefix}start SET state = 'failed', error = '{{}}'")
    async with shop.working(new, provide={Script: script}) as app:
        await app.retry("order:1")
        await stops(app, "Unencodable: the result of effect 'charge'")
        with pytest.raises(Misuse, match="only an outcome"):
            await app.resolve(KEY, outcome="succeeded", result={"amount": 5})
        assert (await receipt(app, KEY)).result == before
    async with shop.working(fixed, provide={Script: script}) as app:
        assert await (await app.retry("order:1")).result() == "ChargedLater(amount=0, id='c1')"
    assert len(script.calls) == 1
