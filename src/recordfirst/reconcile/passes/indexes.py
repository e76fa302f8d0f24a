"""Whether the indexes that a reconcile needs are there: without one, a query reads a whole table."""

from __future__ import annotations

from collections.abc import AsyncIterator

from recordfirst.core.finding import NewFinding
from recordfirst.errors import Misuse
from recordfirst.reconcile.contract import Discrepancy, Page, PassContext


class Indexes:
    """The indexes of recordfirst's own tables."""

    name = "indexes"
    codes: tuple[str, ...] = ("RF-INDEX-MISSING",)
    full_scan = False
    dated = False

    async def pages(self, scope: PassContext, position: str | None) -> AsyncIterator[Page]:
        """Look once."""
        del position
        wanted = scope.runtime.record.indexes
        async with scope.runtime.record.session() as session:
            missing = await session.missing_indexes(sorted(wanted))
        if missing:
            yield Page([_discrepancy(name, wanted[name]) for name in missing], len(wanted), "")


def _discrepancy(name: str, statement: str) -> Discrepancy:
    return Discrepancy(NewFinding(code="RF-INDEX-MISSING", subject=name, detail=f"run: {statement}"))


async def must_keep(scope: PassContext) -> None:
    """Raise ``Misuse`` if no finding can be kept."""
    wanted = scope.runtime.record.indexes
    async with scope.runtime.record.session() as session:
        missing = await session.missing_indexes([name for name in wanted if name.endswith("finding_open")])
    if missing:
        raise Misuse(f"index {missing[0]} is missing, without which no finding can be kept; run: {wanted[missing[0]]}")
