"""An operator ends an open workflow: the record first, then the engine. No step of it begins (P3, P5, P7)."""

from __future__ import annotations

import asyncio
import contextlib
import random
from datetime import timedelta
from functools import partial

import pytest

from recordfirst import (
    Absent,
    Call,
    Context,
    Declined,
    Found,
    Misuse,
    NotDone,
    Provider,
    Unknown,
    UnknownWorkflow,
    WorkflowCancelled,
    WorkflowFailed,
    effect,
    inject,
    workflow,
    write,
)
from recordfirst.conformance.record import run
from recordfirst.core import identity
from recordfirst.execution.parking import Waiting
from recordfirst.observe import NotBegun
from recordfirst.providers.contract import Probed
from recordfirst.worker.dispatcher import Dispatcher

KEYED = Provider(name="bank", retention_s=86_400, arrives_within_s=0.5)


class World:
    """What was called, where a body waits, and what a call answers."""

    def __init__(self, **answers: object) -> None:
        self.calls: list[str] = []
        self.answers = answers
        self.here, self.go = asyncio.Event(), asyncio.Event()

    def call(self, name: str) -> str:
        self.calls.append(name)
        answer = self.answers.get(name, name)
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    async def wait(self) -> None:
        self.here.set()
        await self.go.wait()


@write
async def visit(w, who: str) -> None:
    await w.tx.execute(f"INSERT INTO visits (who) VALUES ('{who}')")


@write
async def visit_and_announce(w, who: str) -> None:
    await w.tx.execute(f"INSERT INTO visits (who) VALUES ('{who}')")
    w.intend(ship, who)


@effect(key="{who}:refund", provider=KEYED, after=None)
async def refund(call: Call, who: str, *, world: World = inject()) -> str:
    return world.call("refund")


async def find(call: Call, who: str, *, world: World = inject()) -> Probed:
    return Found("charge") if world.answers.get("found") else Absent()


@effect(key="{who}:charge", provider=KEYED, after=None, undo=refund, probe=find, timeout_s=0.2)
async def charge(call: Call, who: str, *, world: World = inject()) -> str:
    return world.call("charge")


@effect(key="{who}:ship", provider=KEYED, after=None)
async def ship(call: Call, who: str, *, world: World = inject()) -> str:
    return world.call("ship")


@effect(key="{who}:mail", provider=Provider(name="post"), after=None, undo=refund)
async def mail(call: Call, who: str, *, world: World = inject()) -> str:
    return world.call("mail")


async def pause(ctx: Context, who: str) -> None:
    await WORLDS[who].wait()


WORLDS: dict[str, World] = {}


@workflow
async def charged_then_shipped(ctx: Context, who: str) -> str:
    await charge(ctx, who)
    await ctx.run(pause, who)
    return await ship(ctx, who)


@workflow
async def charged_then_announced(ctx: Context, who: str) -> None:
    await charge(ctx, who)
    await ctx.run(pause, who)
    await visit_and_announce(ctx, who)
    await ship(ctx, who)


@workflow
async def charged_then_written(ctx: Context, who: str) -> None:
    await charge(ctx, who)
    await ctx.run(pause, who)
    await visit(ctx, who)


@workflow
async def part(ctx: Context, who: str) -> str:
    await ctx.run(pause, who)
    return await ship(ctx, who)


@workflow
async def divided(ctx: Context, who: str) -> str:
    return await ctx.rpc(part, who)


@workflow
async def suspended(ctx: Context, who: str) -> None:
    await visit(ctx, who)
    await ctx.sleep(timedelta(days=30))
    await ship(ctx, who)


@workflow
async def mailed(ctx: Context, who: str) -> None:
    await mail(ctx, who)


@workflow
async def done(ctx: Context, who: str) -> None:
    await visit(ctx, who)


async def audits(app, subject):
    async with app.runtime.record.session() as session:
        return [(a.who, a.command, a.why, a.detail) for a in await session.audits(subject, 10)]


async def until(true):
    while not await true():
        await asyncio.sleep(0.01)


async def state_of(app, key):
    async with app.runtime.record.session() as session:
        [receipt] = await session.receipts_by_key(key) or [None]
    return receipt and receipt.state


async def left_epochs(app):
    async with app.runtime.record.session() as session:
        return await session.left_epochs(app._dispatcher.engine.identity, 10)


@contextlib.asynccontextmanager
async def paused(shop, body, *more, **options):
    """A workflow whose body waits in the middle."""
    world = WORLDS["o"] = World(**options)
    async with shop.working(body, *more, provide={World: world}, random=lambda: 0.0) as app:
        handle = await app.start(body, "o", id="o")
        await world.here.wait()
        yield app, world, handle


@pytest.mark.parametrize(
    "body", [charged_then_shipped, charged_then_announced, charged_then_written], ids=lambda body: body.name
)
def test_no_step_of_a_running_body_begins_any_more(shop, body):
    """P3, P7: not a call, not a write, not one that announces; it is said, and the record says cancelled."""

    async def go():
        async with paused(shop, body) as (app, world, handle):
            ended = await app.cancel("o", undo=False, who="ann", why="called off")
            assert (ended.state, ended.left, ended.changed) == ("cancelled", ["o:charge"], True)
            world.go.set()
            with pytest.raises(WorkflowCancelled, match="'o' was cancelled by ann: called off"):
                await handle.result()
            await until(lambda: asyncio.sleep(0, shop.seen(NotBegun)))
            await until(lambda: asyncio.sleep(0, not app._dispatcher._running))
            assert world.calls == ["charge"]
            assert await shop.rows(app, "SELECT who FROM visits") == []
            start = await handle.status()
            assert (start.state, start.epoch, start.min_epoch) == ("cancelled", 2, 2)

    run(go())


def test_no_step_of_a_part_begins_any_more(shop):
    """P3, P7: what runs by ctx.rpc is a part of the workflow, and over with it."""

    async def go():
        async with paused(shop, divided, part) as (app, world, handle):
            await app.cancel("o")
            world.go.set()
            with pytest.raises(WorkflowCancelled):
                await handle.result()
            await until(lambda: asyncio.sleep(0, shop.seen(NotBegun)))
            await until(lambda: asyncio.sleep(0, not app._dispatcher._running))
            assert world.calls == []

    run(go())


def test_again_changes_nothing(shop):
    """P8: one audit row, whoever says it how often; what has ended otherwise is not cancelled."""

    async def go():
        async with shop.working(suspended, done, provide={World: World()}) as app:
            handle = await app.start(suspended, "o", id="o")
            await until(lambda: state_of(app, "o/visit"))
            tried = await app.cancel("o", dry_run=True)
            assert (tried.state, (await handle.status()).state) == ("cancelled", "open")
            first = await app.cancel("o", who="ann", why="because")
            again = await app.cancel("o", undo=True, who="ben")
            assert (first.changed, again.changed, again.state) == (True, False, "cancelled")
            assert await audits(app, "o") == [("ann", "cancel", "because", "closed")]
            with pytest.raises(Misuse, match="'o' is cancelled; only one that has failed or is stopped can be retried"):
                await app.retry("o")
            await (await app.start(done, "p", id="p")).result()
            with pytest.raises(Misuse, match="'p' is succeeded; only an open one can be cancelled"):
                await app.cancel("p")
            with pytest.raises(UnknownWorkflow, match="no workflow 'q'"):
                await app.cancel("q")

    run(go())


def test_engine_is_told_of_one_that_sleeps(shop):
    """P7: nothing is left in the engine to wake in a month, though the one who cancels has no engine."""

    async def go():
        async with (
            shop.working(suspended, provide={World: World()}) as app,
            shop.app(suspended, provide={World: World()}) as client,
        ):
            await app.start(suspended, "o", id="o")
            await until(lambda: state_of(app, "o/visit"))
            engine, engine_id = app._dispatcher.engine, "shop~o"
            assert await engine.look(engine_id) == "running"
            await client.cancel("o")
            await until(lambda: _empty(app))
            assert await engine.look(engine_id) in ("settled", None)

    run(go())


async def _empty(app):
    return await left_epochs(app) == []


def test_what_can_be_undone_must_be_decided(shop):
    """P5: money that has moved is neither moved back nor left by default: whoever cancels must say."""

    async def go():
        async with paused(shop, charged_then_shipped) as (app, world, handle):
            with pytest.raises(Misuse, match=r"has done what can be undone: o:charge; say --undo to .*, or --no-undo"):
                await app.cancel("o")
            assert (await handle.status()).min_epoch is None
            ended = await app.cancel("o", undo=True, who="ann")
            assert (ended.state, ended.undone) == ("open", ["o:charge"])
            world.go.set()
            with pytest.raises(WorkflowCancelled, match="cancelled by ann"):
                await handle.result()
            assert world.calls == ["charge", "refund"]
            again = await app.cancel("o", undo=True)
            assert (again.changed, again.state) == (False, "cancelled")
            assert await audits(app, "o") == [("ann", "cancel", None, "undoing o:charge")]

    run(go())


def test_died_between_record_and_engine(shop, monkeypatch):
    """P3, P7: the engine never hears of it from this worker; the next one undoes, once, and runs no step."""

    async def go():
        async def dead(self) -> None:
            """The process is gone as soon as the record has it."""

        with monkeypatch.context() as patch:
            patch.setattr(Dispatcher, "_settle_left", dead)
            patch.setattr(Dispatcher, "_round", dead)
            world = WORLDS["o"] = World()
            async with shop.app(charged_then_shipped, provide={World: world}) as app:
                patch.undo()
                worker = app.worker()
                await worker.__aenter__()
                await app.start(charged_then_shipped, "o", id="o")
                await world.here.wait()
                patch.setattr(Dispatcher, "_settle_left", dead)
                patch.setattr(Dispatcher, "_round", dead)
                await app.cancel("o", undo=True)
                world.go.set()
                await worker.__aexit__(None, None, None)
        async with shop.working(charged_then_shipped, provide={World: world}) as app:
            with pytest.raises(WorkflowCancelled):
                await (await app.handle("o")).result()
        assert world.calls == ["charge", "refund"]

    run(go())


@pytest.mark.parametrize(("found", "refunds"), [(True, ["refund"]), (False, [])], ids=["found", "absent"])
def test_call_in_doubt_is_asked_for_and_not_called_again(shop, found, refunds):
    """P3, P5: cancelled while a call has no answer: the probe tells, and what did not happen is not made to."""

    async def go():
        world = World(charge=Unknown("no answer", replayed=False))
        async with shop.working(charged_then_shipped, provide={World: world}, random=lambda: 1.0) as app:
            handle = await app.start(charged_then_shipped, "o", id="o")
            await until(lambda: asyncio.sleep(0, world.calls))
            world.answers["found"] = found
            await app.cancel("o", undo=True)
            charges = world.calls.count("charge")
            with pytest.raises(WorkflowCancelled):
                await handle.result()
            assert [call for call in world.calls if call != "charge"] == refunds
            assert world.calls.count("charge") == charges

    run(go())


def test_certainly_not_done_is_not_done_at_all(shop):
    """P3: the provider had asked to come back later: after a cancellation nobody does."""

    async def go():
        world = World(charge=NotDone("429", retry_after_ms=60_000))
        async with shop.working(charged_then_shipped, provide={World: world}) as app:
            handle = await app.start(charged_then_shipped, "o", id="o")
            await until(lambda: asyncio.sleep(0, world.calls))
            await until(lambda: state_of(app, "o:charge"))

            async def taken_back():
                async with app.runtime.record.session() as session:
                    return (await session.find_receipt("o:charge")).receipt.doubts == 0

            await until(taken_back)
            assert (await app.cancel("o")).state == "cancelled"
            with pytest.raises(WorkflowCancelled):
                await handle.result()
            assert world.calls == ["charge"]

    run(go())


def test_parked_and_left(shop):
    """P5: a parked workflow is ended; its effect stays unknown, and an operator may still say what became of it."""

    async def go():
        world = World(mail=TimeoutError())
        async with shop.working(mailed, provide={World: world}) as app:
            handle = await app.start(mailed, "o", id="o")
            await until(lambda: _is(app, "o:mail", "unknown"))
            ended = await app.cancel("o", undo=False)
            assert (ended.state, ended.left) == ("cancelled", ["o:mail"])
            with pytest.raises(WorkflowCancelled):
                await handle.result()
            await _park_late(app)
            await app.resolve("o:mail", outcome="succeeded", result="mailed")
            await until(lambda: _no_wakes(app))
            assert world.calls == ["mail"]

    run(go())


def test_cancelled_right_before_it_parks(shop, monkeypatch):
    """P7: it is parked after the cancellation looked for what is; a wake of it that nobody takes does not stay."""
    park = Waiting.park

    async def go():
        about_to, may = asyncio.Event(), asyncio.Event()

        async def late(waiting, receipt, now_ms, **options):
            about_to.set()
            await may.wait()
            await park(waiting, receipt, now_ms, **options)

        monkeypatch.setattr(Waiting, "park", late)
        async with shop.working(mailed, provide={World: World(mail=TimeoutError())}) as app:
            handle = await app.start(mailed, "o", id="o")
            await about_to.wait()
            assert (await app.cancel("o", undo=False)).state == "cancelled"
            may.set()
            with pytest.raises(WorkflowCancelled):
                await handle.result()
            await until(lambda: _parked_anew(app, "o:mail"))
            await app.resolve("o:mail", outcome="succeeded", result="mailed")
            await until(lambda: _no_wakes(app))

    run(go())


async def _is(app, key, state):
    return await state_of(app, key) == state


async def _park_late(app):
    """The body was about to, and did not see that its workflow was ended."""
    table = "recordfirst.receipt" if app.runtime.record.where.startswith("postgresql") else "recordfirst_receipt"
    async with app.runtime.record.transaction() as tx:
        late = f"{identity.engine_id(app.name, 'o', 1)}:late"
        await tx.connection.execute(f"UPDATE {table} SET parked_on = '{late}' WHERE key = 'o:mail'")


async def _no_wakes(app):
    async with app.runtime.record.session() as session:
        return await session.wakes(10) == []


def test_parked_and_undone_once_it_is_known(shop):
    """P5: what is unknown is not undone on a guess: it stays open, until an operator says; given up, it is closed."""

    async def go():
        world = World(mail=TimeoutError())
        async with shop.working(mailed, provide={World: world}) as app:
            for id, outcome in (("o", "succeeded"), ("p", "declined")):
                handle = await app.start(mailed, id, id=id)
                await until(partial(_is, app, f"{id}:mail", "unknown"))
                assert (await app.cancel(id, undo=True)).state == "open"
                await until(partial(_parked_anew, app, f"{id}:mail"))
                await app.resolve(f"{id}:mail", outcome=outcome, result="mailed" if outcome == "succeeded" else None)
                with pytest.raises(WorkflowCancelled):
                    await handle.result()
            assert world.calls == ["mail", "refund", "mail"]

            handle = await app.start(mailed, "q", id="q")
            await until(lambda: _is(app, "q:mail", "unknown"))
            assert (await app.cancel("q", undo=True)).state == "open"
            given_up = await app.cancel("q", undo=False)
            assert (given_up.state, given_up.changed) == ("cancelled", True)
            with pytest.raises(WorkflowCancelled):
                await handle.result()
            assert len(await audits(app, "q")) == 2

    run(go())


async def _parked_anew(app, key):
    async with app.runtime.record.session() as session:
        [receipt] = await session.receipts_by_key(key)
    return receipt.parked_on is not None


def test_undo_that_is_refused_can_be_retried(shop):
    """P7: what could not be undone is named, as a failure; a retry undoes the rest and runs nothing else."""

    async def go():
        async with paused(shop, charged_then_shipped, refund=Declined("closed today")) as (app, world, handle):
            await app.cancel("o", undo=True, who="ann")
            world.go.set()
            with pytest.raises(WorkflowFailed, match="cancelled by ann; NOT UNDONE: 'o:charge'"):
                await handle.result()
            with pytest.raises(WorkflowFailed, match="cancelled by ann; NOT UNDONE: 'o:charge'"):
                await (await app.retry("o")).result()
            assert set(world.calls) == {"charge", "refund"}

    run(go())


def test_nothing_commits_once_it_is_said(shop):
    """P2, P3: at any moment of many workflows: what is in the record when cancel returns is all there will ever be."""

    async def go():
        world = World()
        async with shop.working(many, provide={World: world}, concurrency=8) as app:
            chance, seen = random.Random(7), {}
            for n in range(24):
                await app.start(many, f"{n}", id=f"{n}")
                await asyncio.sleep(chance.random() * 0.03)
                await app.cancel(f"{n}", undo=False)
                seen[f"{n}"] = await receipts(app, f"{n}")
            await asyncio.sleep(1.0)
            assert {id: await receipts(app, id) for id in seen} == seen
            assert len({len(found) for found in seen.values()}) > 1  # at more than one moment

    run(go())


async def receipts(app, id):
    async with app.runtime.record.session() as session:
        return [(r.key, r.calls) for r in await session.receipts_of(id)]


@workflow
async def many(ctx: Context, who: str) -> None:
    for n in range(30):
        await visit.with_key(f"{{who}} {n}")(ctx, who)
        await ship_one(ctx, who, n)


@effect(key="{who}:ship:{n}", provider=KEYED, after=None)
async def ship_one(call: Call, who: str, n: int, *, world: World = inject()) -> str:
    return world.call("ship")
