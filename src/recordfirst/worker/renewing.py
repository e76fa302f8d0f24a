"""Epochs that the engine holds and this worker cannot read get a new epoch, made from the record (P6, P7).

Their content was encrypted with a key that is not here (a worker had a wrong one, or the key was removed), or it is
damaged. The engine would deliver such an epoch again and again. Receipts answer for completed steps.
Lost: what only the engine had, which are the results of plain ``ctx.run`` functions and the progress of a sleep.
"""

from __future__ import annotations

import asyncio

from recordfirst.core import identity
from recordfirst.core.text import safe_text
from recordfirst.engine.contract import Engine
from recordfirst.execution.runtime import Runtime
from recordfirst.observe import DispatchFailed, EpochUnreadable

_AGAIN_S = 1.0


async def renew(runtime: Runtime, engine: Engine) -> None:
    """Open a new epoch of each epoch that the engine says to be unreadable, until cancelled."""
    found: asyncio.Queue[str] = asyncio.Queue()
    done: set[tuple[str, int]] = set()
    engine.tell_unreadable(found.put_nowait)
    while True:
        promise = await found.get()
        # A step's or a part's promise belongs to the epoch whose id it begins with.
        epoch = identity.epoch_of(runtime.app, promise.partition(":")[0])
        if epoch is None:
            continue
        try:
            if epoch not in done:
                await _renew(runtime, engine, promise, *epoch)
                done.add(epoch)
            # A part is a task of its own: an engine that is not ours to clear would deliver it for ever.
            await engine.settle(promise)
        except Exception as error:  # noqa: BLE001 - it is delivered again, and so found again
            runtime.observe(DispatchFailed(f"{promise} cannot be read, and was not renewed: {safe_text(error)}"))
            await runtime.sleeper(_AGAIN_S)
            found.put_nowait(promise)


async def _renew(runtime: Runtime, engine: Engine, promise: str, id: str, epoch: int) -> None:
    async def store() -> list[str]:
        async with runtime.record.session() as session:
            start = await session.find_start(id)
            if start is None or start.state != "open" or start.epoch != epoch:
                return []
            return await session.new_epoch([start])

    born = await runtime.patiently(f"new epoch of {id!r}", store, release=False)
    if born:
        runtime.over.add((id, epoch))
        runtime.observe(EpochUnreadable(id, epoch, promise))
    engine_id = identity.engine_id(runtime.app, id, epoch)
    await engine.settle(engine_id)
    engine.forget(engine_id)
    runtime.nudge()
