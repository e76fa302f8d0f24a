"""A worker process of the demo: works, or stands by, until it is told to end or is killed."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys

from recordfirst.client.app import App
from recordfirst.demo.shop import build_app
from recordfirst.records.open import record_from_url


async def work(record_url: str, stripe_url: str, warehouse_url: str, engine: str) -> None:
    """Work for the shop that charges cards."""
    await work_with(build_app(record_from_url(record_url), stripe_url, warehouse_url, engine or None))


async def work_with(app: App) -> None:
    """Work until SIGTERM; print ``working`` when it is our turn, or at once on an engine that workers share."""
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    async with app.worker() as worker:
        ours = asyncio.create_task(worker.working.wait())
        told = asyncio.create_task(stopping.wait())
        await asyncio.wait({ours, told}, return_when=asyncio.FIRST_COMPLETED)
        if ours.done():
            sys.stdout.write("working\n")
            sys.stdout.flush()
        await told
        ours.cancel()


if __name__ == "__main__":
    # What goes wrong is meant to: the table at the end tells.
    logging.getLogger("recordfirst").setLevel(logging.ERROR)
    # The demo's own processes are killed by the dozen; an interrupt ends them without a traceback each.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(work(*sys.argv[1:5]))
