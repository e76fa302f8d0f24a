"""An SQLite record is put back while its engine knows nothing: what is kept beside the file tells (P6)."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from recordfirst import Context, Embedded, workflow
from recordfirst.conformance.record import run
from tests.starts.harness import Shop


@workflow
async def idle(ctx: Context) -> None:
    return None


class World:
    """One record, which can be copied and put back, and an engine that can be lost."""

    def __init__(self, path: Path, engine: str) -> None:
        self.shop, self._path = Shop(f"sqlite:///{path}"), path
        self._engine = engine if engine == ":memory:" else str(path.with_name(engine))

    def app(self) -> Any:
        return self.shop.app(idle, engine=Embedded(self._engine))

    def kept(self) -> list[str]:
        return [file.name for file in self._path.parent.glob("record.db.*mark*")]

    def copy(self) -> None:
        shutil.copy(self._path, f"{self._path}.copy")

    def put_back(self) -> None:
        for suffix in ("-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
        shutil.copy(f"{self._path}.copy", self._path)

    def lose_engine(self) -> None:
        for file in self._path.parent.glob("engine*"):
            file.unlink()

    async def work(self, *, held: bool = False) -> None:
        """Until a mark is left, or effects are held."""
        async with self.app() as app, app.worker() as worker:

            async def noticed() -> bool:
                async with app.runtime.record.session() as session:
                    line = await session.find_timeline()
                return line is not None and line.held == "RF-RECORD-BEHIND"

            while not await noticed() if held else not worker.working.is_set():
                await asyncio.sleep(0.01)


@pytest.fixture(params=["engine", ":memory:"])
def world(request, sqlite_path) -> Iterator[World]:
    yield World(sqlite_path, request.param)
    for file in sqlite_path.parent.glob("engine*"):
        file.unlink()


def test_put_back_with_an_engine_that_knows_nothing(world):
    """P6: lost, or one that keeps nothing. Held; accepted, it is the record to go on with, and no other."""

    async def go():
        await world.work()
        world.copy()
        await world.work()
        world.lose_engine()
        world.put_back()
        await world.work(held=True)
        async with world.app() as app:
            await app.reconcile(apply=True, accept_restore=True)
            assert world.kept() == []
        await world.work()
        assert world.kept() == ["record.db.shop.mark"]
        await world.work()
        world.lose_engine()
        world.put_back()
        await world.work(held=True)

    run(go())


def test_an_engine_that_is_lost_is_lost_alone(world):
    """P6: nobody is asked while the record has all that is kept beside it; nor if that is gone, or cannot be read."""

    async def go():
        await world.work()
        world.lose_engine()
        await world.work()
        [name] = world.kept()
        kept = Path(world.shop.url.removeprefix("sqlite:///")).with_name(name)
        for broken in ("", "[", "{}"):
            kept.write_text(broken)
            await world.work()
        kept.unlink()
        await world.work()
        assert world.kept() == [name]

    run(go())


def test_where_it_cannot_be_kept_work_goes_on(world):
    """P6: less is noticed then, and no worker stalls for it; nor is anything left of the attempt."""

    async def go():
        await world.work()
        [name] = world.kept()
        kept = Path(world.shop.url.removeprefix("sqlite:///")).with_name(name)
        kept.unlink()
        kept.mkdir()
        await world.work()
        assert world.kept() == [name]
        kept.rmdir()

    run(go())


def test_only_a_look(world):
    """P6: a command says it, too, though it cannot ask the engine; and it changes nothing."""

    async def go():
        await world.work()
        world.copy()
        await world.work()
        world.put_back()
        async with world.app() as app:
            [found] = (await app.reconcile()).found
            assert (found.finding.code, found.finding.subject) == ("RF-RECORD-BEHIND", "shop")
            assert "beside it is kept that it had mark 2 for " in found.finding.detail
            async with app.runtime.record.session() as session:
                assert (await session.find_timeline()).held is None

    run(go())
