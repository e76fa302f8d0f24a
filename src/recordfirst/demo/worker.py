"""A worker process of the demo: works or stands by, until it gets SIGTERM or is killed."""

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
    """Work until SIGTERM. Print ``working`` when this process begins to work: at once, if workers share an engine."""
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
    # The faults are intended, so only errors are logged; the table at the end shows the outcome.
    logging.getLogger("recordfirst").setLevel(logging.ERROR)
    # An interrupt goes to all processes of the demo. It must not print a traceback for each of them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(work(*sys.argv[1:5]))
