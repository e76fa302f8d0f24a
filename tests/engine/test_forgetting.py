"""The embedded engine forgets what has ended, and only that."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from datetime import timedelta
from pathlib import Path

from recordfirst import App, Context, Embedded, workflow
from recordfirst.conformance.record import run
from recordfirst.records.open import record_from_url
from tests.starts.harness import migrated

MANY = 2_000


@workflow
async def order(ctx: Context, who: str) -> None:
    await ctx.sleep(timedelta(0))
    await asyncio.sleep(0)


def rows(engine: Path) -> list[tuple[str, str]]:
    """What the engine's file holds, but for its marks."""
    with contextlib.closing(sqlite3.connect(engine)) as file:
        return file.execute(
            "SELECT id, state FROM promises WHERE id NOT GLOB 'recordfirst~mark~*' ORDER BY id"
        ).fetchall()


def test_finished_lineages_are_forgotten(make_shop, sqlite_path, tmp_path):
    """P6: after two thousand workflows, with a child promise each, engine, file and dispatcher hold nothing of them."""
    shop, file = make_shop(f"sqlite:///{sqlite_path}"), tmp_path / "engine"

    async def go():
        async with shop.working(order, engine=Embedded(file)) as app:
            for first in range(0, MANY, 500):
                async with app.record.write() as w:
                    for number in range(first, first + 500):
                        w.start(order, "ann", id=f"o{number}")
                await (await app.handle(f"o{first + 499}")).result()
            while (await counts(app))["start.succeeded"] < MANY:
                await asyncio.sleep(0.02)
            dispatcher = app._dispatcher
            assert dispatcher is not None
            held = [
                dispatcher._handed,
                dispatcher._running,
                dispatcher._unmarked,
                dispatcher._new,
                dispatcher.ends._waiting,
                dispatcher._unfit,
            ]
            assert max(map(len, held)) < 5
        assert rows(file) == []

    run(go())


@workflow
async def resting(ctx: Context, who: str) -> str:
    ran.append(who)
    await ctx.sleep(timedelta(days=7))
    return who


def test_sleepers_are_forgotten_by_who_started_them(make_shop, sqlite_path, tmp_path):
    """P7: hundreds that sleep for a week leave nothing in the worker; one whose handle is kept is heard of."""
    shop = make_shop(f"sqlite:///{sqlite_path}")

    async def go():
        ran.clear()
        async with shop.working(resting, order, engine=Embedded(tmp_path / "engine")) as app:
            for number in range(200):
                await app.start(resting, "ann", id=f"s{number}")
            kept = await app.start(order, "ann", id="o")
            dispatcher = app._dispatcher
            assert dispatcher is not None
            await kept.result()
            held = [dispatcher._handed, dispatcher._running, dispatcher._unmarked, dispatcher._new, dispatcher._unfit]
            while len(ran) < 200 or max(map(len, held)) >= 5:
                await asyncio.sleep(0.02)
            assert len(dispatcher.ends._waiting) == 0

    run(go())


ran: list[str] = []


@workflow
async def napping(ctx: Context, who: str) -> str:
    ran.append(who)
    await ctx.sleep(timedelta(seconds=1))
    return who


def test_lives_that_another_engine_went_on_with_are_dropped(make_shop, sqlite_path, tmp_path):
    """P6: a host comes back whose file has an epoch that another host has ended meanwhile: nothing of it runs again."""
    shop, mine, other = make_shop(f"sqlite:///{sqlite_path}"), tmp_path / "mine", tmp_path / "other"

    async def go():
        ran.clear()
        async with shop.working(napping, engine=Embedded(mine)) as app:
            await app.start(napping, "ann", id="n")
            while not ran:
                await asyncio.sleep(0.01)
        assert [id for id, _ in rows(mine) if ":" not in id] == ["shop~n"]
        async with shop.working(napping, engine=Embedded(other)) as app:
            assert await (await app.handle("n")).result() == "ann"
        before = len(ran)
        async with shop.working(napping, engine=Embedded(mine)) as app:
            assert rows(mine) == []
            await asyncio.sleep(1.2)  # the old epoch's sleep is over by now, and would have gone on
        assert len(ran) == before

    run(go())


@workflow
async def suspended(ctx: Context, who: str) -> None:
    ran.append(who)
    await ctx.sleep(timedelta(days=30))


def test_lives_are_kept_page_by_page(make_shop, sqlite_path, tmp_path, monkeypatch):
    """P6, P7: of more open workflows than are read at once none is taken for one that has ended, and dropped."""
    monkeypatch.setattr("recordfirst.worker.dispatcher._PAGE", 2)
    shop, mine = make_shop(f"sqlite:///{sqlite_path}"), tmp_path / "mine"

    def epochs():
        return {id for id, state in rows(mine) if ":" not in id and state == "pending"}

    async def go():
        ran.clear()
        async with shop.working(suspended, engine=Embedded(mine)) as app:
            for who in "abcde":
                await app.start(suspended, who, id=who)
            while len(ran) < 5:
                await asyncio.sleep(0.01)
        wanted = {f"shop~{who}" for who in "abcde"}
        assert epochs() == wanted
        async with shop.working(suspended, engine=Embedded(mine)) as app:
            assert epochs() == wanted
            assert [(await (await app.handle(who)).status()).epoch for who in "abcde"] == [1] * 5

    run(go())


async def counts(app):
    async with app.runtime.record.session() as session:
        return await session.counts()


@workflow(name="shared")
async def of_one(ctx: Context, who: str) -> str:
    ran.append(f"one {who}")
    await ctx.sleep(timedelta(seconds=1))
    return "one"


@workflow(name="shared")
async def of_another(ctx: Context, who: str) -> str:
    ran.append(f"another {who}")
    return "another"


def test_two_apps_with_one_file_run_their_own(sqlite_path, tmp_path):
    """P3, P8: apps that have one file in turn, with workflows of one name, run nothing that the other left there."""
    url, engine = f"sqlite:///{sqlite_path}", Embedded(tmp_path / "engine")

    async def go():
        ran.clear()
        await migrated(url)
        one = App("one", record=record_from_url(url), workflows=[of_one], engine=engine)
        another = App("another", record=record_from_url(url), workflows=[of_another], engine=engine)
        async with one.worker():
            await one.start(of_one, "ann", id="w")
            while not ran:
                await asyncio.sleep(0.01)
        await asyncio.sleep(1)  # its sleep is over, and it is to be delivered to whoever comes
        async with another.worker() as worker:
            await worker.working.wait()
            assert await (await another.start(of_another, "ben", id="w")).result() == "another"
        assert ran == ["one ann", "another ben"]
        async with one.worker():
            assert await (await one.handle("w")).result() == "one"
        assert ran == ["one ann", "another ben", "one ann"]

    run(go())
