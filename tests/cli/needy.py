"""An app whose steps need what nobody provides."""

from __future__ import annotations

import os

from recordfirst import App, Context, inject, workflow, write
from recordfirst.records.open import record_from_url


class Ledger:
    """Nobody makes one."""


class Printer:
    """Nor one of these."""


@write
async def enter(w, *, ledger: Ledger = inject()) -> None:
    """Never runs."""


@write
async def print_out(w, *, printer: Printer = inject()) -> None:
    """Never runs, either."""


@workflow
async def entering(ctx: Context) -> None:
    await enter(ctx)
    await print_out(ctx)


app = App(
    "shop",
    record=record_from_url(os.environ["SHOP_RECORD"]),
    workflows=[entering],
    engine=os.environ.get("SHOP_ENGINE"),
)
