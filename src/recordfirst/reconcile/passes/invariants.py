"""The user's invariants: rows of the record that break one.

If an invariant fails, or takes too long, its earlier findings stay open.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from itertools import islice
from typing import Any, NamedTuple

from recordfirst.core import codec
from recordfirst.core.finding import NewFinding
from recordfirst.execution.read_runner import ask
from recordfirst.execution.runtime import Runtime
from recordfirst.providers.contract import describe
from recordfirst.reconcile.contract import Discrepancy, Page, PassContext
from recordfirst.steps.invariant import Invariant

ROWS = 100
"""Most offending rows of one invariant that become findings."""
_DETAIL, _SUBJECT = 300, 500
"""Characters of one row that a finding shows. Subjects are indexed, and an index has room for some 2,000 bytes."""
_KNOWN = 10_000
"""Open findings that are looked through for those of an invariant that could not say."""


class Offence(NamedTuple):
    """One row that offends."""

    subject: str
    """Its first column."""
    detail: str
    """The others, by name."""


class Invariants:
    """Whatever the app's invariants return."""

    name = "invariants"
    codes: tuple[str, ...] = ("RF-INVARIANT", "RF-INVARIANT-FAILED")
    full_scan = False
    dated = False

    async def pages(self, scope: PassContext, position: str | None) -> AsyncIterator[Page]:
        """Ask each invariant."""
        for invariant in sorted(scope.registered.invariants, key=lambda each: each.name):
            if position is None or invariant.name > position:
                discrepancies = await _ask(scope, invariant)
                yield Page(discrepancies, len(discrepancies), invariant.name)


async def _ask(scope: PassContext, invariant: Invariant) -> list[Discrepancy]:
    try:
        async with asyncio.timeout(invariant.limit_s):
            found = await offences_of(scope.runtime, invariant)
    except TimeoutError:
        why = f"it took longer than {invariant.limit_s:g} s"
    except Exception as error:  # noqa: BLE001 - it is the user's code, and whatever it raises is told
        why = describe(error)
    else:
        discrepancies = [
            _discrepancy("RF-INVARIANT", f"{invariant.name}: {subject}", detail or "offends")
            for subject, detail in found[:ROWS]
        ]
        if len(found) <= ROWS:
            return discrepancies
        more = _discrepancy("RF-INVARIANT-FAILED", invariant.name, f"more than {ROWS} rows offend; the first are shown")
        return [
            more,
            *discrepancies,
            *await _kept(scope, invariant, {discrepancy.finding.subject for discrepancy in discrepancies}),
        ]
    return [_discrepancy("RF-INVARIANT-FAILED", invariant.name, why), *await _kept(scope, invariant, set())]


async def _kept(scope: PassContext, invariant: Invariant, seen: set[str]) -> list[Discrepancy]:
    """What is open of an invariant that could not say all: nobody knows that it is gone."""
    async with scope.runtime.record.session() as session:
        open_ones = await session.findings(_KNOWN)
    ours = [
        each for each in open_ones if each.code == "RF-INVARIANT" and each.subject.startswith(f"{invariant.name}: ")
    ]
    return [_discrepancy(each.code, each.subject, each.detail) for each in ours if each.subject not in seen]


def _discrepancy(code: str, subject: str, detail: str) -> Discrepancy:
    return Discrepancy(NewFinding(code=code, subject=subject, detail=detail))


async def offences_of(runtime: Runtime, invariant: Invariant) -> list[Offence]:
    """The rows that offend now: one more than :data:`ROWS` at most."""
    source = invariant.source
    async with runtime.record.reading() as connection:
        if isinstance(source, str):
            cursor = await connection.execute(source)
            names = [str(column[0]) for column in cursor.description or ()]
            return [_offence(row, names) for row in await cursor.fetchmany(ROWS + 1)]
        rows = await ask(runtime, source, connection, {}, await runtime.injector.resolve(source))
        return [_offence(row, ()) for row in islice(rows or (), ROWS + 1)]


def _offence(row: Any, names: Iterable[str]) -> Offence:
    """A row as a finding shows it: a tuple, a mapping, or one value."""
    if isinstance(row, Mapping):
        columns = [(str(name), value) for name, value in row.items()]
    elif isinstance(row, tuple | list):
        known = list(names)
        columns = [(known[n] if n < len(known) else "", value) for n, value in enumerate(row)]
    else:
        columns = [("", row)]
    subject = str(columns[0][1]) if columns else "row"
    if len(subject) > _SUBJECT:
        subject = f"{subject[:_SUBJECT]}~{codec.fingerprint(codec.told(subject))}"
    detail = ", ".join(f"{name}={value}" if name else str(value) for name, value in columns[1:])
    return Offence(subject, detail[:_DETAIL])
