"""An app whose calls never end: ``--app tests.cli.stuck:app``. What a test does about that, it does by files."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

from recordfirst import App, Call, Context, Provider, effect, workflow
from recordfirst.records.open import record_from_url

BANK = Provider(name="bank", retention_s=86_400)


def file(suffix: str) -> Path:
    return Path(os.environ["SHOP_FIXED"]).with_suffix(suffix)


if "SHOP_SLOW_IMPORT" in os.environ:
    file(".importing").touch()
    time.sleep(60)


def hang(call: Call) -> str:
    """Call once, by its key, and give no answer until the test lets us."""
    with file(".calls").open("a") as calls:
        calls.write(f"{call.key}\n")
    while not file(".go").exists():
        threading.Event().wait(0.01)
    return "ended"


@effect(key="{id}:thread", provider=BANK, after=None)
def hang_in_thread(call: Call, id: str) -> str:
    return hang(call)


@effect(key="{id}:loop", provider=BANK, after=None)
async def hang_on_loop(call: Call, id: str) -> str:
    return hang(call)


@workflow
async def in_thread(ctx: Context, id: str) -> str:
    return await hang_in_thread(ctx, id)


@workflow
async def on_loop(ctx: Context, id: str) -> str:
    return await hang_on_loop(ctx, id)


app = App("stuck", record=record_from_url(os.environ["SHOP_RECORD"]), workflows=[in_thread, on_loop])
