"""An app with two ledgers, each of a type of its own: ``--app tests.ledgers.savings:app``."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator
from typing import NewType

from recordfirst import App, Context, Ledger, SqlLedger, Transfer, transfer, workflow
from recordfirst.records.open import record_from_url
from tests.ledgers import program
from tests.ledgers.program import Purchase

Savings = NewType("Savings", SqlLedger)


@transfer(key="purchase:{purchase.id}:save", after=None, ledger=Savings)
def save(purchase: Purchase) -> Transfer:
    return program._paying(purchase, 5)


@workflow
async def saving(ctx: Context, purchase: Purchase) -> int:
    return (await save(ctx, purchase)).amount


@contextlib.asynccontextmanager
async def savings() -> AsyncIterator[SqlLedger]:
    """In a record of its own."""
    record = record_from_url(os.environ.get("TILL_SAVINGS", "sqlite:///savings.db"))
    await record.open("shop")
    try:
        yield SqlLedger(record)
    finally:
        await record.close()


_record = record_from_url(os.environ.get("TILL_RECORD", "sqlite:///till.db"))
app = App("shop", record=_record, workflows=[program.paying, saving])
app.provide(SqlLedger(_record), as_=Ledger)
app.provide_factory(Savings, savings)
