"""References against the record: mirrors that are behind, and whatever else they show than the record says.

A mirror that is behind is open, and is looked for in every round. That one shows something else (somebody has changed
it, or the record without projecting) can only be seen by comparing all of it, so that pass runs when it is named. What
looks wrong is looked at twice, with time in between. A repair is a projection like any other: it reads the record anew,
and its version keeps it from going back.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

from recordfirst.core import codec
from recordfirst.core.finding import NewFinding
from recordfirst.core.projection import Projection
from recordfirst.core.receipt import Receipt
from recordfirst.errors import BadArguments, DifferentEntry
from recordfirst.execution.projection_runner import NotConfirmed, bring, read
from recordfirst.execution.read_runner import ask
from recordfirst.observe import Suspected
from recordfirst.providers.contract import describe
from recordfirst.reconcile.contract import PAGE, Discrepancy, Page, PassContext
from recordfirst.references.contract import Reference
from recordfirst.steps.projection import ProjectStep
from recordfirst.steps.stage import StageStep

_BEHIND_MS = 60_000
"""How long a projection may be under way before it is worth a finding; a worker's own waits are shorter, at first."""
_SETTLING_S = 2.0
"""Between two looks at an entry that seems wrong."""
_BROUGHT = "brought to the record's state"


class Projections:
    """Projections that were begun and have not reached their mirror."""

    name = "projections"
    codes: tuple[str, ...] = ("RF-MIRROR-BEHIND",)
    full_scan = False
    dated = False

    async def pages(self, scope: PassContext, position: str | None) -> AsyncIterator[Page]:
        """Look at every mirror that is behind."""
        after = position or ""
        while True:
            async with scope.runtime.record.session() as session:
                rows = await session.open_projections(after, PAGE)
                now_ms = await session.now_ms()
            if not rows:
                return
            after = rows[-1].key
            yield Page([_behind(scope, row) for row in rows if now_ms - row.asked_at_ms > _BEHIND_MS], len(rows), after)


class References:
    """Everything that was staged or projected, against what its reference has."""

    name = "references"
    codes: tuple[str, ...] = ("RF-MIRROR-DRIFT", "RF-STAGE-DRIFT")
    full_scan = True
    dated = False

    async def pages(self, scope: PassContext, position: str | None) -> AsyncIterator[Page]:
        """Compare all of it: each projection's own list, what was ever projected, then each stage."""
        places = [
            *(
                (f"every {name}", _listed_pages)
                for name, step in sorted(scope.registered.projections.items())
                if step.listed
            ),
            ("projected", _projected_pages),
            *(
                (f"staged {name}", _staged_pages)
                for name, step in sorted(scope.registered.effects.items())
                if isinstance(step, StageStep)
            ),
        ]
        at, behind = _parse(position)
        for number, (place, pages) in enumerate(places):
            if number >= at:
                name = place.partition(" ")[2]
                async for discrepancies, looked, last in pages(scope, name, behind if number == at else None):
                    yield Page(discrepancies, looked, codec.encode([number, last], "a position"))


def _parse(position: str | None) -> tuple[int, Any]:
    if position is None:
        return 0, None
    number, last = codec.decode(position)
    return int(number), last


# ── mirrors ─────────────────────────────────────────────────────────────────


def _behind(scope: PassContext, row: Projection) -> Discrepancy:
    step = scope.registered.projections.get(row.function)
    why = "" if row.error is None else f": {codec.decode(row.error)['reason']}"
    detail = f"{row.function} has version {row.version}, its mirror {row.projected}, after {row.tries} tries{why}"
    finding = NewFinding(code="RF-MIRROR-BEHIND", subject=row.key, workflow=row.workflow, detail=detail)
    arguments = _arguments(scope, row)
    if step is None or arguments is None:
        return Discrepancy(finding)
    return Discrepancy(finding, partial(_bring, scope, finding, step, arguments), audits=True)


def _arguments(scope: PassContext, row: Projection) -> dict[str, Any] | None:
    """What a projection was asked for with; ``None`` if this version of the app has no such projection."""
    step = scope.registered.projections.get(row.function)
    try:
        return None if step is None else step.function.fit(codec.decode(scope.runtime.unseal(row.request)))
    except BadArguments:
        return None


async def _bring(
    scope: PassContext, finding: NewFinding, step: ProjectStep[...], arguments: dict[str, Any]
) -> str | None:
    try:
        await bring(step, scope.runtime, arguments, None, audit=scope.audit(finding, _BROUGHT))
    except NotConfirmed:
        return None
    return _BROUGHT


type _Seen = AsyncIterator[tuple[list[Discrepancy], int, Any]]


async def _listed_pages(scope: PassContext, name: str, after: Any) -> _Seen:
    """What the projection's own list has: also what was never projected."""
    step = scope.registered.projections[name]
    [parameter], listed = step.function.parameters, step.listed
    assert listed is not None
    [behind] = listed.parameters
    injected = await scope.runtime.injector.resolve(listed)
    while True:
        async with scope.runtime.record.reading() as connection:
            page = await ask(scope.runtime, listed, connection, listed.fit({behind: after}), injected)
        if not page:
            return
        values = codec.decode(codec.encode(list(page), f"what {listed!r} returned"))
        given = [step.function.fit({parameter: value}) for value in values]
        after = values[-1]
        yield await _drifted(scope, [(step, arguments) for arguments in given], listed=True), len(page), after


async def _projected_pages(scope: PassContext, _: str, after: Any) -> _Seen:
    """What was ever projected: also what the record has no more."""
    after = after or ""
    while True:
        async with scope.runtime.record.session() as session:
            rows = await session.projections(after, PAGE)
        if not rows:
            return
        after = rows[-1].key
        known = [
            (scope.registered.projections[row.function], arguments)
            for row in rows
            if (arguments := _arguments(scope, row)) is not None
        ]
        yield await _drifted(scope, known, listed=False), len(rows), after


async def _drifted(
    scope: PassContext, shown: list[tuple[ProjectStep[...], dict[str, Any]]], *, listed: bool
) -> list[Discrepancy]:
    """``listed``: they are what there is. Of what was ever projected by a step that lists, the rest was looked at."""

    async def differs(step: ProjectStep[...], arguments: dict[str, Any]) -> str | None:
        return await _differs(scope, step, arguments, gone=not listed and step.listed is not None)

    suspects = [(step, arguments) for step, arguments in shown if await differs(step, arguments)]
    if suspects:
        await scope.runtime.sleeper(_SETTLING_S)
    discrepancies = []
    for step, arguments in suspects:
        if (how := await differs(step, arguments)) is not None:
            finding = NewFinding(code="RF-MIRROR-DRIFT", subject=step.key_for(arguments), detail=f"{step.name}: {how}")
            discrepancies.append(Discrepancy(finding, partial(_bring, scope, finding, step, arguments), audits=True))
    return discrepancies


async def _differs(scope: PassContext, step: ProjectStep[...], arguments: dict[str, Any], *, gone: bool) -> str | None:
    """How a mirror's entry differs from the record; fields are named without their values."""
    mirror = await step.mirror(scope.runtime)
    there = await mirror.find(step.id_for(arguments))
    async with scope.runtime.record.reading() as connection:
        wanted = await read(step, scope.runtime, connection, arguments)
    if gone and wanted is not None:
        return None
    return _difference(mirror, wanted, None if there is None else there.document)


def _difference(reference: Reference, wanted: Any, shown: Any) -> str | None:
    if wanted == shown:
        return None
    if shown is None:
        return f"{reference.where} does not have it"
    if wanted is None:
        return f"{reference.where} has it, and the record does not"
    differing = codec.differences(codec.encode(shown, "an entry"), codec.encode(wanted, "a document"))
    return f"{reference.where} has another {differing}"


# ── what was staged ─────────────────────────────────────────────────────────


async def _staged_pages(scope: PassContext, name: str, after: Any) -> _Seen:
    step = scope.registered.effects[name]
    assert isinstance(step, StageStep)
    reference = await step.reference(scope.runtime)
    behind = ("", 0) if after is None else (str(after[0]), int(after[1]))
    while True:
        async with scope.runtime.record.session() as session:
            receipts = await session.done_by(name, behind, PAGE)
        if not receipts:
            return
        behind = (receipts[-1].key, receipts[-1].attempt)
        discrepancies = []
        for receipt in receipts:
            entry = step.entry_of(codec.decode(scope.runtime.unseal(receipt.frozen or "null")))
            there = await reference.find(entry.id)
            # One with a version is the record's, and was compared as such.
            if there is None or (there.version == 0 and there.document != entry.document):
                how = _difference(reference, entry.document, None if there is None else there.document)
                finding = NewFinding(
                    code="RF-STAGE-DRIFT", subject=receipt.key, workflow=receipt.workflow, detail=f"{name}: {how}"
                )
                discrepancies.append(
                    Discrepancy(finding, partial(_stage_again, scope, step, receipt) if there is None else None)
                )
        yield discrepancies, len(receipts), list(behind)


async def _stage_again(scope: PassContext, step: StageStep[..., Any], receipt: Receipt) -> str | None:
    entry = step.entry_of(codec.decode(scope.runtime.unseal(receipt.frozen or "null")))
    try:
        await step.put(scope.runtime, receipt.key, entry)
    except DifferentEntry:
        return None
    except Exception as error:  # noqa: BLE001 - a reference that is out of reach is asked again in a later round
        scope.runtime.observe(Suspected(receipt.key, describe(error)))
        return None
    return "staged again, as it was"
