"""Traps 17 to 19 and 21: a workflow is its business id, whatever the engine calls it."""

from __future__ import annotations

import pytest
import resonate.context

from recordfirst import BadId, Context, DifferentArguments, WorkflowStopped, inject, workflow, write
from recordfirst.conformance.record import run
from recordfirst.core import identity

ODD_IDS = [
    "order:42", "a:1", "a", "a~2", "a%7E2", "a~2:1", "100 %", "%3A",
    "é ü 漢字 🧾", "e\u0301", "/", "..", "?x=1&y#z", "'\"\\",
    " ", "\n\t", "x" * 255,
]  # fmt: skip


@write
async def visit(w, who: str) -> None:
    await w.tx.execute(f"INSERT INTO visits (who) VALUES ('{who}')")


@workflow
async def order(ctx: Context, amount: int = 100) -> int:
    await visit(ctx, "order")
    return amount


@workflow
async def refund(ctx: Context, amount: int = 100) -> int:
    return amount


class Deploy:
    """What is wrong with the code that runs now."""

    bug = True


@write
async def greet(w, *, deploy: Deploy = inject()) -> None:
    await w.tx.execute("INSERT INTO visits (who) VALUES ('greeted')")
    if deploy.bug:
        raise LookupError("a bug")


@workflow(name="deployed")
async def deployed(ctx: Context) -> str:
    await visit(ctx, "ann")
    await greet(ctx)
    return "done"


@workflow(name="deployed")
async def deployed_with_a_step_more(ctx: Context) -> str:
    await visit.with_key("before:{who}")(ctx, "ben")
    await visit(ctx, "ann")
    await greet(ctx)
    return "done"


def test_other_arguments_are_a_conflict(shop):
    """P8: the same id with another amount, or as another workflow, is refused, and both sides are named."""

    async def go():
        async with shop.working(order, refund) as app:
            handle = await app.start(order, 100, id="o1")
            for again in (app.start(order, 999, id="o1"), app.start(refund, 100, id="o1")):
                with pytest.raises(DifferentArguments, match=r"'o1' was already started as order.*not as "):
                    await again
            assert await handle.result() == 100
            # What is frozen with its defaults is the same, whether the caller says them or not.
            assert await (await app.start(order, id="o1")).result() == 100
            with pytest.raises(DifferentArguments):
                await app.start(order, 999, id="o1")

    run(go())


def test_other_arguments_take_the_callers_transaction_back(shop):
    """P8: in a transaction of the caller's the conflict rolls back its rows too."""

    async def go():
        async with shop.app(order) as app:
            await app.start(order, 100, id="o1")
            with pytest.raises(DifferentArguments):
                async with app.record.write() as w:
                    await w.tx.execute("INSERT INTO orders (id, amount) VALUES ('o1', 999)")
                    w.start(order, 999, id="o1")
            assert await shop.rows(app, "SELECT id FROM orders") == []

    run(go())


def test_same_arguments_are_the_same_workflow(shop):
    """P7: started again while it is open, once it has ended, and by a later process: it ran once."""

    async def go():
        async with shop.working(order) as app:
            handles = [await app.start(order, 100, id="o1") for _ in range(3)]
            assert [await handle.result() for handle in handles] == [100] * 3
            assert await (await app.start(order, amount=100, id="o1")).result() == 100
        async with shop.working(order) as app:  # an engine that has never heard of it
            assert await (await app.start(order, 100, id="o1")).result() == 100
            assert await shop.rows(app, "SELECT who FROM visits") == [("order",)]

    run(go())


def test_finished_and_forgotten_by_the_engine_runs_nothing_again(shop):
    """P6: an id comes again after the engine has dropped all that it knew of it; nothing runs, in any epoch."""
    ids = [f"o{number}" for number in range(40)]

    async def go():
        async with shop.working(order) as app:
            for _ in range(2):
                for id in ids:
                    assert await (await app.start(order, id=id)).result() == 100
            assert await shop.rows(app, "SELECT count(*) FROM visits") == [(len(ids),)]
            async with app.runtime.record.session() as session:
                assert {(start.state, start.epoch) for start in await session.starts(None, 100)} == {("succeeded", 1)}

    run(go())


def test_any_text_is_an_id(shop):
    """P8: what the engine, a URL or SQL reserves is an id like any other, and is read by it (P10)."""

    async def go():
        async with shop.working(order) as app:
            handles = {id: await app.start(order, number, id=id) for number, id in enumerate(ODD_IDS)}
            assert [await handle.result() for handle in handles.values()] == list(range(len(ODD_IDS)))
            assert await shop.rows(app, "SELECT count(*) FROM visits") == [(len(ODD_IDS),)]
            async with app.runtime.record.session() as session:
                for id in ODD_IDS:
                    assert [receipt.key for receipt in await session.receipts_of(id)] == [f"{id}/visit"]

    run(go())


def test_engine_ids_are_reversible_and_apart():
    """P8: each id, app and epoch has an engine id of its own, free of what Resonate reserves, and can be read back."""
    epochs = [(app, id, epoch) for app in ("shop", "s~h:o%p") for id in ODD_IDS for epoch in (1, 2, 12)]
    made = [identity.engine_id(*epoch) for epoch in epochs]
    assert len(set(made)) == len(epochs)
    assert not any(":" in id for id in made)
    assert [identity.parse_engine_id(id) for id in made] == [(*epoch, "") for epoch in epochs]
    assert identity.parse_engine_id(made[0] + ":1.2.3") == (*epochs[0], "1.2.3")


@pytest.mark.parametrize("id", ["", "a\0b", "\ud800", 7, None])
def test_what_no_store_can_carry_is_no_id(shop, id):
    """P8: it is refused before anything is stored."""

    async def go():
        async with shop.app(order) as app:
            with pytest.raises(BadId):
                await app.start(order, id=id)
            async with app.runtime.record.session() as session:
                assert await session.starts(None, 10) == []

    run(go())


def test_keys_do_not_depend_on_engine_ids(shop, monkeypatch):
    """P3: a step more, a new engine, a new epoch, an SDK that numbers steps otherwise: what was done stays done."""

    async def go():
        deploy = Deploy()
        async with shop.working(deployed, provide={Deploy: deploy}) as app:
            with pytest.raises(WorkflowStopped, match="a bug"):
                await (await app.start(deployed, id="d")).result(if_stopped="raise")
        deploy.bug = False
        monkeypatch.setattr(resonate.context, "join_id", lambda ancestor, segment: f"{ancestor}:renamed-{segment}")
        async with shop.working(deployed_with_a_step_more, provide={Deploy: deploy}) as app:
            assert await (await app.retry("d")).result() == "done"
            assert sorted(await shop.rows(app, "SELECT who FROM visits")) == [("ann",), ("ben",), ("greeted",)]
            async with app.runtime.record.session() as session:
                keys = [receipt.key for receipt in await session.receipts_of("d")]
                assert sorted(keys) == ["before:ben", "d/greet", "d/visit"]
                assert (await session.find_start("d")).epoch == 2

    run(go())
