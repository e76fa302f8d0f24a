"""Mistakes that first implementations of effects make, one by one."""

from __future__ import annotations

import asyncio
import contextlib
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from recordfirst import (
    App,
    Call,
    Context,
    Declined,
    Misuse,
    NotDone,
    SharedKey,
    Unknown,
    WorkflowFailed,
    WorkflowStopped,
    Write,
    effect,
    inject,
    workflow,
    write,
)
from recordfirst.core import decide as d
from recordfirst.observe import LateOutcome
from tests.effects.harness import ORDER, Bank, Order, Plug, Script, mark, orders, receipt, until_state
from tests.effects.program import KEYED, PLAIN, charge, insert, insert_order, keyed, post, probe_charge, refund


@effect(key="order:{order.id}:scripted", provider=KEYED, after=insert_order)
async def scripted(call: Call, order: Order, *, script: Script = inject()) -> Any:
    return script.next(call)


@scripted.on_success
async def mark_done(w: Write, order: Order, result: Any) -> None:
    await mark(w, order.id, str(result))


@scripted.on_decline
async def mark_declined(w: Write, order: Order, declined: Declined) -> None:
    await mark(w, order.id, f"declined: {declined.reason}")


@workflow
async def scripting(ctx: Context, order: Order) -> str:
    await insert_order(ctx, order)
    return str(await scripted(ctx, order))


async def test_result_that_is_not_json(shop):
    """P3, trap 1: the provider's object cannot be stored: one call, one clear error, and none more on a retry."""
    script = Script(object())
    async with shop.working(scripting, provide={Script: script}) as app:
        for _ in range(2):
            with pytest.raises(WorkflowStopped, match=r"ResultNotStored: effect 'order:1:scripted' succeeded.*object"):
                await (await app.start(scripting, ORDER, id="o")).result(if_stopped="raise")
            await app.retry("o")
        assert (await receipt(app, "order:1:scripted")).state == "succeeded"
    assert len(script.calls) == 1


async def test_decline(shop):
    """P5, trap 2: a decline is one call, stored with on_decline, and raised from there ever after."""
    script = Script(Declined("no money", "insufficient_funds"))
    async with shop.working(scripting, provide={Script: script}) as app:
        for _ in range(2):
            handle = await app.start(scripting, ORDER, id="o")
            with pytest.raises(WorkflowFailed, match=r"'order:1:scripted': declined: no money \(insufficient_funds\)"):
                await handle.result()
            await app.retry("o")
        assert await orders(app) == [("declined: no money", 1)]
    assert len(script.calls) == 1


async def test_key_stays(shop):
    """P3, trap 8: every retry has the key of the first call, whatever made it necessary."""
    script = Script(NotDone("busy"), Unknown("timeout"), ConnectionRefusedError("closed"), ConnectionResetError("cut"))
    async with shop.working(scripting, provide={Script: script}, random=lambda: 0.0, sleeper=a_tenth) as app:
        assert await (await app.start(scripting, ORDER, id="o")).result() == "done"
        assert await orders(app) == [("done", 1)]
    assert {call.key for call in script.calls} == {"shop/order:1:scripted"}
    assert [call.number for call in script.calls] == [1, 2, 3, 4, 5]


async def a_tenth(seconds: float) -> None:
    await asyncio.sleep(seconds / 10)


# ── calls that nothing tells of ─────────────────────────────────────────────


@effect(key="doubted", provider=KEYED, after=None, max_doubts=3)
async def doubted(call: Call, *, script: Script = inject()) -> str:
    return str(script.next(call))


@effect(key="repeated", provider=PLAIN, after=None, in_doubt="repeat")
async def repeated(call: Call, *, script: Script = inject()) -> str:
    return str(script.next(call))


@workflow
async def doubting(ctx: Context) -> str:
    return await doubted(ctx)


@workflow
async def repeating(ctx: Context) -> str:
    return await repeated(ctx)


async def test_key_is_not_trusted_for_ever(shop):
    """P3, P5: after max_doubts calls without a known outcome a key alone settles nothing: it parks."""
    script = Script(*[Unknown("timeout")] * 5)
    async with shop.working(doubting, provide={Script: script}, random=lambda: 0.0) as app:
        handle = await app.start(doubting, id="o")
        assert (await until_state(app, "doubted", "unknown")).doubts == 3
        await app.resolve("doubted", outcome="succeeded", result="seen")
        assert await handle.result() == "seen"
    assert len(script.calls) == 3


async def test_repeats_if_it_says_so(shop):
    """P3, trap 6: an effect that declares itself at-least-once is called again while its outcome is unknown."""
    script = Script(Unknown("timeout"), Unknown("timeout"))
    async with shop.working(repeating, provide={Script: script}, random=lambda: 0.0) as app:
        assert await (await app.start(repeating, id="o")).result() == "done"
    assert len(script.calls) == 3


class Client:
    """What a factory makes, once it can."""


@effect(key="made", provider=PLAIN, after=None)
async def with_client(call: Call, *, client: Client = inject(), script: Script = inject()) -> str:
    return str(script.next(call))


@workflow
async def making(ctx: Context) -> str:
    return await with_client(ctx)


async def test_client_cannot_be_made(shop):
    """P3: what fails before the call is not in doubt: when it is fixed, a retry makes the one call."""
    plug, script = Plug({"making": OSError("no certificate")}), Script()

    def make() -> Client:
        plug("making")
        return Client()

    async with shop.working(making, provide={Script: script}, factories={Client: make}) as app:
        with pytest.raises(WorkflowStopped, match="no certificate"):
            await (await app.start(making, id="o")).result(if_stopped="raise")
        assert (await receipt(app, "made")).doubts == 0
        assert await (await app.retry("o")).result() == "done"
    assert len(script.calls) == 1


# ── trap 7: one business id, two effects ────────────────────────────────────


@effect(key="order:{order.id}:refund", provider=KEYED, after=None)
async def refund_too(call: Call, order: Order) -> str:
    raise AssertionError


@workflow
async def refunding(ctx: Context, order: Order) -> None:
    await refund(ctx, order)


@workflow
async def refunding_too(ctx: Context, order: Order) -> None:
    await refund_too(ctx, order)


async def test_one_key_for_two_effects(record):
    """P8, trap 7: two effects that declare one key are refused, and both are named, before anything runs."""
    with pytest.raises(SharedKey, match=r"'order:\{order.id\}:refund'.*program\.refund .*refund_too"):
        App("shop", record=record, workflows=[refunding, refunding_too])


@workflow
async def charging_and_refunding(ctx: Context, order: Order) -> None:
    await insert_order(ctx, order)
    await scripted(ctx, order)
    await refund(ctx, order)


async def test_one_business_id_for_two_effects(shop):
    """P8, trap 7: what is built from one business id goes to the provider under two keys."""
    script = Script()
    async with shop.working(charging_and_refunding, provide={Script: script}) as app:
        await (await app.start(charging_and_refunding, ORDER, id="o")).result()
    keys = [call.key for call in script.calls] + [key for _, key, _ in shop.bank.requests]
    assert keys == ["shop/order:1:scripted", "shop/order:1:refund"]


# ── trap 9: the record first ────────────────────────────────────────────────


@write
async def insert_slowly(w: Write, order: Order, *, plug: Plug = inject()) -> None:
    await insert(w, order)
    await asyncio.sleep(0.05)
    plug("slow write")


@effect(key="order:{order.id}:early", provider=KEYED, after=insert_slowly)
async def charge_early(call: Call, order: Order, *, bank: Bank = inject(), plug: Plug = inject()) -> str:
    return post(call, order, bank, plug)


@workflow
async def impatient(ctx: Context, order: Order) -> str:
    inserted = insert_slowly(ctx, order)
    charged = charge_early(ctx, order)
    result, _ = await asyncio.gather(charged, inserted)
    return result


@workflow
async def forgetful(ctx: Context, order: Order) -> str:
    return await charge_early(ctx, order)


class Closed(Exception):  # noqa: N818 - an outcome, as users name it
    """Of the app's own: its body may catch it."""


@workflow
async def stubborn(ctx: Context, order: Order) -> str:
    with contextlib.suppress(LookupError, Closed):
        await insert_slowly(ctx, order)
    return await charge_early(ctx, order)


async def test_call_waits_for_the_write(shop):
    """P1, trap 9: an effect that is asked for while its write is on the way is called after that write's commit."""
    plug = Plug()
    async with shop.working(impatient, plug=plug) as app:
        assert await (await app.start(impatient, ORDER, id="o")).result() == "charge of 1"
    assert plug.passed.index("after add_receipts") < plug.passed.index("charge calling")


async def test_call_without_its_write(shop):
    """P1, trap 9: with no write at all it is refused, and the error says what to await."""
    async with shop.working(forgetful) as app:
        with pytest.raises(WorkflowStopped, match=r"AfterMissing.*await insert_slowly\(ctx, \.\.\.\) before"):
            await (await app.start(forgetful, ORDER, id="o")).result(if_stopped="raise")
    assert shop.bank.requests == []


@pytest.mark.parametrize("workflow_", [impatient, stubborn], ids=lambda w: w.name)
@pytest.mark.parametrize("point", ["slow write", "commit add_receipts"])
@pytest.mark.parametrize("error", [LookupError("no"), Closed("no")], ids=["defect", "own"])
async def test_write_failed(shop, workflow_, point, error):
    """P1: the write fails, or its COMMIT does: whoever swallows that gets no call."""
    async with shop.working(workflow_, plug=Plug({point: error})) as app:
        with pytest.raises(WorkflowStopped):
            await (await app.start(workflow_, ORDER, id="o")).result(if_stopped="raise")
        assert await orders(app) == []
    assert shop.bank.requests == []


@write
async def announce_and_fail(w: Write, order: Order) -> None:
    await insert(w, order)
    w.intend(charge_promised, order)


@effect(key="order:{order.id}:promised", provider=KEYED, after=announce_and_fail)
async def charge_promised(call: Call, order: Order, *, bank: Bank = inject(), plug: Plug = inject()) -> str:
    return post(call, order, bank, plug)


@workflow
async def promising(ctx: Context, order: Order) -> str:
    with contextlib.suppress(LookupError, Closed):
        await announce_and_fail(ctx, order)
    return await charge_promised(ctx, order)


@pytest.mark.parametrize(
    ("error", "told"), [(LookupError("no"), "LookupError: no"), (Closed("no"), "AfterMissing")], ids=["defect", "own"]
)
async def test_announcing_write_failed(shop, error, told):
    """P1: an intent that rode in a transaction whose COMMIT failed is no intent: no call."""
    async with shop.working(promising, plug=Plug({"commit intend": error})) as app:
        with pytest.raises(WorkflowStopped, match=told):
            await (await app.start(promising, ORDER, id="o")).result(if_stopped="raise")
    assert shop.bank.requests == []


# ── a zombie ────────────────────────────────────────────────────────────────


@effect(key="late", provider=KEYED, after=None)
async def belated(call: Call, *, script: Script = inject(), late: asyncio.Event = inject()) -> str:
    if script.next(call) == "wait":
        await late.wait()
        raise Declined("too late")
    return "charged"


@workflow
async def lately(ctx: Context) -> str:
    return await belated(ctx)


async def test_late_decline(shop):
    """P3, P5: a decline arrives after another call was begun under its key: that one's outcome is asked for."""
    late, script = asyncio.Event(), Script("wait")
    async with shop.working(lately, provide={Script: script, asyncio.Event: late}) as app:
        handle = await app.start(lately, id="o")
        await until_state(app, "late", "intended")
        async with app.runtime.record.session() as session:
            stored = (await session.find_receipt("late")).receipt
            await session.change_receipt(stored, d.begin_call(stored, claim="somebody else's", claim_ms=60_000))
        late.set()
        assert await handle.result() == "charged"
    assert shop.seen(LateOutcome) == [LateOutcome("late", "intended", "declined")]


# ── trap 16: money ──────────────────────────────────────────────────────────


class Price(msgspec.Struct, frozen=True):
    id: str
    amount: Decimal


@effect(key="price:{price.id}", provider=PLAIN, after=None)
async def pay(call: Call, price: Price, *, script: Script = inject()) -> int:
    script.next(call)
    return int(price.amount * 100)


@workflow
async def paying(ctx: Context, price: Price) -> int:
    return await pay(ctx, price)


async def test_money(shop):
    """P4, trap 16: an amount goes through start, intent, retry and receipt as it was given: 19.99 is 1999."""
    script = Script(NotDone("busy"))
    async with shop.working(paying, provide={Script: script}, random=lambda: 0.0) as app:
        assert await (await app.start(paying, Price("1", Decimal("19.99")), id="o")).result() == 1999
    assert len(script.calls) == 2


# ── what is refused ─────────────────────────────────────────────────────────


@workflow
async def charging(ctx: Context, order: Order) -> str:
    return await charge(ctx, order)


async def test_two_requests_under_one_key(shop):
    """P8: another workflow asks for a key with another amount: the field is named, and nothing is called."""
    async with shop.working(keyed, charging) as app:
        assert await (await app.start(keyed, ORDER, id="a")).result() == "charge of 1"
        other = await app.start(charging, Order("1", 999), id="b")
        with pytest.raises(
            WorkflowStopped, match=r"DifferentRequest: .*workflow 'a'.*workflow 'b'.*order\.amount_minor"
        ):
            await other.result(if_stopped="raise")
        same = await app.start(charging, ORDER, id="c")
        assert await same.result() == "charge of 1"
    assert len(shop.bank.requests) == 1


@pytest.mark.parametrize("helper", ["probe", "freeze"])
def test_helper_with_a_parameter_of_its_own(helper):
    """P3, P4: a probe or freeze that wants what the effect does not have is refused where it is declared."""
    given: Any = {helper: probe_charge}
    with pytest.raises(Misuse, match=r"probe_charge .* takes .*order, which x does not have; its parameters are id"):

        @effect(key="x:{id}", provider=PLAIN, after=None, **given)
        async def x(call: Call, id: str) -> str:
            raise AssertionError
