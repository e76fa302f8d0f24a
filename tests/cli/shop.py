"""The app that the commands are given: ``--app tests.cli.shop:app``, on the record that ``SHOP_RECORD`` names."""

from __future__ import annotations

import asyncio
import os
import threading
from pathlib import Path

import msgspec

from recordfirst import App, Call, Context, Provider, effect, insert_or_same, workflow, write
from recordfirst.records.open import record_from_url


class Order(msgspec.Struct, frozen=True):
    id: str
    amount: int


@write
async def insert_order(w, order: Order) -> None:
    await insert_or_same(w.tx, "orders", {"id": order.id}, {"amount": order.amount})


@effect(key="order:{order.id}:charge", provider=Provider(name="bank", arrives_within_s=0), after=insert_order)
async def charge(call: Call, order: Order) -> str:
    if order.id == "lost":
        raise TimeoutError("the bank did not answer")
    return "card 4242"


def fixed(suffix: str = "") -> Path:
    """A file by which a test tells the app something, or hears from it."""
    return Path(os.environ["SHOP_FIXED"]).with_suffix(suffix)


@write
async def check(w, order: Order) -> None:
    if order.id == "bad" and not fixed().exists():
        raise LookupError("a bug\nin two lines")


@workflow
async def create_order(ctx: Context, order: Order) -> str:
    await insert_order(ctx, order)
    receipt = await charge(ctx, order)
    await check(ctx, order)
    return receipt


@write
async def take_thing(w) -> dict:
    await w.tx.execute("CREATE TABLE things (id TEXT)")
    return {"lock": threading.Lock()}


@workflow
async def unencodable(ctx: Context) -> None:
    await take_thing(ctx)


@write(key="order:{order.id}:log")
async def log(w, order) -> None:
    await w.tx.execute("CREATE TABLE things (id TEXT)")


@workflow
async def keyless(ctx: Context, order: dict) -> None:
    await log(ctx, order)


@workflow
async def slow(ctx: Context) -> str:
    fixed().touch()
    while not fixed(".go").exists():
        await ctx.run(pause)
    return "ended"


async def pause(ctx) -> None:
    threading.Event().wait(0.02)


async def pauses(seconds: float) -> None:
    """A reconcile that rests for long between two pages, so that it can be interrupted there."""
    await asyncio.sleep(float(os.environ.get("SHOP_PAUSE", seconds)))


app = App(
    "shop",
    sleeper=pauses,
    record=record_from_url(os.environ["SHOP_RECORD"]),
    workflows=[create_order, unencodable, keyless, slow],
    engine=os.environ.get("SHOP_ENGINE"),
)
number = 7
