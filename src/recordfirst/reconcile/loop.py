"""What lets a worker reconcile by itself: a round now and then, held by one worker at a time."""

from __future__ import annotations

from typing import Any

from recordfirst.engine.contract import Engine
from recordfirst.execution.patience import fault_of
from recordfirst.execution.runtime import Runtime
from recordfirst.observe import Reconciled, ReconcileFailed
from recordfirst.reconcile.contract import PassContext
from recordfirst.reconcile.reconciler import OPEN, repair
from recordfirst.reconcile.restores import check, glance

EVERY_S = 60.0
"""Between two rounds."""
WATCH_S = 1.0
"""Between two looks whether effects are held."""
MARK_EVERY = 10
"""So many looks, and record and engine are compared again, and get a new mark: as much may go back unnoticed. It costs
four commits."""
_FIRST_S = 5.0
"""A worker that has just begun puts back by itself what it finds open."""


async def keep(scope: PassContext) -> None:
    """Reconcile until cancelled. What fails is tried again in the next round, from the page where it failed."""
    runtime = scope.runtime
    await runtime.seams.pause(_FIRST_S)
    while True:
        try:
            await _round(scope)
        except Exception as error:  # noqa: BLE001 - whatever failed, work goes on, and the next round looks again
            runtime.observe(ReconcileFailed(f"{type(error).__name__}: {error}"))
        await runtime.seams.pause(EVERY_S)


async def watch(runtime: Runtime, engine: Engine) -> None:
    """Look whether work may go on; compare record and engine, and leave a mark, now and then.

    Raises:
        EffectsHeld: if it must end.
        RecordfirstError: if it must begin anew.
    """
    looks = 0
    while True:
        await runtime.seams.pause(WATCH_S)
        looks += 1
        try:
            await glance(runtime)
        except Exception as error:
            if fault_of(runtime.record, error) is None:
                raise
            continue
        if looks % MARK_EVERY == 0:
            await check(runtime, engine)


async def _round(scope: PassContext) -> None:
    record: Any = scope.runtime.record
    async with record.lease("reconcile"):
        if not await _is_time(scope):
            return
        report = await repair(scope, OPEN, lambda _, __: None, who="worker", why=None)
    for found in (each for each in report.found if each.is_new or each.repaired):
        scope.runtime.observe(Reconciled(found.finding.code, found.finding.subject, found.repaired))


async def _is_time(scope: PassContext) -> bool:
    """Whether no other worker's round has ended just now."""
    async with scope.runtime.record.session() as session:
        state, now_ms = await session.find_pass(OPEN[-1].name), await session.now_ms()
    return state is None or state.finished_at_ms is None or now_ms - state.finished_at_ms >= EVERY_S * 500
