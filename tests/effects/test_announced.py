"""P1 and P8 where an effect is announced: ``w.intend`` in the caller's own transaction, and in a workflow's write."""

from __future__ import annotations

import pytest

from recordfirst import (
    AfterMissing,
    BadArguments,
    Call,
    Context,
    DifferentFunction,
    DifferentRequest,
    Misuse,
    WorkflowStopped,
    Write,
    effect,
    inject,
    workflow,
    write,
)
from recordfirst.execution.flush import Gathered
from tests.effects.harness import Bank, Order, orders, receipt, rows, until_state
from tests.effects.program import KEYED, PLAIN, insert

ORDER, DEARER = Order("1", 1999), Order("1", 2999)


@write
async def insert_order(w: Write, order: Order) -> None:
    await insert(w, order)


@effect(key="order:{order.id}:charge", provider=KEYED, after=None)
async def charge(call: Call, order: Order) -> str:
    return f"{order.amount_minor}"


@effect(key="order:{order.id}:charge", provider=KEYED, after=None)
async def another_charge(call: Call, order: Order) -> str:
    return f"{order.amount_minor}"


@effect(key="order:{order.id}:plain", provider=PLAIN, after=None)
async def charge_plain(call: Call, order: Order) -> str:
    return f"{order.amount_minor}"


@effect(key="order:{order.id}:plain", provider=PLAIN, after=None)
async def another_plain(call: Call, order: Order) -> str:
    return f"{order.amount_minor}"


WAYS = pytest.mark.parametrize(
    ("step", "another"),
    [(charge, another_charge), (charge_plain, another_plain)],
    ids=["with keys", "without keys"],
)


def charging(step):
    @workflow(name="charging", steps=(step,))
    async def charging(ctx: Context, order: Order) -> str:
        return await step(ctx, order)

    return charging


async def announce(app, work, step, order, id="a"):
    """In a transaction of the caller's own, with a row."""
    async with app.record.write() as w:
        await insert(w, Order(id, 1))
        w.start(work, order, id=id)
        w.intend(step, order)


@WAYS
async def test_same_intent_again(shop, step, another):
    """P8: in another transaction, and twice in one: it is one intent, of the workflow that was first."""
    work = charging(step)
    async with shop.app(work) as app:
        await announce(app, work, step, ORDER)
        async with app.record.write() as w:
            w.start(work, ORDER, id="a")
            w.intend(step, ORDER)
            w.intend(step, ORDER)
        stored = await rows(app, f"SELECT workflow, state FROM {table(shop)} WHERE kind = 'effect'")
        assert stored == [("a", "intended")]
        async with app.worker():
            assert await (await app.handle("a")).result() == "1999"


@WAYS
async def test_another_request(shop, step, another):
    """P8: the key stands for another amount: both are named, and nothing of the transaction is kept."""
    work = charging(step)
    async with shop.app(work) as app:
        await announce(app, work, step, ORDER)
        with pytest.raises(
            DifferentRequest, match=r"'a' stored, not for one of workflow 'b' with another .*amount_minor"
        ):
            await announce(app, work, step, DEARER, id="b")
        with pytest.raises(DifferentRequest, match="amount_minor"):
            async with app.record.write() as w:
                w.start(work, Order("2", 1), id="c")
                w.intend(step, Order("2", 1))
                w.intend(step, Order("2", 2))
        assert await orders(app) == [("new", 0)]
        async with app.runtime.record.session() as session:
            assert [start.id for start in await session.starts(None, 10)] == ["a"]


@WAYS
async def test_another_function(shop, step, another):
    """P8: another function is another effect, whatever its key says."""
    async with shop.app(work := charging(step)) as app:
        await announce(app, work, step, ORDER)
        with pytest.raises(DifferentFunction, match=f"'effect {step.name}', but 'effect {another.name}' asked for it"):
            await announce(app, work, another, ORDER, id="b")
        assert await orders(app) == [("new", 0)]


@WAYS
async def test_in_a_workflow(shop, step, another):
    """P8: a write that announces what its key does not stand for is taken back, and its workflow says so."""

    @write
    async def announcing(w: Write, order: Order) -> None:
        await insert(w, Order("row", 1))
        w.intend(step, order)

    @workflow(steps=(announcing, step))
    async def promising(ctx: Context, order: Order) -> None:
        await insert_order(ctx, Order("first", 1))
        await announcing(ctx, order)

    work = charging(step)
    async with shop.working(promising, work) as app:
        async with app.record.write() as w:
            w.start(work, ORDER, id="a")
            w.intend(step, ORDER)
        with pytest.raises(WorkflowStopped, match=r"DifferentRequest: .*'a' stored, not for one of workflow 'p'"):
            await (await app.start(promising, DEARER, id="p")).result(if_stopped="raise")
        assert await rows(app, "SELECT id FROM orders") == [("first",)]


def table(shop):
    return "recordfirst_receipt" if shop.url.startswith("sqlite") else "recordfirst.receipt"


def test_refused_at_once():
    """P8: what does not fit, or belongs to no workflow, is refused where it is written."""
    gathered = Gathered.__new__(Gathered)
    gathered._workflow, gathered._promises = None, []
    w = Write(None, gathered)
    with pytest.raises(Misuse, match="start its workflow first, in the same transaction"):
        w.intend(charge, ORDER)
    gathered._workflow = "a"
    with pytest.raises(BadArguments):
        w.intend(charge)  # type: ignore[call-arg]
    assert gathered._promises == []


@effect(key="order:{order.id}:mail", provider=KEYED, after=insert_order)
async def mail(call: Call, order: Order) -> str:
    return "mailed"


@effect(key="order:{order.id}:asked", provider=PLAIN, after=insert_order)
async def charge_unheard(call: Call, order: Order) -> str:
    raise TimeoutError


@charge_unheard.on_success
async def announce_mail(w: Write, order: Order) -> None:
    w.intend(mail, order)


@workflow
async def mailing(ctx: Context, order: Order) -> str:
    await insert_order(ctx, order)
    await charge_unheard(ctx, order)
    return await mail(ctx, order)


async def test_announced_as_a_person_answers(shop):
    """P5: on_success announces what is next also where an operator says that it succeeded, and the workflow goes on."""
    async with shop.working(mailing) as app:
        handle = await app.start(mailing, ORDER, id="a")
        await until_state(app, "order:1:asked", "unknown")
        await app.resolve("order:1:asked", outcome="succeeded", result="charged")
        assert await handle.result() == "mailed"
        assert (await receipt(app, "order:1:mail")).workflow == "a"


# ── P1: a transaction of the caller's own is nobody's write ──


@effect(key="order:{order.id}:late", provider=KEYED, after=insert_order)
async def charge_late(call: Call, order: Order, *, bank: Bank = inject()) -> str:
    return bank.post("charge", order, key=call.key, marker=call.marker)


@effect(key="order:{order.id}:late-plain", provider=PLAIN, after=insert_order)
async def charge_late_plain(call: Call, order: Order, *, bank: Bank = inject()) -> str:
    return bank.post("charge", order, key=None, marker=call.marker)


LATE = pytest.mark.parametrize("step", [charge_late, charge_late_plain], ids=["with keys", "without keys"])


def after_the_write(step):
    @workflow(name="charging", steps=(step, insert_order))
    async def charging(ctx: Context, order: Order) -> str:
        await insert_order(ctx, order)
        return await step(ctx, order)

    return charging


@LATE
async def test_own_transaction_is_not_the_write(shop, step):
    """P1: the intent is refused, with what to do; nothing of the transaction is kept, and nobody is called."""
    async with shop.working(work := after_the_write(step)) as app:
        with pytest.raises(
            AfterMissing, match=r"a transaction of your own is not that step: call w.intend\(charge_late"
        ):
            await announce(app, work, step, ORDER)
        assert (await orders(app), shop.bank.requests) == ([], [])
        async with app.runtime.record.session() as session:
            assert await session.find_start("a") is None


@LATE
async def test_own_transaction_after_the_write(shop, step):
    """P1: where the write has its receipt, it may be announced from anywhere."""
    async with shop.working(work := after_the_write(step)) as app:
        assert await (await app.start(work, ORDER, id="a")).result() == "charge of 1"
        async with app.record.write() as w:
            w.start(work, ORDER, id="a")
            w.intend(step, ORDER)
        assert len(shop.bank.requests) == 1


@LATE
async def test_announced_before_its_write_by_an_older_version(shop, step):
    """P1: an intent that is there without the write is called when that has its receipt, and not before."""

    @workflow(name="charging", steps=(step, insert_order))
    async def hasty(ctx: Context, order: Order) -> str:
        return await step(ctx, order)

    @workflow(name="sound", steps=(step, insert_order))
    async def sound(ctx: Context, order: Order) -> str:
        charging = step(ctx, order)
        await insert_order(ctx, order)
        return await charging

    async with shop.working(hasty, sound) as app:
        new = await step.new_receipt(app.runtime, "b", {"order": ORDER}, 0)
        async with app.runtime.record.session() as session:
            await session.add_receipts([new])
        with pytest.raises(WorkflowStopped, match="AfterMissing: effect charge_late"):
            await (await app.start(hasty, ORDER, id="a")).result(if_stopped="raise")
        assert shop.bank.requests == []
        assert await (await app.start(sound, ORDER, id="b")).result() == "charge of 1"
