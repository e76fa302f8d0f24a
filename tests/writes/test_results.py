"""What steps give back, in threads and out of them: typed, and refused before the commit if it cannot be stored."""

from __future__ import annotations

import dataclasses
import datetime as dt
import enum
import threading
from typing import Any

import msgspec
import pytest

from recordfirst import Context, Misuse, WorkflowStopped, inject, read, workflow, write
from recordfirst.conformance.record import run


class Size(enum.Enum):
    SMALL = "small"


class Line(msgspec.Struct, frozen=True):
    item: str
    size: Size
    at: dt.datetime


@dataclasses.dataclass(frozen=True)
class Order:
    id: str
    lines: tuple[Line, ...]


ORDER = Order("1", (Line("book", Size.SMALL, dt.datetime(2026, 11, 23, 12, tzinfo=dt.UTC)),))


@write
async def take(w, order: Order) -> Order:
    await w.tx.execute(f"INSERT INTO orders (id, amount) VALUES ('{order.id}', {len(order.lines)})")
    return order


@write
def take_in_thread(w, id: str) -> str:
    cursor = w.tx.execute(f"INSERT INTO orders (id, amount) VALUES ('{id}', 7)")
    assert cursor.rowcount == 1
    assert w.tx.execute(f"SELECT amount FROM orders WHERE id = '{id}'").fetchone()[0] == 7
    return threading.current_thread().name


@read
async def count(r) -> int:
    cursor = await r.tx.execute("SELECT count(*) FROM orders")
    return int((await cursor.fetchone())[0])


@read
def count_in_thread(r) -> int:
    return int(r.tx.execute("SELECT count(*) FROM orders").fetchone()[0])


@read
async def first_line(r, order: Order) -> Line:
    return order.lines[0]


@read
async def write_all_the_same(r) -> None:
    await r.tx.execute("INSERT INTO orders (id, amount) VALUES ('9', 9)")


@write
async def take_and_return_a_thing(w) -> dict:
    await w.tx.execute("INSERT INTO orders (id, amount) VALUES ('1', 1)")
    return {"fine": 1, "nested": [threading.Lock()]}


class Told:
    """What a function returns, one time after the other; the first is a mistake."""

    def __init__(self) -> None:
        self.values: list[Any] = ["three", 3]


@write
async def count_what_is_there(w, *, told: Told = inject()) -> int:
    await w.tx.execute("INSERT INTO orders (id, amount) VALUES ('1', 1)")
    return told.values.pop(0)


@workflow
async def counting(ctx: Context) -> int:
    return await count_what_is_there(ctx)


@workflow
async def ordering(ctx: Context, order: Order) -> Order:
    stored = await take(ctx, order)
    line = await first_line(ctx, order)
    assert isinstance(stored, Order)
    assert line == stored.lines[0]
    return stored


@workflow
async def threads(ctx: Context) -> list[str]:
    before = await count_in_thread(ctx)
    names = [await take_in_thread(ctx, "1"), await take_in_thread.with_key("again:{id}")(ctx, "2")]
    assert (before, await count_in_thread(ctx), await count(ctx)) == (0, 2, 2)
    return names


@workflow
async def sneaking(ctx: Context) -> None:
    await write_all_the_same(ctx)


@workflow
async def unencodable(ctx: Context) -> None:
    await take_and_return_a_thing(ctx)


def test_results_keep_their_types(shop):
    """P2: structs, dataclasses, enums and times come back as what they were, from the record too."""

    async def go():
        async with shop.working(ordering) as app:
            handle = await app.start(ordering, ORDER, id="o")
            assert await handle.result() == ORDER
            assert await (await app.handle("o")).result() == ORDER

    run(go())


def test_sync_steps_run_in_threads(shop):
    """P2: a sync write has a connection that blocks, inside the same transaction; so has a sync read."""

    async def go():
        async with shop.working(threads) as app:
            names = await (await app.start(threads, id="t")).result()
            assert all(name.startswith("recordfirst-shop") for name in names)

    run(go())


def test_reads_cannot_write(shop):
    """P1: a read that writes fails, and nothing is there."""

    async def go():
        async with shop.working(sneaking) as app:
            with pytest.raises(WorkflowStopped, match=r"read-?only"):
                await (await app.start(sneaking, id="s")).result(if_stopped="raise")
            assert await shop.rows(app, "SELECT id FROM orders") == []

    run(go())


def test_unencodable_result_takes_the_rows_back(shop):
    """P2: what cannot be stored is refused before the commit, with its type and field, and the rows are not there."""

    async def go():
        async with shop.working(unencodable) as app:
            with pytest.raises(WorkflowStopped, match=r"Unencodable: .*take_and_return_a_thing.*nested\[0\].*lock"):
                await (await app.start(unencodable, id="u")).result(if_stopped="raise")
            assert await shop.rows(app, "SELECT id FROM orders") == []
            async with app.runtime.record.session() as session:
                assert await session.receipts_of("u") == []

    run(go())


def test_a_result_of_another_type_takes_the_rows_back(shop):
    """P2, P7: stored, it could not be read by the version that is fixed either, and a retry would fail for ever."""

    async def go():
        async with shop.working(counting, provide={Told: Told()}) as app:
            with pytest.raises(WorkflowStopped, match=r"Unencodable: the result of write .* is not int"):
                await (await app.start(counting, id="c")).result(if_stopped="raise")
            assert await shop.rows(app, "SELECT id FROM orders") == []
            assert await (await app.retry("c")).result() == 3

    run(go())


def test_result_type_that_can_never_be_stored_is_refused_at_once():
    """P2: a declared type that JSON cannot carry is found when the step is declared."""
    with pytest.raises(Misuse, match=r"hand_out .* cannot be stored: threading.Event"):

        @write
        async def hand_out(w) -> threading.Event:
            return threading.Event()
