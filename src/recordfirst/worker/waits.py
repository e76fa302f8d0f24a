"""Reports steps of this worker that have waited for the record for minutes: a workflow may wait, but not silently (P9).

If another session keeps a row locked, a step waits without end, in the server or by tries, and nothing of that is
stored. So the worker remembers what is under way, and opens a finding for what takes long. It closes the finding when
the step has finished waiting.
"""

from __future__ import annotations

import asyncio

from recordfirst.core.finding import NewFinding
from recordfirst.core.waits import wait_of
from recordfirst.execution.calls import execution_of
from recordfirst.execution.patience import UnderWay
from recordfirst.execution.runtime import Runtime
from recordfirst.observe import ReconcileFailed, StepWaits

_LONG_S = 120.0
"""What has waited for longer is told."""
_EVERY_S = 30.0


async def tell_waits(runtime: Runtime) -> None:
    """Look now and then until cancelled. While nothing waits, the record is asked nothing."""
    told: dict[str, NewFinding] = {}
    while True:
        await runtime.seams.pause(min(_EVERY_S, _LONG_S))
        try:
            await _look(runtime, told)
        except Exception as error:  # noqa: BLE001 - the record may be what is waited for; the next look tells
            runtime.observe(ReconcileFailed(f"what waits: {type(error).__name__}: {error}"))


async def _look(runtime: Runtime, told: dict[str, NewFinding]) -> None:
    waiting = _waiting(runtime)
    for workflow, (each, waited_s) in waiting.items():
        if workflow not in told:
            runtime.observe(StepWaits(workflow, each.what, waited_s, each.cause))
    if not waiting and not told:
        return
    # Where one transaction at a time writes, this one may wait behind what it tells of: then the event has told.
    async with asyncio.timeout(_EVERY_S), runtime.record.session() as session:
        now_ms = await session.now_ms()
        found = {
            workflow: wait_of(workflow, each.what, waited_s=waited_s, cause=each.cause, now_ms=now_ms)
            for workflow, (each, waited_s) in waiting.items()
        }
        over = [finding for workflow, finding in told.items() if workflow not in found]
        told |= found
        await session.saw_findings(list(found.values()), "as it waits")
        await session.close_findings(over, "it has come through")
    for finding in over:
        del told[finding.subject]


def _waiting(runtime: Runtime) -> dict[str, tuple[UnderWay, float]]:
    """What has been under way for long, the longest of each workflow, and for how many seconds."""
    now_s, found = runtime.loop.time(), dict[str, tuple[UnderWay, float]]()
    for each in sorted(runtime.under_patience, key=lambda each: each.since_s):
        workflow, _ = execution_of(each.task)
        if workflow is not None and now_s - each.since_s >= _LONG_S:
            found.setdefault(workflow, (each, now_s - each.since_s))
    return found
