"""A write's key: one key is one write, of one function, with one request."""

from __future__ import annotations

import asyncio

import pytest

from recordfirst import App, BadKey, Context, SharedKey, WorkflowStopped, workflow, write
from recordfirst.conformance.record import run
from recordfirst.records.sqlite import SqliteRecord


@write
async def visit(w, who: str) -> str:
    await w.tx.execute(f"INSERT INTO visits (who) VALUES ('{who}')")
    return who


@write(key="visit:{who}", name="visit")
async def visit_as_it_was(w, who: str) -> None:
    await w.tx.execute(f"INSERT INTO visits (who) VALUES ('{who}')")


@write(key="visit:{who}", name="visit_renamed")
async def visit_renamed(w, who: str) -> None:
    await w.tx.execute(f"INSERT INTO visits (who) VALUES ('{who}')")


@write(key="visit:{who}", name="visit")
async def visit_at(w, who: str, hour: int) -> None:
    await w.tx.execute(f"INSERT INTO visits (who) VALUES ('{who}')")


@write(key="visit:{who.name}")
async def visit_of(w, who: dict) -> None:
    await w.tx.execute("INSERT INTO visits (who) VALUES ('somebody')")


@workflow
async def twice(ctx: Context) -> None:
    await asyncio.gather(visit(ctx, "ann"), visit(ctx, "ben"))


@workflow
async def twice_named(ctx: Context) -> list[str]:
    second = visit.with_key("visit:{who}")
    return list(await asyncio.gather(visit(ctx, "ann"), second(ctx, "ben"), second(ctx, "cy")))


@workflow
async def one(ctx: Context, who: str) -> None:
    await visit_as_it_was(ctx, who)


@workflow
async def other_function(ctx: Context, who: str) -> None:
    await visit_renamed(ctx, who)


@workflow
async def other_request(ctx: Context, who: str) -> None:
    await visit_at(ctx, who, 7)


@workflow
async def by_field(ctx: Context, who: dict) -> None:
    await visit_of(ctx, who)


def test_default_key_is_good_for_one_call(shop):
    """P8: a second call of one write in a workflow must name its own key."""

    async def go():
        async with shop.working(twice, twice_named) as app:
            with pytest.raises(WorkflowStopped, match=r"SharedKey: key 't/visit'.*with_key"):
                await (await app.start(twice, id="t")).result(if_stopped="raise")
            assert await (await app.start(twice_named, id="n")).result() == ["ann", "ben", "cy"]

    run(go())


def test_key_of_another_function_or_request(shop):
    """P8: two steps of one app, or of two deploys, cannot share a key in silence; both sides are named."""

    async def go():
        with pytest.raises(SharedKey, match=r"visit_as_it_was .* and by .*visit_renamed"):
            App("shop", record=SqliteRecord("nowhere.db"), workflows=[one, other_function])
        async with shop.working(one) as app:
            await (await app.start(one, "ann", id="1")).result()
        async with shop.working(other_function) as app:
            with pytest.raises(WorkflowStopped, match=r"DifferentFunction: .*'write visit'.*'write visit_renamed'"):
                await (await app.start(other_function, "ann", id="2")).result(if_stopped="raise")
        async with shop.working(other_request) as app:
            with pytest.raises(WorkflowStopped, match=r"DifferentRequest: .*'visit:ann'.*hour"):
                await (await app.start(other_request, "ann", id="3")).result(if_stopped="raise")
            assert await shop.rows(app, "SELECT who FROM visits") == [("ann",)]

    run(go())


def test_one_key_across_workflows_is_one_write(shop):
    """P2: a key of the business's own names the fact, whichever workflow asks for it."""

    async def go():
        async with shop.working(one) as app:
            for id in "12":
                await (await app.start(one, "ann", id=id)).result()
            assert await shop.rows(app, "SELECT who FROM visits") == [("ann",)]

    run(go())


def test_template_that_names_a_missing_field(shop):
    """P8: it is refused when the step is declared, or before anything is written where types do not tell."""
    with pytest.raises(BadKey, match=r"names 'nobody'; its parameters are who"):
        write(key="visit:{nobody}")(visit.function.fn)

    async def go():
        async with shop.working(by_field) as app:
            with pytest.raises(WorkflowStopped, match=r"BadKey: key 'visit:\{who.name\}' .*dict has no 'name'"):
                await (await app.start(by_field, {"id": 1}, id="1")).result(if_stopped="raise")
            assert await shop.rows(app, "SELECT who FROM visits") == []

    run(go())
