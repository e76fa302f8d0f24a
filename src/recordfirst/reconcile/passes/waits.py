"""Steps that have waited for the record for minutes. Their workers report them; a step without a report is over."""

from __future__ import annotations

from collections.abc import AsyncIterator

from recordfirst.core import waits
from recordfirst.core.finding import NewFinding
from recordfirst.reconcile.contract import Discrepancy, Page, PassContext

_MOST = 10_000
"""Findings that are looked through."""


class Waits:
    """What workers have told, and still tell."""

    name = "waits"
    codes: tuple[str, ...] = (waits.CODE,)
    full_scan = False
    dated = False

    async def pages(self, scope: PassContext, position: str | None) -> AsyncIterator[Page]:
        """Look at what is open of them."""
        del position
        async with scope.runtime.record.session() as session:
            found = [each for each in await session.findings(_MOST) if each.code == waits.CODE]
            now_ms = await session.now_ms()
        discrepancies = [
            Discrepancy(NewFinding(code=each.code, subject=each.subject, workflow=each.workflow, detail=each.detail))
            for each in found
            if waits.is_waiting(each, now_ms)
        ]
        if found:
            yield Page(discrepancies, len(found), found[-1].subject)
