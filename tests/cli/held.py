"""An app whose workflow takes something and holds it: ``--app tests.cli.held:app``. Its calls are lines of a file."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from recordfirst import App, Call, Context, Provider, effect, workflow
from recordfirst.records.open import record_from_url

BANK = Provider(name="bank", retention_s=86_400)


def file(suffix: str) -> Path:
    """By which a test tells the app something, or hears from it."""
    return Path(os.environ["SHOP_FIXED"]).with_suffix(suffix)


def called(what: str) -> None:
    with file(".calls").open("a") as calls:
        calls.write(f"{what}\n")


@effect(key="{id}:back", provider=BANK, after=None)
def give_back(call: Call, id: str) -> None:
    called("back")


@effect(key="{id}:take", provider=BANK, after=None, undo=give_back)
def take(call: Call, id: str) -> str:
    called("take")
    return "taken"


@effect(key="{id}:ship", provider=BANK, after=None)
def ship(call: Call, id: str) -> None:
    called("ship")


async def wait(ctx) -> None:
    file(".here").touch()
    while not file(".go").exists():
        threading.Event().wait(0.02)


@workflow
async def hold(ctx: Context, id: str) -> None:
    await take(ctx, id)
    await ctx.run(wait)
    await ship(ctx, id)


app = App("shop", record=record_from_url(os.environ["SHOP_RECORD"]), workflows=[hold])
