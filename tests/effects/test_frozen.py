"""P4: a retry sends what was first sent, whatever time, randomness or a deploy would make of it."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import pytest

from recordfirst import (
    Call,
    Context,
    Embedded,
    NotDone,
    Unknown,
    WorkflowStopped,
    Write,
    effect,
    inject,
    workflow,
    write,
)
from tests.effects.harness import Plug, Script, pass_time, receipt
from tests.effects.program import KEYED, PLAIN


class Clock:
    """Gives another time whenever it is asked."""

    def __init__(self) -> None:
        self.times = itertools.count(1)


def letter(order: str, *, clock: Clock = inject()) -> dict[str, Any]:
    return {"to": order, "at": next(clock.times)}


@effect(key="mail:{order}", provider=KEYED, after=None, freeze=letter)
async def send_mail(call: Call, order: str, *, script: Script = inject()) -> str:
    return str(script.next(call))


@write
async def announce_mail(w: Write, order: str) -> None:
    w.intend(send_mail, order)


FORGETFUL = Embedded(":memory:")
"""Its sleeps end with the worker; the next one asks the record how long to wait, whose clock the tests move."""


@workflow
async def mailing(ctx: Context, order: str) -> str:
    return await send_mail(ctx, order)


@workflow
async def announcing(ctx: Context, order: str) -> str:
    await announce_mail(ctx, order)
    return await send_mail(ctx, order)


@pytest.mark.parametrize("workflow_", [mailing, announcing], ids=lambda w: w.name)
async def test_volatile_content(shop, workflow_):
    """P4, trap 5: what freeze= rendered before the first call is sent by every call, also from a later process."""
    clock, script = Clock(), Script(NotDone("busy"), Unknown("timeout"), NotDone("busy", 3_600_000))
    given = {Clock: clock, Script: script}
    async with shop.working(workflow_, provide=given, random=lambda: 0.0, engine=FORGETFUL) as app:
        await app.start(workflow_, "1", id="o")
        while script.answers:
            await app.runtime.record.changed(0.02)
    async with shop.app(workflow_, provide=given, engine=FORGETFUL) as app:
        await pass_time(app, 4000)
        async with app.worker():
            assert await (await app.handle("o")).result() == "done"
    assert [call.request for call in script.calls] == [{"to": "1", "at": 1}] * 4


class Order(msgspec.Struct, frozen=True):
    id: str
    amount_minor: int


def shop_of(amount: int) -> Any:
    """The workflow as a deploy left it: it charges this amount for an order of 1999."""

    @effect(key="order:{order.id}:charge", provider=PLAIN, after=None, name="charge")
    async def charge(call: Call, order: Order, *, script: Script = inject()) -> str:
        return f"{script.next(call)} {order.amount_minor}"

    @workflow(name="ordering")
    async def ordering(ctx: Context, order: Order) -> str:
        return await charge(ctx, Order(order.id, amount))

    return ordering


async def test_deploy_changed_the_arguments(shop):
    """P4, P8: between two epochs a deploy changed what is asked for: a conflict that names both, and no call."""
    before, after, script = shop_of(1999), shop_of(2999), Script(Unknown("timeout"))
    given = {Script: script}
    async with shop.working(before, provide=given, random=lambda: 0.0) as app:
        await app.start(before, Order("1", 1999), id="o")
        while (await state_of(app, "order:1:charge")) != "unknown":
            await app.runtime.record.changed(0.02)
    async with shop.app(after, provide=given) as app:
        await app.resolve("order:1:charge", outcome="not done")
        async with app.worker():
            with pytest.raises(WorkflowStopped, match=r"DifferentRequest: key 'order:1:charge' .*order\.amount_minor"):
                await (await app.handle("o")).result(if_stopped="raise")
    async with shop.working(before, provide=given) as app:
        assert await (await app.retry("o")).result() == "done 1999"
    assert len(script.calls) == 2


async def state_of(app, key):
    async with app.runtime.record.session() as session:
        found = (await session.find_receipt(key)).receipt
    return found.state if found is not None else None


def fielded(**more: Any) -> Any:
    """The workflow before and after a field with a default was added to its order."""
    order = msgspec.defstruct("Order", [("id", str), *[(name, type(value), value) for name, value in more.items()]])

    async def charge(call: Call, order: Any, *, script: Script = inject()) -> str:
        return f"{script.next(call)} {msgspec.to_builtins(order)}"

    charge.__annotations__["order"] = order
    charged = effect(key="order:{order.id}:charge", provider=KEYED, after=None, name="charge")(charge)

    async def ordering(ctx: Context, order: Any) -> str:
        return await charged(ctx, order)

    ordering.__annotations__["order"] = order
    return order, workflow(name="ordering")(ordering)


async def test_deploy_added_a_field_with_a_default(shop):
    """P4: a request that differs only in a new field's default is the same request, and goes on."""
    (first, before), (_, after), script = fielded(), fielded(gift=False), Script(NotDone("busy", 3_600_000))
    given, plug = {Script: script}, Plug()
    async with shop.working(before, provide=given, plug=plug, engine=FORGETFUL) as app:
        await app.start(before, first("1"), id="o")
        while "after not done" not in plug.passed:
            await app.runtime.record.changed(0.02)
    async with shop.app(after, provide=given, engine=FORGETFUL) as app:
        await pass_time(app, 4000)  # while nobody works: whoever did so as the first version would end it as that
        async with app.worker():
            assert await (await app.handle("o")).result() == "done {'id': '1', 'gift': False}"
        assert (await receipt(app, "order:1:charge")).request == '{"order":{"id":"1"}}'
