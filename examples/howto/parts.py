"""One order of many lines: steps side by side, a part in a task of its own, and a workflow of its own."""

import asyncio

import msgspec
from aiosqlite import Connection

from recordfirst import App, Context, Write, workflow, write
from recordfirst.records.sqlite import SqliteRecord


class Line(msgspec.Struct, frozen=True):
    id: str
    item: str


@write(key="line:{line.id}:reserved")
async def reserve(w: Write[Connection], line: Line) -> str:
    await w.tx.execute("INSERT INTO reserved (line, item) VALUES (?, ?)", (line.id, line.item))
    return line.item


# [side]
@workflow
async def reserve_all(ctx: Context, lines: list[Line]) -> list[str]:
    return list(await asyncio.gather(*(reserve(ctx, line) for line in lines)))


# [/side]


# [part]
@workflow
async def fulfil(ctx: Context, box: list[Line]) -> list[str]:
    return [await reserve(ctx, line) for line in box]


@workflow
async def fulfil_all(ctx: Context, boxes: list[list[Line]]) -> list[list[str]]:
    return list(await asyncio.gather(*(ctx.rpc(fulfil, box) for box in boxes)))


# [/part]


# [own]
@workflow
async def thank(ctx: Context, order: str) -> str:
    return f"thanked for {order}"


@write
async def close(w: Write[Connection], order: str) -> None:
    w.start(thank, order, id=f"{order}:thanks")


@workflow
async def finish(ctx: Context, order: str) -> None:
    await close(ctx, order)


# [/own]

app = App("shop", record=SqliteRecord("shop.db"), workflows=[reserve_all, fulfil, fulfil_all, thank, finish])
