"""``App(engine="http://...")``: the SDK's protocol over HTTP and server-sent events, with workers side by side."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from datetime import timedelta

import aiohttp
import msgspec
import pytest
from resonate.connections import HttpConnection

from recordfirst import Call, Context, Provider, WorkflowStopped, effect, inject, workflow, write
from recordfirst.conformance.record import run
from recordfirst.engine import server, shared
from recordfirst.observe import DispatchFailed, WorkInterrupted
from tests.engine.double import Server

ORDERS = 40


class World:
    """What was called, and where a step can be held up."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.bodies: list[str] = []
        self.bug = False
        self.entered = asyncio.Event()
        self.go_on = asyncio.Event()


@write
async def visit(w, who: str) -> str:
    await w.tx.execute(f"INSERT INTO visits (who) VALUES ('{who}')")
    return who


@write
async def held(w, who: str, *, world: World = inject()) -> str:
    await w.tx.execute(f"INSERT INTO visits (who) VALUES ('{who}')")
    if not world.entered.is_set():
        world.entered.set()
        await world.go_on.wait()
    return who


@effect(key="{who}:charge", provider=Provider(name="bank", retention_s=86_400), after=visit)
async def charge(call: Call, who: str, *, world: World = inject()) -> str:
    world.calls[call.key] += 1
    if world.bug:
        raise ConnectionRefusedError
    return "charged"


@write
async def check(w, *, world: World = inject()) -> None:
    if world.bug:
        raise ZeroDivisionError("a bug")


@workflow
async def order(ctx: Context, who: str) -> str:
    await visit(ctx, who)
    await charge(ctx, who)
    await ctx.sleep(timedelta(milliseconds=20))
    return who


@workflow
async def checking(ctx: Context) -> str:
    await check(ctx)
    return "fine"


@effect(key="pause", provider=Provider(name="bank", retention_s=86_400), after=None)
async def pause(call: Call, *, world: World = inject()) -> None:
    world.calls[call.key] += 1
    world.entered.set()
    await world.go_on.wait()


@workflow
async def pausing(ctx: Context) -> str:
    await pause(ctx)
    await visit(ctx, "ann")
    return "ann"


@effect(key="{who}/pause", provider=Provider(name="bank", retention_s=86_400), after=None)
async def pause_as(call: Call, who: str, *, world: World = inject()) -> str:
    world.calls[call.key] += 1
    await world.go_on.wait()
    return who


@workflow
async def pausing_as(ctx: Context, who: str) -> str:
    return await pause_as(ctx, who)


BODIES: list[str] = []


@workflow
async def holding(ctx: Context) -> str:
    stored = await held(ctx, "ann")
    BODIES.append(ctx.info.id)
    return stored


@pytest.fixture(autouse=True)
def _quiet(caplog):
    """The SDK logs a task that was taken away with its whole traceback."""
    caplog.set_level(logging.CRITICAL, logger="resonate")


@contextlib.asynccontextmanager
async def served(shop, world, *workflows, workers=2):
    """A server, and so many apps that work for it."""
    server = Server()
    async with server.running() as url, contextlib.AsyncExitStack() as stack:
        given = {"engine": url, "provide": {World: world}}
        apps = [await stack.enter_async_context(shop.working(*workflows, **given)) for _ in range(workers)]
        while server.workers < workers:
            await asyncio.sleep(0.01)
        yield server, apps


def test_two_workers_at_once(shop):
    """P3: both run workflows of one server, started on either; each charge is made once, each row is there once."""

    async def go():
        world = World()
        async with served(shop, world, order) as (server, (one, other)):
            handles = [await one.start(order, f"1/{n}", id=f"1/{n}") for n in range(ORDERS // 2)]
            handles += [await other.start(order, f"2/{n}", id=f"2/{n}") for n in range(ORDERS // 2)]
            async with one.record.write() as w:
                w.start(order, "3", id="3")
            handles.append(await other.handle("3"))
            results = await asyncio.gather(*(handle.result() for handle in handles))
            assert len(set(results)) == ORDERS + 1
            assert Counter(world.calls.values()) == {1: ORDERS + 1}
            assert await shop.rows(one, "SELECT count(*), count(DISTINCT who) FROM visits") == [(ORDERS + 1,) * 2]
            assert len({pid for pid, _ in server.deliveries}) == 2
            async with one.runtime.record.session() as session:
                starts = await session.starts(None, 100)
            assert {start.state for start in starts} == {"succeeded"}
            for app in (one, other):
                kept = [
                    app._dispatcher._running,
                    app._dispatcher._handed,
                    app._dispatcher.ends._waiting,
                    app._dispatcher._unmarked,
                ]
                assert kept == [set(), {}, {}, set()]

    run(go())


def test_open_starts_are_put_back_at_start_up(shop):
    """P6: a server that lost what it was given, or was never told, gets every open start when a worker comes."""

    async def go():
        world, server = World(), Server()
        async with server.running() as url, shop.app(order, provide={World: world}) as client:
            handles = [await client.start(order, id, id=id) for id in ("never told", "lost")]
            async with client.runtime.record.session() as session:
                await session.dispatched([await handles[1].status()], url)
            async with shop.working(order, provide={World: world}, engine=url):
                assert [await handle.result() for handle in handles] == ["never told", "lost"]
            assert [(await handle.status()).epoch for handle in handles] == [1, 1]
            assert Counter(world.calls.values()) == {1: 2}

    run(go())


def test_what_the_server_had_already_is_not_run_again(shop):
    """P6: put back as well by a second worker while the first one runs it, a workflow has one epoch."""

    async def go():
        world = World()
        async with served(shop, world, pausing, workers=1) as (server, [app]):
            handle = await app.start(pausing, id="p")
            await world.entered.wait()
            async with shop.working(pausing, engine=app.engines.given, provide={World: world}):
                world.go_on.set()
                assert await handle.result() == "ann"
            assert [task for _, task in server.deliveries] == ["shop~p"]
            assert (await handle.status()).epoch == 1
            assert world.calls == {"shop/pause": 1}

    run(go())


def test_loser_runs_nothing_after_the_write(shop):
    """P2: a worker whose task was taken away while it wrote goes no further; the successor has the one set of rows."""
    BODIES.clear()

    async def go():
        world = World()
        async with served(shop, world, holding) as (server, (app, _)):
            handle = await app.start(holding, id="h")
            await world.entered.wait()
            server.take_away("shop~h")
            assert len({pid for pid, _ in server.deliveries}) == 2
            if shop.url.startswith("sqlite"):
                world.go_on.set()  # one write at a time: the successor's waits for this one's transaction
            assert await handle.result() == "ann"
            world.go_on.set()
            while not server.requests["task.release"]:  # the loser gives up what it no longer has
                await asyncio.sleep(0.01)
            # The record hears of the end after the server does: in between the other worker may open another epoch.
            assert BODIES.count("shop~h") == 1
            assert await shop.rows(app, "SELECT who FROM visits") == [("ann",)]

    run(go())


def test_engine_that_refuses_a_workflow(shop):
    """P7: it was accepted, and stays so: the dispatcher tries again until the engine takes it, and says so each
    time.
    """

    async def go():
        async with served(shop, World(), checking, workers=1) as (server, [app]):
            server.refusing = True
            handle = await app.start(checking, id="c")
            async with app.record.write() as w:
                w.start(checking, id="d")
            while server.refused["promise.create"] < 4:
                await asyncio.sleep(0.01)
            assert {(await handle.status()).engine, (await handle.status()).state} == {None, "open"}
            assert "workflow 'c' was not handed over: ServerError" in str(shop.seen(DispatchFailed))
            server.refusing = False
            assert [await handle.result(), await (await app.handle("d")).result()] == ["fine", "fine"]
            assert [(await (await app.handle(id)).status()).epoch for id in "cd"] == [1, 1]

    run(go())


def test_heartbeats_name_one_workflow_each(shop, monkeypatch):
    """P9: the server refuses others, and then every lease of the worker lapses."""
    monkeypatch.setattr(shared, "LEASE", timedelta(seconds=1))

    async def go():
        world = World()
        async with served(shop, world, pausing_as, workers=1) as (server, [app]):
            handles = [await app.start(pausing_as, who, id=who) for who in ("ann", "ben")]
            while world.calls.total() < 2 or server.requests["task.heartbeat"] < 6:
                await asyncio.sleep(0.01)
            world.go_on.set()
            assert [await handle.result() for handle in handles] == ["ann", "ben"]
            assert server.refused["task.heartbeat"] == 0

    run(go())


def test_heartbeats_do_not_wait_for_each_other(monkeypatch):
    """P9: one behind the other, those of many workflows would take longer than a lease, and all would lapse."""
    several, asked = asyncio.Event(), []

    async def send(self, req, headers=None):
        del self, headers
        asked.append(req)
        if len(asked) == 3:
            several.set()
        await several.wait()
        return req

    monkeypatch.setattr(HttpConnection, "send", send)
    tasks = [{"id": id, "version": 1} for id in ("shop~a", "shop~b", "shop~a:1", "shop~c")]
    beat = msgspec.json.encode({"kind": "task.heartbeat", "head": {}, "data": {"pid": "p", "tasks": tasks}}).decode()

    async def go():
        await asyncio.wait_for(server._Requests("http://nowhere.invalid").send(beat), 10)
        assert sorted(len(msgspec.json.decode(each)["data"]["tasks"]) for each in asked) == [1, 1, 2]

    run(go())


def test_worker_listens_again_when_its_http_client_has_had_enough(shop, monkeypatch):
    """P7: the client ends every answer in five minutes, that of messages too: a worker would be deaf behind that."""
    monkeypatch.setattr("aiohttp.client.DEFAULT_TIMEOUT", aiohttp.ClientTimeout(total=1))

    async def go():
        world = World()
        async with served(shop, world, order, workers=1) as (server, [app]):
            async with asyncio.timeout(20):
                while server.requests["poll"] < 2:
                    await asyncio.sleep(0.01)
            assert await asyncio.wait_for((await app.start(order, "ann", id="o")).result(), 20) == "ann"

    run(go())


@pytest.mark.parametrize("kind", ["task.fence", "task.fulfill", "task.acquire", "promise.create"])
def test_request_that_is_never_answered_is_no_end_of_a_workflow(shop, monkeypatch, kind):
    """P9: the client gives up after five minutes: that is plumbing, and not what the step has come to."""
    monkeypatch.setattr("aiohttp.client.DEFAULT_TIMEOUT", aiohttp.ClientTimeout(total=1))
    monkeypatch.setattr(shared, "LEASE", timedelta(seconds=2))

    async def go():
        world = World()
        async with served(shop, world, order, workers=1) as (server, [app]):
            server.stalling.add(kind)
            assert await asyncio.wait_for((await app.start(order, "ann", id="o")).result(), 30) == "ann"
            while server.stalling:  # the engine hears of the end behind the record
                await asyncio.sleep(0.01)
            assert world.calls == {"shop/ann:charge": 1}

    run(go())


def test_retry_reaches_whichever_worker(shop):
    """P7, P9: what a defect has stopped on one worker goes on when it is fixed, and ends, whichever is given it."""

    async def go():
        world = World()
        async with served(shop, world, checking) as (_, apps):
            for number in range(4):
                world.bug = True
                handle = await apps[0].start(checking, id=f"c{number}")
                with pytest.raises(WorkflowStopped, match="a bug"):
                    await handle.result(if_stopped="raise")
                world.bug = False
                assert await (await apps[number % 2].retry(f"c{number}")).result() == "fine"

    run(go())


@pytest.mark.parametrize("token", ["secret", None])
def test_a_token_is_in_requests_and_with_who_listens(shop, monkeypatch, token):
    """P9: a server that asks for a token gets it in each request and from who listens; without, nothing runs."""
    if token is not None:
        monkeypatch.setenv("RESONATE_TOKEN", token)

    async def go():
        server = Server()
        server.token = "secret"
        async with (
            server.running() as url,
            shop.app(order, engine=url, provide={World: World()}) as app,
            app.worker() as worker,
        ):
            if token is None:
                while not any("Unauthorized" in event.cause for event in shop.seen(WorkInterrupted)):
                    await asyncio.sleep(0.01)
                assert not worker.working.is_set()
            else:
                await worker.working.wait()
                assert await (await app.start(order, "ann", id="ann")).result() == "ann"

    run(go())
