"""P9: a server that becomes a replica, or gives up a statement of ours, is out of reach: no step ends for it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from recordfirst import Call, Context, Read, WorkflowStopped, Write, effect, inject, read, workflow, write
from recordfirst.observe import Repeated
from tests.effects.harness import Bank, Script, Shop, receipt, until
from tests.effects.program import PLAIN

tries: list[int] = []


@write
async def note(w: Write) -> str:
    tries.append(w.tx.info.backend_pid)
    if len(tries) == 1:
        await w.tx.execute("SET TRANSACTION READ ONLY")  # what each transaction of a replica is
    await w.tx.execute("INSERT INTO orders (id, amount, state) VALUES ('1', 1, 'new')")
    return "noted"


@workflow
async def noting(ctx: Context) -> str:
    return await note(ctx)


@read
async def writing_read(r: Read) -> None:
    await r.tx.execute("INSERT INTO orders (id, amount, state) VALUES ('1', 1, 'new')")


@workflow
async def reading(ctx: Context) -> None:
    await writing_read(ctx)


class Locked:
    """Somebody else's lock on the receipts, and the first call of an effect that runs into it."""

    def __init__(self, dsn: str) -> None:
        self.session = psycopg.connect(dsn)

    def hold(self) -> None:
        self.session.execute("LOCK TABLE recordfirst.receipt IN ACCESS EXCLUSIVE MODE")


@effect(key="order:{id}:charge", provider=PLAIN, after=None)
async def charge(call: Call, id: str, *, script: Script = inject(), locked: Locked = inject()) -> str:
    locked.hold()
    return str(script.next(call))


@workflow
async def charging(ctx: Context, id: str) -> str:
    return await charge(ctx, id)


@pytest.fixture
def shop(postgres_dsn: str, tmp_path: Path) -> Shop:
    return Shop(postgres_dsn, Bank(tmp_path / "bank.db"))


async def test_a_server_that_takes_no_writes(shop):
    """After a fail-over, say: the write is tried again, on another connection."""
    tries.clear()
    async with shop.working(noting) as app:
        assert await (await app.start(noting, id="n")).result() == "noted"
    assert len(set(tries)) == len(tries) == 2
    assert [event.fault for event in shop.seen(Repeated)] == ["unreachable"]


async def test_a_read_that_writes_is_the_users_mistake(shop):
    """It would be refused for ever."""
    async with shop.working(reading) as app:
        with pytest.raises(WorkflowStopped, match="ReadOnlySqlTransaction"):
            await (await app.start(reading, id="r")).result(if_stopped="raise")


async def test_a_statement_of_ours_that_the_server_gives_up(shop, postgres_dsn):
    """It waited for a lock for longer than statement_timeout allows: what the call came to is stored all the same."""
    name = urlsplit(postgres_dsn).path.removeprefix("/")
    await shop.prepare()
    with psycopg.connect(postgres_dsn, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {name} SET statement_timeout = '300ms'".encode())
    locked, script = Locked(postgres_dsn), Script("charged")

    async def given_up() -> bool:
        return any("charge" in event.what for event in shop.seen(Repeated))

    async with shop.working(charging, provide={Script: script, Locked: locked}) as app:
        handle = await app.start(charging, "1", id="c")
        await until(given_up)
        await asyncio.to_thread(locked.session.close)
        assert await handle.result() == "charged"
        assert (await receipt(app, "order:1:charge")).calls == 1
    assert len(script.calls) == 1
