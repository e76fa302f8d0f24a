"""Rows against the app's encryptor: what is in clear or under an older key, and what cannot be decrypted at all."""

from __future__ import annotations

from collections.abc import AsyncIterator

from recordfirst.core.finding import NewFinding
from recordfirst.reconcile.contract import Discrepancy, Page, PassContext
from recordfirst.reconcile.resealing import TABLES, Stale, Table, pages


class Sealed:
    """Starts, receipts and projections, all of them. Without an encryptor there is nothing to look at."""

    name = "sealing"
    codes: tuple[str, ...] = ("RF-NOT-SEALED", "RF-UNREADABLE")
    full_scan = True
    dated = False

    async def pages(self, scope: PassContext, position: str | None) -> AsyncIterator[Page]:
        """Look at every row, from the beginning: a row says itself how it is covered."""
        del position
        for table in TABLES if scope.runtime.sealing.on else ():
            told = False
            async for looked, stale in pages(scope.runtime, table):
                old = [each for each in stale if each.new is not None]
                discrepancies = [_unreadable(table, each) for each in stale if each.new is None]
                discrepancies += [_not_sealed(scope, table, old[0])] if old and not told else []
                told = told or bool(old)
                yield Page(discrepancies, looked, "")


def _not_sealed(scope: PassContext, table: Table, first: Stale) -> Discrepancy:
    key = scope.runtime.sealing.key_id
    under = f"the key {key!r}" if key is not None else "the encryptor"
    detail = f"rows are in clear or under another key than {under}, such as {first.name!r}; run: recordfirst reseal"
    return Discrepancy(NewFinding(code="RF-NOT-SEALED", subject=table.name, detail=detail))


def _unreadable(table: Table, row: Stale) -> Discrepancy:
    workflow = row.name if table.name == "start" else None
    return Discrepancy(
        NewFinding(code="RF-UNREADABLE", subject=row.name, workflow=workflow, detail=f"{table.name}: {row.why}")
    )
