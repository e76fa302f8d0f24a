"""What a write promises (a start, an intent) goes with the savepoint that it was asked for in (P1, P2)."""

from __future__ import annotations

import contextlib

import pytest

from recordfirst import Call, Context, Misuse, Provider, Write, effect, workflow, write
from recordfirst.conformance.record import run
from recordfirst.records.postgres import guard
from recordfirst.records.savepoints import Savepoint, Savepoints

KEYED = Provider(name="bank", retention_s=24 * 3600)


@effect(key="order:{id}:charge", provider=KEYED, after=None)
async def charge(call: Call, id: str) -> str:
    return id


@workflow
async def pay(ctx: Context, id: str) -> str:
    return await charge(ctx, id)


@contextlib.asynccontextmanager
async def by_statements(tx, name, *, back):
    await tx.execute(f"SAVEPOINT {name}")
    yield
    if back:
        await tx.execute(f"ROLLBACK TO SAVEPOINT {name}")
    await tx.execute(f"RELEASE SAVEPOINT {name}")


@contextlib.asynccontextmanager
async def by_the_driver(tx, name, *, back):
    async with tx.transaction(name, force_rollback=back):
        yield


async def several(w, block):
    """Four starts, of which the savepoints leave the first and the last."""
    w.start(pay, "kept", id="kept")
    async with block(w.tx, "sp_outer", back=True):
        w.start(pay, "outer", id="outer")
        w.intend(charge, "outer")
        async with block(w.tx, "sp_inner", back=False):
            w.start(pay, "inner", id="inner")
    async with block(w.tx, "sp_outer", back=False):
        async with block(w.tx, "sp_outer", back=True):
            w.start(pay, "again", id="again")
        w.start(pay, "last", id="last")
        w.intend(charge, "last")


@write
async def store(w: Write, how: str) -> None:
    await several(w, by_the_driver if how == "driver" else by_statements)


@workflow
async def storing(ctx: Context, how: str) -> None:
    await store(ctx, how)


@pytest.fixture(params=[("sqlite", "statements"), ("postgres", "statements"), ("postgres", "driver")], ids="-".join)
def shop_and_how(request, make_shop):
    product, how = request.param
    where = "sqlite_path" if product == "sqlite" else "postgres_dsn"
    url = request.getfixturevalue(where)
    return make_shop(f"sqlite:///{url}" if product == "sqlite" else url), how


def test_what_a_savepoint_took_back_is_not_started(shop_and_how):
    """P1, P2: neither in the caller's own transaction nor in a workflow's write; what stays is told, and intended."""
    shop, how = shop_and_how

    async def go():
        async with shop.working(pay, storing) as app:
            async with app.record.write() as w:
                await several(w, by_the_driver if how == "driver" else by_statements)
            assert sorted(start.id for start in w.accepted) == ["kept", "last"]
            async with app.runtime.record.session() as session:
                ids = ["kept", "outer", "inner", "again", "last"]
                assert {start.id for start in await session.find_starts(ids)} == {"kept", "last"}
                assert [receipt.workflow for receipt in await session.receipts_by_key("order:last:charge")] == ["last"]
                assert await session.receipts_by_key("order:outer:charge") == []
            await (await app.start(storing, how, id="w")).result()
            async with app.runtime.record.session() as session:
                assert {start.id for start in await session.find_starts(ids)} == {"kept", "last"}

    run(go())


def test_an_intent_whose_workflow_was_taken_back_is_refused(shop_and_how):
    """P1: it would belong to a workflow that there is not."""
    shop, how = shop_and_how

    async def go():
        block = by_the_driver if how == "driver" else by_statements
        async with shop.working(pay) as app:
            with pytest.raises(Misuse, match="start its workflow first"):
                async with app.record.write() as w:
                    async with block(w.tx, "a", back=True):
                        w.start(pay, "1", id="1")
                    w.intend(charge, "1")
            async with app.runtime.record.session() as session:
                assert await session.receipts_by_key("order:1:charge") == []

    run(go())


def test_nothing_is_promised_after_the_transaction(shop_and_how):
    """P7: nobody would store it, so it is refused."""
    shop, _ = shop_and_how

    async def go():
        async with shop.working(pay) as app:
            async with app.record.write() as w:
                w.start(pay, "1", id="1")
            with pytest.raises(Misuse):
                w.start(pay, "2", id="2")

    run(go())


NAMES = {
    "SAVEPOINT a": ("opens", b"a"),
    'savepoint "A ""b"" c"': ("opens", b'A "b" c'),
    "/* x */ Savepoint /* y */ ABC -- z": ("opens", b"abc"),
    "RELEASE a": ("releases", b"a"),
    "RELEASE SAVEPOINT A;": ("releases", b"a"),
    "ROLLBACK TO a": ("takes back", b"a"),
    "ROLLBACK WORK TO SAVEPOINT a": ("takes back", b"a"),
    "rollback transaction to savepoint A": ("takes back", b"a"),
}


@pytest.mark.parametrize("statement", NAMES)
def test_a_savepoint_is_known_by_its_statement(statement):
    """P2: as Postgres reads it."""
    assert guard.admit(statement.encode()) == NAMES[statement]


@pytest.mark.parametrize(
    ("steps", "left"),
    [
        ("1 +a 2 <a 3", {1, 3}),
        ("+a 1 -a 2 <a", {1, 2}),
        ("+a 1 +b 2 -b <a", set()),
        ("+a 1 +a 2 <a", {1}),
        ("+a 1 +a 2 -a <a", set()),
        ("+a 1 +b 2 <a 3 <a", set()),
        ("+a 1 +b 2 +c 3 -b 4 <a 5", {5}),
    ],
)
def test_what_is_left_of_promises(steps, left):
    """P2: a savepoint stays after it was rolled back to; one of the same name hides another until it is released."""
    savepoints = Savepoints()
    for step in steps.split():
        if step.isdigit():
            savepoints.note(int(step))
        else:
            does = {"+": "opens", "-": "releases", "<": "takes back"}[step[0]]
            savepoints.done(Savepoint(does, step[1:].encode()))  # type: ignore[arg-type]
    assert savepoints.promises == left
