"""Open starts against the engine: each has an epoch there, or gets one.

Each suspect is looked at twice, with a pause in between: a start that is just being dispatched, or closed, is no
disagreement. A repair is a new epoch; the dispatcher gives it to the engine, and receipts answer for what was done.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

from recordfirst.core import identity, stops
from recordfirst.core.finding import NewFinding
from recordfirst.core.start import Start
from recordfirst.engine.contract import Engine
from recordfirst.execution.runtime import Runtime
from recordfirst.execution.starts import arguments_of
from recordfirst.reconcile.contract import PAGE, Discrepancy, Page, PassContext

_SETTLING_S = 2.0
"""Between two looks at an epoch that seems wrong."""
_UNTAKEN_MS = 5 * 60_000
"""How long an accepted workflow may wait for a worker before it is worth a finding."""


class Epochs:
    """Starts without a live promise; promises settled while the start is open; starts that nobody can take."""

    name = "epochs"
    codes: tuple[str, ...] = ("RF-START-LOST", "RF-START-ENDED", "RF-START-UNTAKEN", "RF-START-UNFIT", stops.CODE)
    full_scan = False
    dated = True

    async def pages(self, scope: PassContext, position: str | None) -> AsyncIterator[Page]:
        """Look at every open start."""
        after, told = position, set[str]()
        while True:
            async with scope.runtime.record.session() as session:
                starts = await session.open_starts(after, scope.since_ms, PAGE)
                now_ms = await session.now_ms()
            if not starts:
                return
            after, looked = starts[-1].id, len(starts)
            discrepancies = [Discrepancy(stops.stop_of(start)) for start in starts if start.is_stopped]
            starts = [start for start in starts if not start.is_stopped]
            unfit = {start.id: why for start in starts if (why := _why_unfit(scope, start))}
            discrepancies += [_unfit(start, unfit[start.id]) for start in starts if start.id in unfit]
            # Who cannot be run is not waited for.
            discrepancies += _untaken([start for start in starts if start.id not in unfit], now_ms, told)
            if scope.engine is not None:
                discrepancies += await _astray(scope, scope.engine, starts)
            yield Page(discrepancies, looked, after)


def _why_unfit(scope: PassContext, start: Start) -> str | None:
    workflow = scope.registered.workflows.get(start.workflow)
    if workflow is None:
        return f"the app has no workflow {start.workflow!r}"
    try:
        arguments_of(scope.runtime, workflow, start)
    except Exception as error:  # noqa: BLE001 - whatever it is, this version cannot run it; it may quote arguments
        return f"{start.workflow} cannot be run with its arguments: {type(error).__name__}"
    return None


def _unfit(start: Start, why: str) -> Discrepancy:
    return Discrepancy(NewFinding(code="RF-START-UNFIT", subject=start.id, workflow=start.id, detail=why))


def _untaken(starts: list[Start], now_ms: int, told: set[str]) -> list[Discrepancy]:
    """One finding for each name of a workflow that is not ``told``: who is missing is missing for all of them."""
    oldest: dict[str, Start] = {}
    for start in starts:
        if start.workflow not in told and start.engine is None and now_ms - start.created_at_ms > _UNTAKEN_MS:
            oldest.setdefault(start.workflow, start)
    told.update(oldest)
    return [
        Discrepancy(
            NewFinding(
                code="RF-START-UNTAKEN",
                subject=name,
                workflow=start.id,
                detail=f"no worker has taken {start.id!r} in {(now_ms - start.created_at_ms) // 60_000} minutes",
            )
        )
        for name, start in oldest.items()
    ]


async def _astray(scope: PassContext, engine: Engine, starts: list[Start]) -> list[Discrepancy]:
    runtime = scope.runtime
    suspects = [start for start in starts if await _life(runtime, engine, start) is not None]
    if not suspects:
        return []
    await runtime.sleeper(_SETTLING_S)
    discrepancies = []
    for suspect in suspects:
        async with runtime.record.session() as session:
            start = await session.find_start(suspect.id)
        if start is None or (start.state, start.epoch, start.engine) != ("open", suspect.epoch, suspect.engine):
            continue
        code = await _life(runtime, engine, start)
        if code is not None:
            detail = f"epoch {start.epoch} " + (
                "is not in the engine" if code == "RF-START-LOST" else "has ended there"
            )
            finding = NewFinding(code=code, subject=start.id, workflow=start.id, detail=detail)
            discrepancies.append(Discrepancy(finding, partial(new_epoch, scope, finding, start), audits=True))
    return discrepancies


async def _life(runtime: Runtime, engine: Engine, start: Start) -> str | None:
    """What is wrong with a start's epoch; ``None`` if nothing is, or if it was not given to this engine."""
    if start.engine != engine.identity:
        return None
    match await engine.look(identity.engine_id(runtime.app, start.id, start.epoch)):
        case "running":
            return None
        case "settled":
            return "RF-START-ENDED"
        case _:
            return "RF-START-LOST"


async def new_epoch(scope: PassContext, finding: NewFinding, start: Start) -> str | None:
    """Open a new epoch, unless the start has moved on."""
    runtime, done = scope.runtime, f"epoch {start.epoch + 1} opened"

    async def store() -> list[str]:
        async with runtime.record.transaction() as tx:
            born = await tx.new_epoch([start])
            if born:
                await tx.add_audit(scope.audit(finding, done))
            await runtime.record.notify(tx)
            return born

    born: list[Any] = await runtime.patiently(f"new epoch of {start.id!r}", store, release=False)
    runtime.nudge()
    return done if born else "it has moved on"
