"""P5: a new attempt is asked for by the caller, after a decline, and is another call to the provider."""

from __future__ import annotations

import pytest

from recordfirst import Call, Context, Declined, Misuse, Unknown, WorkflowStopped, effect, inject, workflow
from tests.effects.harness import Script, until_state
from tests.effects.program import KEYED, PLAIN


@effect(key="order:{id}:charge", provider=PLAIN, after=None)
async def charge(call: Call, id: str, *, script: Script = inject()) -> str:
    return str(script.next(call))


@workflow
async def patient(ctx: Context, id: str) -> str:
    for attempt in (1, 2, 3):
        try:
            return await charge.attempt(attempt)(ctx, id)
        except Declined:
            continue
    return "gave up"


@workflow
async def hasty(ctx: Context, id: str, attempt: int) -> str:
    return await charge.attempt(attempt)(ctx, id)


async def test_own_key(shop):
    """P5: each attempt has its own number and provider key; all are read by the business key, with their outcomes."""
    script = Script(Declined("no"), Declined("still no"), "yes")
    async with shop.working(patient, provide={Script: script}) as app:
        assert await (await app.start(patient, "1", id="o")).result() == "yes"
        async with app.runtime.record.session() as session:
            found = await session.receipts_by_key("order:1:charge")
    assert [(r.attempt, r.state, r.calls) for r in found] == [
        (1, "declined", 1),
        (2, "declined", 1),
        (3, "succeeded", 1),
    ]
    assert [call.key for call in script.calls] == [
        "shop/order:1:charge",
        "shop/order:1:charge#2",
        "shop/order:1:charge#3",
    ]
    assert [(call.attempt, call.number) for call in script.calls] == [(1, 1), (2, 1), (3, 1)]


@pytest.mark.parametrize(("attempt", "state"), [(2, "attempt 1 is succeeded"), (3, "attempt 2 was never made")])
async def test_refused_unless_declined(shop, attempt, state):
    """P5: an attempt after one that was not declined is refused, and nothing is called."""
    script = Script("yes")
    async with shop.working(patient, hasty, provide={Script: script}) as app:
        await (await app.start(patient, "1", id="o")).result()
        with pytest.raises(WorkflowStopped, match=f"AttemptRefused: attempt {attempt} of 'order:1:charge' .*{state}"):
            await (await app.start(hasty, "1", attempt, id="h")).result(if_stopped="raise")
    assert len(script.calls) == 1


async def test_refused_while_unknown(shop):
    """P5: while nobody knows what became of one attempt there is no other; resolved as declined, there is."""
    script = Script(Unknown("timeout"), "yes")
    async with shop.working(patient, hasty, provide={Script: script}, random=lambda: 0.0) as app:
        handle = await app.start(patient, "1", id="o")
        await until_state(app, "order:1:charge", "unknown")
        with pytest.raises(WorkflowStopped, match=r"AttemptRefused: .*attempt 1 is unknown"):
            await (await app.start(hasty, "1", 2, id="h")).result(if_stopped="raise")
        await app.resolve("order:1:charge", outcome="declined", reason="no")
        assert await handle.result() == "yes"
    assert [call.key for call in script.calls] == ["shop/order:1:charge", "shop/order:1:charge#2"]


def test_counted_from_one():
    """P8: attempt 0 is nobody's."""
    with pytest.raises(Misuse, match="counted from 1"):
        charge.attempt(0)


@effect(key="long:{id}", provider=KEYED, after=None)
async def long_key(call: Call, id: str, *, script: Script = inject()) -> str:
    return str(script.next(call))


@workflow
async def lengthy(ctx: Context, id: str) -> str:
    try:
        return await long_key(ctx, id)
    except Declined:
        return await long_key.attempt(2)(ctx, id)


async def test_own_key_when_it_is_long(shop):
    """P3: over the provider's limit a key's tail becomes a hash: attempts and neighbours still differ."""
    script = Script(Declined("no"), "yes", Declined("no"), "yes")
    async with shop.working(lengthy, provide={Script: script}) as app:
        for last in "ab":
            await (await app.start(lengthy, "x" * 400 + last, id=last)).result()
    keys = [call.key for call in script.calls]
    assert len(set(keys)) == 4
    assert {len(key) for key in keys} == {KEYED.key_limit}
