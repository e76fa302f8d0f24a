"""What ended long ago is collected: its rows go, its id stays taken, and nothing of it runs again (P3, P7, P8, P10)."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from pathlib import Path

import pytest

from recordfirst import (
    Call,
    Collected,
    Context,
    DifferentArguments,
    Misuse,
    Provider,
    WorkflowFailed,
    effect,
    inject,
    workflow,
    write,
)
from recordfirst.conformance.record import run
from recordfirst.core.finding import NewFinding
from recordfirst.observe import NotBegun

ROOT = Path(__file__).parents[2]


class World:
    """What was called."""

    def __init__(self) -> None:
        self.calls: list[str] = []


@write
async def visit(w, who: str) -> None:
    await w.tx.execute(f"INSERT INTO visits (who) VALUES ('{who}')")


@effect(key="{who}:mail", provider=Provider(name="post"), after=visit)
async def mail(call: Call, who: str, *, world: World = inject()) -> None:
    world.calls.append(who)
    if who == "lost":
        raise TimeoutError


@effect(key="{who}:charge", provider=Provider(name="bank", retention_s=86_400), after=visit)
async def charge(call: Call, who: str, *, world: World = inject()) -> None:
    world.calls.append(who)


@workflow
async def order(ctx: Context, who: str) -> str:
    await visit(ctx, who)
    await mail(ctx, who)
    return who


@workflow
async def charged(ctx: Context, who: str) -> None:
    await visit(ctx, who)
    await charge(ctx, who)


@workflow(fails=ValueError)
async def failing(ctx: Context, who: str) -> None:
    raise ValueError(who)


async def all_of(app):
    async with app.runtime.record.session() as session:
        counts = await session.counts()
        return {name.removeprefix("start."): count for name, count in counts.items() if count and "start" in name}


async def ended(app, *handles):
    """Their ends, in the record."""
    for handle in handles:
        with contextlib.suppress(WorkflowFailed):
            await handle.result()


def test_rows_go_and_the_id_stays_taken(shop):
    """P3, P8: the same start is the workflow that has ended, another is a conflict, and nothing runs."""

    async def go():
        world = World()
        async with shop.working(order, failing, charged, provide={World: world}) as app:
            await ended(app, await app.start(order, "a", id="a"), await app.start(failing, "b", id="b"))
            tried = await app.collect(older_than_s=0, dry_run=True)
            assert (tried.collected, tried.receipts, await all_of(app)) == (2, 2, {"succeeded": 1, "failed": 1})
            assert (await app.collect(older_than_s=3600)).collected == 0
            done = await app.collect(older_than_s=0, who="ann", why="old")
            assert (done.collected, done.receipts, done.left) == (2, 2, {})
            assert (await app.collect(older_than_s=0)).collected == 0
            assert await all_of(app) == {"collected": 2}
            async with app.runtime.record.session() as session:
                assert await session.receipts_of("a") == []
                [audit] = await session.audits("shop", 10)
            assert (audit.who, audit.command, audit.why) == ("ann", "gc", "old")
            assert audit.detail == "2 workflows and 2 receipts collected"
            again = await app.start(order, "a", id="a")
            with pytest.raises(Collected, match="'a' was collected: it had ended as succeeded"):
                await again.result()
            async with app.record.write() as w:
                w.start(order, "a", id="a")
            with pytest.raises(DifferentArguments, match="'a' was already started as order, not as order with other"):
                await app.start(order, "z", id="a")
            with pytest.raises(DifferentArguments, match="'a' was already started as order, not as charged"):
                await app.start(charged, "a", id="a")
            with pytest.raises(Misuse, match="'b' is collected; only one that has failed"):
                await app.retry("b")
            assert world.calls == ["a"]
            assert await shop.rows(app, "SELECT who FROM visits") == [("a",)]

    run(go())


def test_life_that_comes_back_begins_no_step(shop):
    """P3: an engine that was restored from an old copy runs it again: no write commits, no effect is called."""

    async def go():
        world = World()
        async with shop.working(order, provide={World: world}) as app:
            await ended(app, await app.start(order, "a", id="a"))
            await app.collect(older_than_s=0)
            engine = app._dispatcher.engine
            while await engine.look("shop~a") is not None:
                await asyncio.sleep(0.01)
            await engine.create("shop~a", "order", {"who": "a"})
            while not shop.seen(NotBegun):
                await asyncio.sleep(0.01)
            assert world.calls == ["a"]
            assert await shop.rows(app, "SELECT who FROM visits") == [("a",)]

    run(go())


def test_what_is_still_needed_is_left(shop):
    """P3, P5, P7: and it is said why; when that has ended, it is collected."""

    async def go():
        world = World()
        async with shop.working(order, charged, provide={World: world}) as app:
            handles = [await app.start(order, id, id=id) for id in ("found", "left", "free")]
            await ended(app, *handles, await app.start(charged, "young", id="young"))
            lost = await app.start(order, "lost", id="lost")
            while not (await unknown(app)):
                await asyncio.sleep(0.01)
            await app.cancel("lost")
            await ended(app, lost)
            while await left(app):
                await asyncio.sleep(0.01)
            async with app.runtime.record.session() as session:
                found = NewFinding(code="RF-START-UNFIT", subject="found", workflow="found", detail="")
                await session.saw_findings([found], "one")
                await session.connection.execute(f"UPDATE {table(shop)} SET left_in = 'gone' WHERE id = 'left'")
        async with shop.app(charged, provide={World: world}) as app:
            names = {"found": "open finding", "left": "in an engine", "lost": "unknown", "young": "young key"}
            tried = await app.collect(older_than_s=0, dry_run=True)
            assert tried.examples == names | {"free": "unknown effect"}
        async with shop.app(order, charged, provide={World: world}) as app:
            done = await app.collect(older_than_s=0)
            assert (done.collected, done.examples) == (1, names)
            assert done.left == dict.fromkeys(names.values(), 1)
            await app.resolve("lost:mail", outcome="not done")
            async with app.runtime.record.session() as session:
                await session.close_findings([found], "fixed")
            assert (await app.collect(older_than_s=0)).left == {"in an engine": 1, "young key": 1}

    run(go())


def table(shop):
    return "recordfirst_start" if shop.url.startswith("sqlite") else "recordfirst.start"


async def unknown(app):
    async with app.runtime.record.session() as session:
        return await session.unsettled("unknown", None, 0, 1)


async def left(app):
    async with app.runtime.record.session() as session:
        return await session.left_epochs(app._dispatcher.engine.identity, 10)


PROGRAM = """
import asyncio, os, sys
from recordfirst.operations import gc
from tests.starts.harness import Shop
from tests.starts.test_collect import World, order
async def main():
    gc._PAGE = 10
    async with Shop(sys.argv[1]).app(order, provide={World: World()}) as app:
        await app.collect(older_than_s=0, tell=lambda looked: os._exit(9) if looked == 30 else None)
asyncio.run(main())
"""


def test_killed_in_the_middle(shop, monkeypatch):
    """P2, P10: what was collected is collected and told; another run goes on, and each says what it did."""
    monkeypatch.setattr("recordfirst.operations.gc._PAGE", 10)

    async def go():
        async with shop.working(order, provide={World: World()}) as app:
            handles = await asyncio.gather(*(app.start(order, f"{n}", id=f"{n}") for n in range(45)))
            await ended(app, *handles)
        program = [sys.executable, "-c", PROGRAM, shop.url]
        killed = await asyncio.to_thread(subprocess.run, program, cwd=ROOT, timeout=60, check=False)
        assert killed.returncode == 9
        async with shop.app(order, provide={World: World()}) as app:
            assert await all_of(app) == {"succeeded": 15, "collected": 30}
            done = await app.collect(older_than_s=0)
            assert (done.collected, await all_of(app)) == (15, {"collected": 45})
            async with app.runtime.record.session() as session:
                told = [audit.detail for audit in await session.audits("shop", 10)]
            assert told == ["15 workflows and 30 receipts collected", "30 workflows and 60 receipts collected"]

    run(go())


def test_opened_again_meanwhile(shop):
    """P7: a failed workflow that somebody retries at the same moment is collected, or open; never both."""

    async def go():
        async with shop.app(failing) as app:
            for n in range(20):
                async with app.record.write() as w:
                    w.start(failing, f"{n}", id=f"{n}")
            async with app.worker():
                await ended(app, *[await app.handle(f"{n}") for n in range(20)])
            retries = [app.retry(f"{n}") for n in range(20)]
            results = await asyncio.gather(app.collect(older_than_s=0), *retries, return_exceptions=True)
            opened = [result for result in results[1:] if not isinstance(result, Exception)]
            assert await all_of(app) == {
                name: count for name, count in {"open": len(opened), "collected": results[0].collected}.items() if count
            }
            assert len(opened) + results[0].collected == 20

    run(go())


@write(key="customer:{who}:saved")
async def save(w, who: str) -> str:
    return f"saved {who}"


@effect(key="customer:{who}:bill", provider=Provider(name="bank"), after=save)
async def bill(call: Call, who: str, *, world: World = inject()) -> None:
    world.calls.append(who)


@write(key="customer:{who}:noted", after=save)
async def note_down(w, who: str) -> None:
    await w.tx.execute(f"INSERT INTO visits (who) VALUES ('{who}')")


@workflow
async def join(ctx: Context, who: str) -> str:
    return await save(ctx, who)


@workflow
async def rent(ctx: Context, who: str, ready: str) -> None:
    if not Path(ready).exists():  # noqa: ASYNC240 - as quick as any other line
        raise ValueError(ready)
    await bill(ctx, who)
    await note_down(ctx, who)


def test_what_a_step_of_another_workflow_comes_after_stays(shop, tmp_path):
    """P1, P7: a write whose key names no workflow has happened, also when its workflow was collected."""
    ready = tmp_path / "ready"

    async def go():
        world = World()
        async with shop.working(join, rent, order, provide={World: world}) as app:
            await ended(app, await app.start(join, "a", id="join a"), await app.start(order, "b", id="order b"))
            handle = await app.start(rent, "a", str(ready), id="rent a")
            with contextlib.suppress(WorkflowFailed, TimeoutError):
                async with asyncio.timeout(2):
                    await handle.result()
            assert world.calls == ["b"]
            tried = await app.collect(older_than_s=0, dry_run=True)
            done = await app.collect(older_than_s=0)
            assert tried.receipts == done.receipts == 2, "those of the order: its write's key is its workflow's own"
            async with app.runtime.record.session() as session:
                [left] = await session.receipts_of("join a")
            assert (left.key, left.state, left.request) == ("customer:a:saved", "succeeded", "null")
            again = await app.start(join, "a", id="join a once more")
            assert await again.result() == "saved a", "as before it was collected: it is done once"
            ready.touch()
            await later(app, "rent a")
            other = await app.start(rent, "a", str(ready), id="a later one")
            await other.result()
            assert world.calls == ["b", "a"]
            assert await shop.rows(app, "SELECT who FROM visits") == [("b",), ("a",)]

    async def later(app, id):
        """What stopped or failed goes on, and was not collected unless it had ended."""
        async with app.runtime.record.session() as session:
            start = await session.find_start(id)
        if start.state != "collected":
            with contextlib.suppress(Misuse):
                await app.retry(id)
            await (await app.handle(id)).result()

    run(go())
