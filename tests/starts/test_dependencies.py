"""Trap 20 as an app has it: what steps need is complete, and is one thing, before anything runs."""

from __future__ import annotations

from typing import NewType

import pytest

from recordfirst import App, BadId, Context, DuplicateDependency, MissingDependency, Misuse, inject, workflow, write
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
    with pytest.raises(DuplicateDependency, match=r"two values for Pool: .*dependencies.py:\d+ and .*dependencies.py"):
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


def test_a_class_is_no_value_of_it():
    """P8: `provide(Pool)` would be found by nobody; and `inject` without `()` would be handed on as it is."""
    app = App("shop", record=SqliteRecord("nowhere.db"), workflows=[naming])
    with pytest.raises(Misuse, match=r"provide\(Pool\): that is a class; give a value of it"):
        app.provide(Pool)

    async def forgets(w, *, pool: Pool = inject) -> None: ...  # type: ignore[assignment]

    with pytest.raises(Misuse, match=r"takes pool=inject, the function itself; write pool=inject\(\)"):
        write(forgets)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"name": ""}, "an app's name must be text"),
        ({"record": "sqlite:///shop.db"}, r"record= takes PostgresRecord\(dsn\) or SqliteRecord\(path\), not 'sqlite"),
        ({"record": SqliteRecord}, "record= takes"),
        ({"workflows": naming}, r"workflows= takes a list: workflows=\[naming\]"),
        ({"concurrency": 0}, "concurrency= takes a whole number above 0"),
        ({"invariants": [name_both]}, "invariants= takes what @invariant makes"),
    ],
    ids=lambda each: str(each)[:40],
)
def test_an_app_says_at_once_what_it_cannot_be_made_of(given, told):
    """P8: and not by an AttributeError once it opens."""
    whole = {"name": "shop", "record": SqliteRecord("nowhere.db"), "workflows": [naming]} | given
    with pytest.raises((Misuse, BadId), match=told):
        App(whole.pop("name"), **whole)
