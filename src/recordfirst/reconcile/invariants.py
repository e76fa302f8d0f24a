"""The user's invariants: rows of the record that offend against one (design 7).

One that fails, or takes too long, tells nothing: what it had found before stays open.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from recordfirst.core.finding import NewFinding
from recordfirst.invariant import ROWS, Invariant
from recordfirst.providers.contract import describe
from recordfirst.reconcile.contract import Page, Scope, Sight

_KNOWN = 10_000
"""Open findings that are looked through for those of an invariant that could not say."""


class Invariants:
    """Whatever the app's invariants return."""

    name = "invariants"
    codes: tuple[str, ...] = ("RF-INVARIANT", "RF-INVARIANT-FAILED")
    looks_at_all = False

    async def pages(self, scope: Scope, position: str | None) -> AsyncIterator[Page]:
        """Ask each invariant."""
        for invariant in sorted(scope.invariants, key=lambda each: each.name):
            if position is None or invariant.name > position:
                sights = await _ask(scope, invariant)
                yield Page(sights, len(sights), invariant.name)


async def _ask(scope: Scope, invariant: Invariant) -> list[Sight]:
    try:
        async with asyncio.timeout(invariant.limit_s):
            offences = await invariant.offences(scope.runtime)
    except TimeoutError:
        why = f"it took longer than {invariant.limit_s:g} s"
    except Exception as error:  # noqa: BLE001 - it is the user's code, and whatever it raises is told
        why = describe(error)
    else:
        sights = [
            _sight("RF-INVARIANT", f"{invariant.name}: {subject}", detail or "offends")
            for subject, detail in offences[:ROWS]
        ]
        if len(offences) <= ROWS:
            return sights
        more = _sight("RF-INVARIANT-FAILED", invariant.name, f"more than {ROWS} rows offend; the first are shown")
        return [more, *sights, *await _kept(scope, invariant, {sight.finding.subject for sight in sights})]
    return [_sight("RF-INVARIANT-FAILED", invariant.name, why), *await _kept(scope, invariant, set())]


async def _kept(scope: Scope, invariant: Invariant, seen: set[str]) -> list[Sight]:
    """What is open of an invariant that could not say all: nobody knows that it is gone."""
    async with scope.runtime.record.session() as session:
        found = await session.findings(_KNOWN)
    ours = [each for each in found if each.code == "RF-INVARIANT" and each.subject.startswith(f"{invariant.name}: ")]
    return [_sight(each.code, each.subject, each.detail) for each in ours if each.subject not in seen]


def _sight(code: str, subject: str, detail: str) -> Sight:
    return Sight(NewFinding(code=code, subject=subject, detail=detail))
