"""An operator ends workflows on engines that workers share (P3, P7): the record first, then the engine."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from recordfirst import WorkflowCancelled
from recordfirst.conformance.record import run
from recordfirst.core import identity
from tests.engine.live import until
from tests.engine.program import WORKFLOWS, World, journey, long

pytestmark = [pytest.mark.timeout(300), pytest.mark.usefixtures("quiet_sdk")]


@contextlib.asynccontextmanager
async def counter(live):
    """An app that starts and cancels, and does no work."""
    async with live.app(*WORKFLOWS, provide={World: None}) as app:
        yield app


async def ended_there(app, id):
    """Its first epoch is over in the engine, whether or not that has forgotten it by now."""
    async with app.engines.to_ask(app._dispatcher) as engine:
        while await engine.look(identity.engine_id(app.name, id, 1)) == "running":
            await asyncio.sleep(0.05)


async def cancelled(app, id):
    with pytest.raises(WorkflowCancelled):
        await (await app.handle(id)).result()


async def receipts(app, id):
    async with app.runtime.record.session() as session:
        return {receipt.key: (receipt.state, receipt.parked_on) for receipt in await session.receipts_of(id)}


def test_cancelled_in_the_middle_of_a_call(live):
    """The worker's call comes to its end and is stored; no step behind it begins, in whichever worker."""

    async def go():
        async with counter(live) as app:
            await app.start(long, "l", id="l")
            await asyncio.to_thread(until, lambda: live.rows("SELECT 1 FROM signs WHERE name = 'l calls'"))
            await app.cancel("l", who="ann")
            await cancelled(app, "l")
            live.rows("INSERT INTO signs VALUES ('l goes on')")
            await ended_there(app, "l")

            async def stored():
                return (await receipts(app, "l"))["l/long"][0] == "succeeded"

            while not await stored():
                await asyncio.sleep(0.05)
            assert set(await receipts(app, "l")) == {"l/long"}

    with live.worker() as one, live.worker() as other:
        one.hear("working")
        other.hear("working")
        run(go())
        assert (len(live.rows("SELECT 1 FROM calls")), live.rows("SELECT 1 FROM done")) == (1, [])


def test_cancelled_while_it_waits_for_a_person(live):
    """It is no longer parked, its epoch in the engine ends, and what it has left in doubt is told."""

    async def go():
        async with counter(live) as app:
            await app.start(journey, "j", waits=True, id="j")

            async def parked():
                return (await receipts(app, "j")).get("j/letter", ("", None))[1] is not None

            while not await parked():
                await asyncio.sleep(0.05)
            done = await app.cancel("j", who="ann", why="nobody knows")
            assert sorted(done.left) == ["j/charge", "j/letter"]
            await cancelled(app, "j")
            await ended_there(app, "j")
            assert (await receipts(app, "j"))["j/letter"] == ("unknown", None)
            assert not (await app.cancel("j")).changed

    with live.worker() as one, live.worker() as other:
        one.hear("working")
        other.hear("working")
        run(go())
        assert sorted(live.rows("SELECT what FROM done")) == [("j/child",), ("j/first",)]


def test_cancelled_while_all_workers_are_dead(live):
    """The next worker ends its epoch in the engine, and begins no step of it."""

    async def go(process):
        async with counter(live) as app:
            await app.start(long, "l", id="l")
            await asyncio.to_thread(until, lambda: live.rows("SELECT 1 FROM signs WHERE name = 'l calls'"))
            process.kill()
            live.rows("INSERT INTO signs VALUES ('l goes on')")
            await app.cancel("l")
            await cancelled(app, "l")
            with live.worker() as other:
                other.hear("working")
                await ended_there(app, "l")

    with live.worker() as one:
        one.hear("working")
        run(go(one))
        assert (len(live.rows("SELECT 1 FROM calls")), live.rows("SELECT 1 FROM done")) == (1, [])
