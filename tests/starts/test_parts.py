"""What a workflow runs by ``ctx.rpc`` is a part of it: its receipts are the workflow's, and no key holds a position."""

from __future__ import annotations

from datetime import timedelta

import pytest

from recordfirst import (
    Call,
    Context,
    Embedded,
    Provider,
    WorkflowFailed,
    WorkflowStopped,
    effect,
    inject,
    workflow,
    write,
)
from recordfirst.conformance.record import run


class Bank:
    """What was asked of it, in order; and whether it is away."""

    def __init__(self) -> None:
        self.calls: list[str] = []


BANK = Provider(name="bank", retention_s=86_400)


@write(key="{who}: row")
async def visit(w, who: str) -> str:
    await w.tx.execute(f"INSERT INTO visits (who) VALUES ('{who}')")
    return who


@write
async def note(w, who: str) -> str:
    await w.tx.execute(f"INSERT INTO visits (who) VALUES ('{who}')")
    return who


@effect(key="{who}: refund", provider=BANK, after=None)
async def refund(call: Call, who: str, *, bank: Bank = inject()) -> str:
    bank.calls.append(f"refund {who}")
    return who


@effect(key="{who}: charge", provider=BANK, after=visit, undo=refund)
async def charge(call: Call, who: str, *, bank: Bank = inject()) -> str:
    bank.calls.append(f"charge {who}")
    return who


@workflow
async def part(ctx: Context, who: str) -> str:
    await visit(ctx, who)
    return await charge(ctx, who)


@workflow
async def noting(ctx: Context, who: str) -> str:
    return await note(ctx, who)


@workflow(fails=LookupError)
async def failing(ctx: Context, who: str) -> None:
    await visit(ctx, who)
    await charge(ctx, who)
    raise LookupError(who)


async def receipts(app, id: str) -> list[str]:
    async with app.runtime.record.session() as session:
        return sorted(receipt.key for receipt in await session.receipts_of(id))


# ── keys ────────────────────────────────────────────────────────────────────


@workflow(name="shipping")
async def shipping(ctx: Context) -> str:
    done = await ctx.rpc(part, "ann")
    await ctx.sleep(timedelta(hours=1))
    return done


@workflow(name="shipping")
async def shipping_after_a_deploy(ctx: Context) -> list[str]:
    await note(ctx, "inserted")
    return [await ctx.rpc(part, "ben"), await ctx.rpc(part, "ann")]


def test_step_inserted_before_a_part(shop):
    """P3: no key of the part changes, so nothing that it did is done again in an engine that knows nothing."""

    async def go():
        bank, forgetful = Bank(), Embedded(":memory:")
        async with shop.working(shipping, part, provide={Bank: bank}, engine=forgetful) as app:
            await app.start(shipping, id="s")
            while await receipts(app, "s") != ["ann: charge", "ann: row"]:
                await app.runtime.record.changed(0.01)
        async with shop.working(shipping_after_a_deploy, part, provide={Bank: bank}, engine=forgetful) as app:
            assert await (await app.handle("s")).result() == ["ben", "ann"]
            assert await receipts(app, "s") == ["ann: charge", "ann: row", "ben: charge", "ben: row", "s/note"]
            assert bank.calls == ["charge ann", "charge ben"]

    run(go())


@workflow
async def parent(ctx: Context) -> str:
    return await ctx.rpc(part, "ann")


@workflow
async def grandparent(ctx: Context) -> str:
    return await ctx.rpc(parent)


def test_parts_of_parts(shop):
    """P10: whatever ran by itself, all that a workflow did is read by the id that it was started with."""

    async def go():
        bank = Bank()
        async with shop.working(grandparent, parent, part, noting, provide={Bank: bank}) as app:
            # As the ids of parts once were: a user may have the same.
            for number in range(1, 4):
                assert await (await app.start(noting, "user", id=f"s:{number}")).result() == "user"
            assert await (await app.start(grandparent, id="s")).result() == "ann"
            assert await receipts(app, "s") == ["ann: charge", "ann: row"]
            assert await receipts(app, "s:1") == ["s:1/note"]

    run(go())


@workflow
async def calling_noting(ctx: Context) -> str:
    await note(ctx, "mine")
    return await ctx.rpc(noting, "a part's")


def test_default_key_in_a_part(shop):
    """P8: it could be another call's, which this run does not know of; so it is refused, and says what to do."""

    async def go():
        async with shop.working(calling_noting, noting) as app:
            with pytest.raises(WorkflowStopped, match=r'note has no key of its own.*name its key: .*note\.with_key\("'):
                await (await app.start(calling_noting, id="c")).result(if_stopped="raise")
            assert await receipts(app, "c") == ["c/note"]

    run(go())


# ── undo ────────────────────────────────────────────────────────────────────


@workflow
async def all_or_nothing(ctx: Context) -> None:
    await ctx.rpc(part, "ann")
    await ctx.rpc(failing, "ben")


@workflow
async def going_on(ctx: Context) -> str:
    await ctx.rpc(part, "ann")
    try:
        await ctx.rpc(failing, "ben")
    except LookupError:
        return "without it"
    return "with it"


def test_undo_is_the_whole_workflows(shop):
    """P7: when it fails, what its parts did is undone, newest first; while it goes on, nothing is."""

    async def go():
        bank = Bank()
        async with shop.working(all_or_nothing, part, failing, provide={Bank: bank}) as app:
            with pytest.raises(WorkflowFailed, match="LookupError: ben"):
                await (await app.start(all_or_nothing, id="w")).result()
            assert bank.calls == ["charge ann", "charge ben", "refund ben", "refund ann"]

    run(go())


def test_failed_part_of_a_workflow_that_goes_on(shop):
    """P7: its effects stand until the workflow fails; undoing them is the workflow's decision."""

    async def go():
        bank = Bank()
        async with shop.working(going_on, part, failing, provide={Bank: bank}) as app:
            assert await (await app.start(going_on, id="w")).result() == "without it"
            assert bank.calls == ["charge ann", "charge ben"]

    run(go())
