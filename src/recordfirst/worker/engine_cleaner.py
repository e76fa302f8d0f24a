"""Collects, now and then, what has ended in an engine and was left there, while a worker runs.

Most epochs are forgotten at once, when the record has stored their end. A crash, a retry or a new epoch leaves others
behind. Kept is an epoch that the record may still ask for. If an epoch has ended in the engine while its start is open
in that epoch, its end is on its way, or was lost. An id that the record does not know may come back with a restore.
Marks that are needed to notice a restore are kept, too; others leave the engine as soon as they tell nothing.
"""

from __future__ import annotations

from recordfirst.core import identity
from recordfirst.core.start import Start
from recordfirst.engine.contract import Engine
from recordfirst.execution.runtime import Runtime
from recordfirst.observe import CollectFailed
from recordfirst.reconcile.restores import unneeded_marks

EVERY_S = 60.0
"""Between two rounds."""


async def collect_regularly(runtime: Runtime, engine: Engine) -> None:
    """Collect until cancelled. What fails is tried again in the next round."""
    while True:
        await runtime.seams.pause(EVERY_S)
        try:
            await collect(runtime, engine)
        except Exception as error:  # noqa: BLE001 - nothing depends on it, and the next round looks again
            runtime.observe(CollectFailed(f"{type(error).__name__}: {error}"))


async def collect(runtime: Runtime, engine: Engine) -> None:
    """Let the engine forget every ended epoch whose start the record has closed, or has in a later epoch.

    Marks that are needed no more go as well: their worker may have died before it could say so.
    """
    after = ""
    while page := await engine.ended(after):
        after = page[-1]
        epochs = {each: found for each in page if (found := identity.epoch_of(runtime.app, each)) is not None}
        async with runtime.record.session() as session:
            starts = {start.id: start for start in await session.find_starts([id for id, _ in epochs.values()])}
        for mark in await unneeded_marks(runtime, engine, page):
            engine.forget(mark)
        for engine_id, (id, epoch) in epochs.items():
            start = starts.get(id)
            if start is not None and _is_over(start, epoch):
                engine.forget(engine_id)


def _is_over(start: Start, epoch: int) -> bool:
    return start.epoch > epoch or (start.epoch == epoch and start.state != "open")
