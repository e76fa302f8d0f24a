"""Resumes workflows that a defect has stopped in other versions of the app: this version tries each once (P9).

It resumes a few at a time, because a deploy must not start everything that was stopped for weeks in one second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container

from recordfirst.core.start import Start
from recordfirst.core.stops import stop_of
from recordfirst.execution.runtime import Runtime
from recordfirst.observe import DispatchFailed, Resumed
from recordfirst.providers.contract import describe

_EVERY_S = 10.0
"""Between two looks for what a defect has stopped in another version."""
_MOST = 20
"""So many go on at a time; then, while there are more, each second."""


async def resume_regularly(runtime: Runtime, workflows: Container[str], nudge: Callable[[], None]) -> None:
    """Do so until cancelled. ``workflows``: names of those that this worker can run; ``nudge``: there is one to run."""
    while True:
        pause_s = _EVERY_S
        try:
            async with runtime.record.session() as session:
                stopped = await session.stopped(runtime.version, _MOST)
            known = [start for start in stopped if start.workflow in workflows]
            for start in known:
                if await _resume(runtime, start):
                    nudge()
            if known and len(stopped) == _MOST:
                pause_s = _EVERY_S / 10
        except Exception as error:  # noqa: BLE001 - it stays stopped, visibly, and is looked for again
            runtime.observe(DispatchFailed(describe(error)))
        await runtime.seams.pause(pause_s)


async def _resume(runtime: Runtime, start: Start) -> bool:
    async with runtime.record.transaction() as tx:
        resumed = await tx.resume(start.id, start.epoch, forget=False)
        if resumed is not None:
            await tx.close_findings([stop_of(start)], f"resumed by version {runtime.version}")
    if resumed is None:
        return False
    runtime.observe(Resumed(start.id, runtime.version))
    return True


async def cancelled(*tasks: asyncio.Task[None]) -> None:
    """Cancel these loops, and wait until they have ended."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
