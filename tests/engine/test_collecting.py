"""What has ended in the engine and was left there is collected while a worker runs; what the record has open is not."""

from __future__ import annotations

import asyncio

import pytest

from recordfirst import Context, Embedded, workflow
from recordfirst.conformance.record import run
from recordfirst.core import identity
from recordfirst.core.start import Finish
from recordfirst.engine.connect import connect
from recordfirst.engine.embedded.engine import EmbeddedEngine
from recordfirst.observe import CollectFailed
from recordfirst.process.seams import Seams
from recordfirst.worker import engine_cleaner as collecting
from recordfirst.worker.engine_cleaner import collect, collect_regularly
from tests.engine.test_forgetting import counts, rows


@workflow
async def order(ctx: Context, who: str) -> None:
    await asyncio.sleep(0)


def test_only_what_the_record_has_closed_is_collected(record_url, make_shop, tmp_path):
    """P6, P7: an ended epoch stays as long as its start is open in that epoch, or unknown; whatever else ended goes."""
    shop, file = make_shop(record_url), tmp_path / "engine"

    def epoch(id, epoch=1):
        return identity.engine_id("shop", id, epoch)

    async def go():
        async with shop.app(order) as app:
            for id in ("open", "closed", "failed and retried", "runs on"):
                await app.start(order, "ann", id=id)
            async with app.runtime.record.session() as session:
                await session.finish(
                    [
                        Finish(id="closed", epoch=1, state="succeeded", result="null"),
                        Finish(id="failed and retried", epoch=1, state="failed", error="{}"),
                    ]
                )
                assert await session.reopen("failed and retried") is not None
            engine = connect(Embedded(file), app.engines.membership(), app._store)
            await engine.open()
            ended = [epoch(id) for id in ("open", "closed", "failed and retried", "unknown")]
            ended += ["other~closed", "no epoch~at~all"]
            for id in (*ended, epoch("runs on"), epoch("failed and retried", 2)):
                await engine.create(id, "order", {"who": "ann"})
            for id in ended:
                assert await engine.settle(id)
            assert await engine.ended("") == sorted(ended)
            await collect(app.runtime, engine)
            kept = set(await engine.ended(""))
            assert kept == {epoch("open"), epoch("unknown"), "other~closed", "no epoch~at~all"}
            assert await engine.look(epoch("runs on")) == await engine.look(epoch("failed and retried", 2)) == "running"
            await engine.stop()

    run(go())


def test_a_worker_collects_by_itself(sqlite_path, make_shop, tmp_path, monkeypatch):
    """P6: what was left behind is gone while the worker still runs, and a new workflow is not disturbed."""
    shop, file = make_shop(f"sqlite:///{sqlite_path}"), tmp_path / "engine"
    monkeypatch.setattr(collecting, "EVERY_S", 0.05)

    async def go():
        with monkeypatch.context() as forgetful:
            forgetful.setattr(EmbeddedEngine, "forget", lambda self, epoch: None)
            async with shop.working(order, engine=Embedded(file)) as app:
                await (await app.start(order, "ann", id="left")).result()
                while (await counts(app))["start.succeeded"] < 1 or rows(file) != [("shop~left", "resolved")]:
                    await asyncio.sleep(0.01)
        with monkeypatch.context() as keeping:
            # The next worker's own look at its start would collect it, too.
            keeping.setattr(EmbeddedEngine, "drop", nothing)
            async with shop.working(order, engine=Embedded(file)) as app:
                await (await app.start(order, "bob", id="next")).result()
                async with asyncio.timeout(10):
                    while rows(file):
                        await asyncio.sleep(0.01)

    run(go())


async def nothing(self, stale):
    """In place of what a worker does when it begins."""


def test_a_round_that_fails_is_repeated(sqlite_path, make_shop):
    """P9: an engine that cannot be asked is said, and is asked again in the next round."""
    shop, asked = make_shop(f"sqlite:///{sqlite_path}"), []

    class Broken(EmbeddedEngine):
        def __init__(self):
            """It is never asked for anything else."""

        async def ended(self, after):
            asked.append(after)
            raise OSError("it is not there")

    class Twice(Seams):
        async def pause(self, seconds):
            await asyncio.sleep(0)
            if len(asked) == 2:
                raise asyncio.CancelledError

    async def go():
        async with shop.app(order, seams=Twice()) as app:
            with pytest.raises(asyncio.CancelledError):
                await collect_regularly(app.runtime, Broken())
        assert [event.cause for event in shop.seen(CollectFailed)] == ["OSError: it is not there"] * 2

    run(go())


def test_a_worker_that_begins_sees_each_life_that_the_engine_has(record_url, make_shop, tmp_path):
    """P6: also one whose id goes on from another's, with what lies below that in between."""
    shop = make_shop(record_url)

    async def go():
        async with shop.app(order) as app:
            engine = connect(Embedded(tmp_path / "engine"), app.engines.membership(), app._store)
            await engine.open()
            epochs = ["shop~o1", "shop~o1-a", "shop~o10", "shop~o100", "shop~o1~2", "shop~o2"]
            for each in epochs:
                await engine.create(each, "order", {"who": "ann"})
                await engine.note(f"{each}:step", "below it")
            seen: list[str] = []

            async def stale(page):
                seen.extend(page)
                return page

            await engine.drop(stale)
            assert sorted(seen) == sorted(epochs)
            assert rows(tmp_path / "engine") == []
            await engine.stop()

    run(go())
