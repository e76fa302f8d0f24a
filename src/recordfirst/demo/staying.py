"""Keeps the demo's shop open after the books are balanced, so that other commands can be tried on its orders."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

_SHOP = '''"""The demo's shop, for the other commands. Its Stripe simulator and its warehouse end with the demo."""

from recordfirst.demo.shop import build_app
from recordfirst.records.open import record_from_url

app = build_app(record_from_url({record!r}), {stripe!r}, {warehouse!r}, {engine!r})
'''


def record_in(folder: Path) -> str:
    """The record of a shop that stays open, if no other is given."""
    return f"sqlite:///{folder.resolve() / 'shop.db'}"


async def keep_open(
    folder: Path, *, record: str, stripe: str, warehouse: str, engine: str | None, say: Callable[[str], None]
) -> None:
    """Write ``shop.py`` into the folder, and wait for an interrupt."""
    text = _SHOP.format(record=record, stripe=stripe, warehouse=warehouse, engine=engine)
    await asyncio.to_thread((folder / "shop.py").write_text, text)
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    say(f"The shop stays open until Ctrl-C. In another terminal: cd {folder} && recordfirst status --app shop:app")
    await ended.wait()
