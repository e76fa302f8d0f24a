"""The context that bodies get: ids by what is called, far deadlines, nothing after a suspension, no detached child."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import Any

import pytest
from resonate.connections import LocalConnection
from resonate.resonate import Resonate
from resonate.retry import Never

from recordfirst import Call, Context, Provider, WorkflowStopped, effect, workflow, write
from recordfirst.conformance.record import run
from tests.engine.double import Server

SHORT = timedelta(milliseconds=20)
HOUR, YEARS = timedelta(hours=1), timedelta(days=3_000)


@write(key="{who}")
async def visit(w, who: str) -> str:
    await w.tx.execute(f"INSERT INTO visits (who) VALUES ('{who}')")
    return who


@pytest.fixture
def shop(make_shop, sqlite_path):
    return make_shop(f"sqlite:///{sqlite_path}")


async def visits(shop, app) -> list[str]:
    return sorted(who for (who,) in await shop.rows(app, "SELECT who FROM visits"))


# ── ids ─────────────────────────────────────────────────────────────────────


@effect(key="ask", provider=Provider(name="an operator"), after=None)
async def ask(call: Call) -> str:
    raise TimeoutError


async def name_it(ctx: Context, name: str) -> str:
    return name


@workflow
async def named(ctx: Context, who: str) -> str:
    return who


@workflow(name="asking")
async def asking_before(ctx: Context) -> list[str]:
    done = [await visit(ctx, "b"), await ctx.run(name_it, "plain"), await ctx.rpc(named, "child b")]
    await ctx.sleep(SHORT)
    return [*done, await ask(ctx)]


@workflow(name="asking")
async def asking_after(ctx: Context) -> list[str]:
    done = [await visit(ctx, "a"), await ctx.rpc(named, "child a"), await visit(ctx, "c")]
    await ctx.sleep(SHORT * 2)
    done += [await ctx.run(name_it, "plain"), await visit(ctx, "b"), await ctx.rpc(named, "child b")]
    await ctx.sleep(SHORT)
    return [*done, await ask(ctx)]


def test_steps_inserted_while_the_engine_keeps_its_promises(shop):
    """P8: after a deploy each call has its own answer, though the engine holds those of the calls before it."""

    async def parked(app):
        async with app.runtime.record.session() as session:
            return [receipt for receipt in await session.receipts_by_key("ask") if receipt.parked_on is not None]

    async def go():
        server = Server()
        async with server.running() as url:
            async with shop.working(asking_before, named, engine=url) as app:
                await app.start(asking_before, id="a")
                while not await parked(app):
                    await asyncio.sleep(0.01)
            async with shop.working(asking_after, named, engine=url) as app:
                await app.resolve("ask", outcome="succeeded", result="asked")
                result = await (await app.handle("a")).result()
                assert result == ["a", "child a", "c", "plain", "b", "child b", "asked"]
                assert await visits(shop, app) == ["a", "b", "c"]

    run(go())


# ── deadlines ───────────────────────────────────────────────────────────────


async def helping(ctx: Context) -> None:
    await ctx.sleep(timedelta(0))
    ctx.promise()


@workflow
async def plain(ctx: Context) -> None:
    other = ctx.options(retry_policy=Never(), target="default")
    await other.run(name_it, "ann")
    await other.rpc(named, "ann")
    await ctx.rpc(named, "ben")
    other.promise()
    ctx.promise(timeout=HOUR)
    await ctx.run(helping)


@workflow
async def hurried_step(ctx: Context) -> None:
    await visit(ctx.options(timeout=SHORT), "ann")


def test_deadlines_are_far(shop):
    """P9: whatever options a call has, the SDK's own deadline of a day does not come into it; the user's own does."""
    connection = LocalConnection()
    resonate = Resonate(network=connection, env={}, autostart=False)

    async def go():
        async with shop.working(plain, named, engine=resonate) as app:
            await app.start(plain, id="p")
            while not [id for id in connection.state.promises if ":helping" in id and "promise" in id]:
                await asyncio.sleep(0.01)
            held = [p for p in connection.state.promises.values() if p.tags.get("resonate:timer") != "true"]
            assert len(held) == 8
            near = [timedelta(milliseconds=p.timeout_at - p.created_at) for p in held]
            assert [length for length in near if length < YEARS] == [pytest.approx(HOUR, abs=timedelta(seconds=1))]

    run(go())


def test_step_takes_no_deadline(shop):
    """P9: what became of a step is said by the record, never by the engine's clock."""

    async def go():
        async with shop.working(hurried_step) as app:
            handle = await app.start(hurried_step, id="h")
            with pytest.raises(WorkflowStopped, match=r"options\(timeout=...\): what becomes of a step"):
                await handle.result(if_stopped="raise")
            assert await visits(shop, app) == []

    run(go())


# ── suspension ──────────────────────────────────────────────────────────────


async def nap(ctx: Context, who: str, length: timedelta = SHORT) -> str:
    await ctx.sleep(length)
    return await visit(ctx, who)


@workflow
async def with_finally(ctx: Context) -> str:
    try:
        return await nap(ctx, "a")
    finally:
        await visit(ctx, "late")


@workflow
async def catching_all(ctx: Context) -> str:
    try:
        return await nap(ctx, "a")
    except BaseException:
        await visit(ctx, "wrong")
        return "wrong"


@workflow
async def keeping_all(ctx: Context) -> str:
    with contextlib.suppress(BaseException):
        return await nap(ctx, "a")
    return "wrong"


@workflow
async def gathering(ctx: Context) -> str:
    results: Any = await asyncio.gather(nap(ctx, "a"), nap(ctx, "b", SHORT * 2), return_exceptions=True)
    if any(isinstance(result, BaseException) for result in results):
        await visit(ctx, "wrong")
    return "".join(map(str, results))


@workflow
async def gathering_in_a_helper(ctx: Context) -> str:
    async def helper() -> Any:
        return await asyncio.gather(nap(ctx, "a"), visit(ctx, "b"), return_exceptions=True)

    return "".join(map(str, await helper()))


async def failing(ctx: Context) -> str:
    await visit(ctx, "a")
    raise LookupError("a")


@workflow
async def gathering_errors(ctx: Context) -> str:
    results = await asyncio.gather(failing(ctx), nap(ctx, "b"), return_exceptions=True)
    return "".join(map(str, results))


@workflow
async def grouping(ctx: Context) -> str:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(nap(ctx, "a")), group.create_task(nap(ctx, "b", SHORT * 2))]
    return "".join(task.result() for task in tasks)


@workflow
async def in_branches(ctx: Context) -> str:
    async def branch(who: str, length: timedelta) -> str:
        try:
            return await nap(ctx, who, length)
        finally:
            await visit(ctx, f"late {who}")

    return "".join(await asyncio.gather(branch("a", SHORT), branch("b", SHORT * 2)))


@write(key="slow")
async def slow(w) -> None:
    await asyncio.sleep(0.1)
    await w.tx.execute("INSERT INTO visits (who) VALUES ('slow')")


@workflow
async def impatient(ctx: Context) -> str:
    try:
        async with asyncio.timeout(0.01):
            await slow(ctx)
    except TimeoutError:
        return "did not wait"
    return "waited"


@pytest.mark.parametrize(
    ("body", "result", "rows"),
    [
        (with_finally, "a", ["a", "late"]),
        (catching_all, "a", ["a"]),
        (keeping_all, "a", ["a"]),
        (gathering, "ab", ["a", "b"]),
        (gathering_in_a_helper, "ab", ["a", "b"]),
        (gathering_errors, "ab", ["a", "b"]),
        (grouping, "ab", ["a", "b"]),
        (in_branches, "ab", ["a", "b", "late a", "late b"]),
        (impatient, "did not wait", ["slow"]),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_nothing_comes_of_a_suspension_but_waiting(shop, body, result, rows):
    """P9, trap 24: a suspension that a body meets in its ``finally`` or hides in a gather leads to no step and no end.

    Whoever stops waiting for a step stops waiting, and does not stop the step.
    """

    async def go():
        async with shop.working(body) as app:
            assert await (await app.start(body, id="b")).result() == result
            order = await shop.rows(app, "SELECT who FROM visits")
            assert sorted(who for (who,) in order) == rows
            if body is with_finally:
                assert order == [("a",), ("late",)]

    run(go())


# ── detached ────────────────────────────────────────────────────────────────


@workflow
async def detaching(ctx: Context) -> None:
    await ctx.detached("named", "ann")


@workflow
async def detaching_below(ctx: Context) -> None:
    async def helper(ctx: Context) -> None:
        await ctx.detached("named", "ann")

    await ctx.run(helper)


@pytest.mark.parametrize("body", [detaching, detaching_below], ids=lambda body: body.name)
def test_detached_is_refused(shop, body):
    """P7: a child that only the engine knows of would be lost with it; the error says what keeps it."""

    async def go():
        async with shop.working(body, named) as app:
            handle = await app.start(body, id="d")
            with pytest.raises(WorkflowStopped, match=r"lost with the engine .* w\.start\(named, \.\.\., id=\.\.\.\)"):
                await handle.result(if_stopped="raise")

    run(go())
