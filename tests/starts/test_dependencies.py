"""Trap 20 as an app has it: what steps need is complete, and is one thing, before anything runs."""

from __future__ import annotations

from typing import NewType

import pytest

from recordfirst import App, Context, DuplicateDependency, MissingDependency, inject, workflow, write
from recordfirst.conformance.record import run
from recordfirst.records.sqlite import SqliteRecord


class Pool:
    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"<pool {self.name}>"


Archive = NewType("Archive", Pool)


@write
async def name_both(w, *, pool: Pool = inject(), archive: Archive = inject()) -> list[str]:
    return [pool.name, archive.name]


@workflow
async def naming(ctx: Context) -> list[str]:
    return await name_both(ctx)


def test_two_pools_of_one_class_need_two_keys(shop):
    """P8: a NewType tells them apart; without one the second is refused, and both are named."""
    app = App("shop", record=SqliteRecord("nowhere.db"), workflows=[naming])
    app.provide(Pool("main"))
    with pytest.raises(DuplicateDependency, match=r"two values for Pool: .*<pool main> and .*<pool other>"):
        app.provide(Pool("other"))

    async def go():
        async with shop.working(naming, provide={Pool: Pool("main"), Archive: Pool("old")}) as app:
            assert await (await app.start(naming, id="n")).result() == ["main", "old"]

    run(go())


def test_missing_is_said_when_the_app_opens(sqlite_path):
    """P8: with the function that needs it, before the record is even touched."""
    app = App("shop", record=SqliteRecord(sqlite_path), workflows=[naming])

    async def go():
        for opening in (app, app.worker()):
            with pytest.raises(MissingDependency, match=r"name_both .* needs pool: Pool\n.* needs archive: Archive"):
                await opening.__aenter__()
        assert not sqlite_path.exists()

    run(go())
