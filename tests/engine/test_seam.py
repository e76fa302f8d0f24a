"""The seam between steps and the engine: ids, the two ways of calling a step, and what ``engine=`` takes."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3

import pytest
from resonate.connections import LocalConnection
from resonate.ids import origin_of
from resonate.resonate import Resonate

from recordfirst import (
    App,
    Call,
    Context,
    Misuse,
    NotDone,
    Provider,
    WorkflowStopped,
    effect,
    inject,
    read,
    workflow,
    write,
)
from recordfirst.conformance.record import run
from recordfirst.records.sqlite import SqliteRecord


class Trouble:
    """Makes a write and an effect need several tries."""

    def __init__(self) -> None:
        self.writes = self.calls = 0


@write
async def visit(w, who: str, *, trouble: Trouble = inject()) -> str:
    await w.tx.execute(f"INSERT INTO visits (who) VALUES ('{who}')")
    trouble.writes += 1
    if trouble.writes < 3:
        busy = sqlite3.OperationalError("database is locked")
        busy.sqlite_errorcode = sqlite3.SQLITE_BUSY
        raise busy
    return who


@effect(key="call:{who}", provider=Provider(name="bank", retention_s=86_400), after=None)
async def call_bank(call: Call, who: str, *, trouble: Trouble = inject()) -> str:
    trouble.calls += 1
    if trouble.calls < 3:
        raise NotDone("busy", retry_after_ms=1)
    return call.key


@read
async def count(r) -> int:
    return int((await (await r.tx.execute("SELECT count(*) FROM visits")).fetchone())[0])


async def plain(ctx, number: int) -> int:
    return number


@workflow
async def mixed(ctx: Context, *, by_run: bool) -> list:
    second = visit.with_key("second:{who}")
    if by_run:
        first = [ctx.run(visit, "ann"), ctx.run(plain, 1), ctx.run(call_bank, who="ann")]
        return [*await asyncio.gather(*first), await ctx.run(second, who="ben"), await ctx.run(count)]
    calls = [visit(ctx, "ann"), ctx.run(plain, 1), call_bank(ctx, who="ann")]
    return [*await asyncio.gather(*calls), await second(ctx, who="ben"), await count(ctx)]


@workflow
async def misfit(ctx: Context) -> None:
    with contextlib.suppress(Exception):
        visit(ctx, "ann", "too", "many")
    await visit(ctx, "ben")


@pytest.mark.parametrize("by_run", [False, True], ids=["step(ctx)", "ctx.run(step)"])
def test_one_engine_id_per_call(make_shop, sqlite_path, by_run):
    """P3: both ways of calling mean the same, with one id each, whatever the step does inside."""
    shop = make_shop(f"sqlite:///{sqlite_path}")
    connection = LocalConnection()
    resonate = Resonate(network=connection, env={}, autostart=False)

    async def go():
        trouble = Trouble()
        async with shop.working(mixed, engine=resonate, provide={Trouble: trouble}) as app:
            result = await (await app.start(mixed, by_run=by_run, id="m")).result()
            assert result == ["ann", 1, "shop/call:ann", "ben", 2]
            assert (trouble.writes, trouble.calls) == (4, 3)
            ids = sorted(id.partition("-")[0] for id in connection.state.promises if origin_of(id) == "shop~m")
            steps = ["effect_call_bank", "plain", "read_count", "write_visit", "write_visit"]
            assert ids == ["shop~m", *(f"shop~m:{step}" for step in steps)]
            async with app.runtime.record.session() as session:
                keys = {receipt.key for receipt in await session.receipts_of("m")}
            assert keys == {"m/visit", "call:ann", "second:ben"}

    run(go())


def test_arguments_that_do_not_fit_are_refused_at_the_call(make_shop, sqlite_path):
    """P8, P9: before the step takes an id, and with its signature named; no body goes on behind that."""
    shop = make_shop(f"sqlite:///{sqlite_path}")
    connection = LocalConnection()
    resonate = Resonate(network=connection, env={}, autostart=False)

    async def go():
        trouble = Trouble()
        async with shop.working(misfit, engine=resonate, provide={Trouble: trouble}) as app:
            handle = await app.start(misfit, id="m")
            with pytest.raises(WorkflowStopped) as stopped:
                await handle.result(if_stopped="raise")
            assert stopped.value.type_name == "recordfirst.errors.BadArguments"
            assert "write 'visit' does not take these arguments" in stopped.value.message
            assert "visit(who: str" in stopped.value.message
            assert [id for id in connection.state.promises if ":write_visit" in id] == []
            assert trouble.writes == 0

    run(go())


def test_step_without_a_context():
    """P8: a step that is called as if it were a plain function says how it is called."""
    with pytest.raises(Misuse, match=r"call visit with the workflow's context first: visit\(ctx, ...\)"):
        visit("ann")  # type: ignore[arg-type]


def test_resonate_object_works_once(make_shop, sqlite_path):
    """P7: a worker that is given one which was stopped ends and says so, instead of waiting for ever."""
    shop = make_shop(f"sqlite:///{sqlite_path}")

    async def go():
        resonate = Resonate(network=LocalConnection(), env={}, autostart=False)
        given = {"engine": resonate, "provide": {Trouble: Trouble()}}
        async with shop.working(mixed, **given) as app:
            await (await app.start(mixed, by_run=False, id="m")).result()
        with pytest.raises(Misuse, match="was stopped, and cannot be started again"):
            async with shop.app(mixed, **given) as app, app.worker() as worker:
                await asyncio.wait([worker.task], timeout=5)

    run(go())


@pytest.mark.parametrize("engine", ["localhost:8001", "mysql:///engine", 7, Resonate])
def test_engine_that_is_none(engine):
    """P8: what is no engine is refused when the app is made, and what one could be is said."""
    with pytest.raises(Misuse, match=r"engine=.*the http\(s\) URL of a Resonate Server, .*, or a Resonate object"):
        App("shop", record=SqliteRecord("nowhere.db"), workflows=[], engine=engine)
