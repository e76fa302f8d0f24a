"""Marks of several workers: what one of them leaves while another compares is no restore."""

from __future__ import annotations

from typing import Any

import pytest

from recordfirst import Context, Embedded, workflow
from recordfirst.conformance.record import run
from recordfirst.core import timeline
from recordfirst.core.timeline import NEWEST, Mark
from recordfirst.engine.connect import connect
from recordfirst.errors import EffectsHeld
from recordfirst.reconcile import restores as timelines
from recordfirst.reconcile.restores import check, glance, leave_mark, look
from recordfirst.records.session import SqlSession
from recordfirst.worker.dispatcher import Dispatcher
from recordfirst.worker.engine_cleaner import collect


class Notes:
    """As much of an engine as marks need; something else happens in the middle of the first question."""

    identity, lasting = "an engine", True

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}
        self.meanwhile = None

    async def note(self, id: str, text: str) -> str:
        return self.kept.setdefault(id, text)

    async def noted(self, id: str) -> str | None:
        happens, self.meanwhile = self.meanwhile, None
        if happens is not None:
            await happens()
        return self.kept.get(id)


@workflow
async def nothing(ctx: Context) -> None:
    return None


@pytest.mark.parametrize("marks", [0, 1, 2])
def test_a_mark_that_comes_meanwhile_is_no_restore(shop, marks):
    """P6, P7: two workers begin together. One leaves a mark between the other's two looks: nothing is held for that."""

    async def go():
        engine: Any = Notes()
        async with shop.app(nothing) as app:
            for _ in range(marks):
                await leave_mark(app.runtime, engine)

            async def another_worker():
                await leave_mark(app.runtime, engine)

            engine.meanwhile = another_worker
            assert await look(app.runtime, engine) is None
            assert engine.meanwhile is None
            assert len(engine.kept) == marks + 1

    run(go())


def test_a_mark_that_the_record_lost_is_one(shop):
    """P6: what the engine has and the record has not, also when looked at twice, is of a time that was lost."""

    async def go():
        engine: Any = Notes()
        async with shop.app(nothing) as app:
            await leave_mark(app.runtime, engine)
            async with app.runtime.record.session() as session:
                mark = await session.find_mark(engine.identity)
            [first] = engine.kept
            engine.kept[f"{first.removesuffix(str(mark.number))}{mark.number + 1}"] = "of a later record"
            finding = await look(app.runtime, engine)
            assert finding.code == "RF-RECORD-BEHIND"

    run(go())


@pytest.mark.parametrize(("was", "now"), [("a", None), (None, "a")], ids=["taken away", "given"])
def test_a_right_to_ask_is_no_restore(shop, monkeypatch, was, now):
    """P6, P7: the role may no longer ask which cluster it is, or may again: nothing is held for that."""

    async def go():
        engine: Any = Notes()
        async with shop.app(nothing) as app:
            monkeypatch.setattr(SqlSession, "history_id", answers(was))
            app.runtime.restores = (await check(app.runtime, engine)).restores
            monkeypatch.setattr(SqlSession, "history_id", answers(now))
            await glance(app.runtime)
            async with app.runtime.record.session() as session:
                assert (await session.find_timeline()).held is None
            if was is not None:
                monkeypatch.setattr(SqlSession, "history_id", answers("b"))
                with pytest.raises(EffectsHeld, match="RF-RECORD-MOVED: it was a, and is b"):
                    await glance(app.runtime)

    run(go())


def answers(history_id):
    async def asked(_session):
        return history_id

    return asked


MANY = 3 * NEWEST + 5


@pytest.mark.parametrize("how", ["left", "died", "upgraded"])
def test_marks_leave_the_engine(shop, tmp_path, monkeypatch, how):
    """Limits, P6: those that tell nothing leave, also if a worker died before it said so. A restore is still told."""
    if how != "left":
        monkeypatch.setattr(timeline, "leave_at", lambda newest: [newest - NEWEST] if newest > NEWEST else [])

    async def go():
        async with shop.app(nothing) as app:
            engine: Any = connect(Embedded(tmp_path / "engine"), app.engines.membership(), app._store)
            await engine.open()
            with monkeypatch.context() as deaf:
                if how != "left":  # settled and not collected, as earlier versions have left all of them
                    deaf.setattr(type(engine), "forget", lambda self, mark: None)
                for _ in range(MANY):
                    await leave_mark(app.runtime, engine)
            if how == "died":
                await collect(app.runtime, engine)
            if how == "upgraded":
                await Dispatcher(app.runtime, engine, {}, 1).drop_stale()
            there = await engine._connection.roots("", 10_000)
            assert len(there) == 2 * NEWEST + 1, "the first, the newest, and a multiple between them"
            assert await look(app.runtime, engine) is None
            line = await check(app.runtime, engine)
            async with app.runtime.record.session() as session:
                newest = await session.find_mark(engine.identity)
            for number in range(1, MANY):
                mark = Mark(
                    generation=newest.generation, number=number, token=await token(app, engine, number), confirmed=True
                )
                assert await timelines._judge_by(app.runtime, engine, line, mark) == "record behind", number
            await engine.stop()

    async def token(app, engine, number):
        return await engine.noted(timelines._note(app.runtime, 1, number)) or "gone"

    run(go())
