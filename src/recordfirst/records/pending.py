"""Statements about what is pending, and about the names that providers know it by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from recordfirst.core.receipt import Receipt
from recordfirst.records.one_connection import OneConnection, receipt_of


class PendingQueries(OneConnection):
    """Of one session."""

    async def due(self, besides: Sequence[str], limit: int) -> list[Receipt]:
        names = "".join(f" {name} " for name in besides)
        return [receipt_of(row) for row in await self._rows(self._sql.due, besides=names, limit=limit)]

    async def refer(self, key: str, attempt: int, references: Mapping[str, str]) -> None:
        rows = [{"key": key, "attempt": attempt, "kind": kind, "id": id} for kind, id in references.items()]
        await self._many(self._sql.refer, rows)

    async def references_of(self, key: str, attempt: int) -> dict[str, str]:
        rows = await self._rows(self._sql.references_of, key=key, attempt=attempt)
        return {str(kind): str(id) for kind, id in rows}

    async def referred_to(self, id: str) -> list[tuple[str, int]]:
        return [(str(key), int(attempt)) for key, attempt in await self._rows(self._sql.referred_to, id=id)]
