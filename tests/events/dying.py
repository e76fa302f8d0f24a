"""A worker whose handler dies, before its COMMIT or after it: ``python -m tests.events.dying URL POINT``."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any

from recordfirst import App, Context, ProviderEvent, SignedEvents, Write, on_event, workflow
from recordfirst.events import handling, taking
from recordfirst.records.open import record_from_url
from tests.engines import engine_for

SOURCE = SignedEvents("warehouse", secrets=["s"], header="X-Signature")


@workflow
async def follow(ctx: Context, parcel: str) -> str:
    return parcel


@on_event("warehouse", "parcel.delivered")
async def note(w: Write[Any], event: ProviderEvent) -> None:
    await w.tx.execute(f"INSERT INTO visits (who) VALUES ('{event.id}')")
    w.start(follow, event.id, id=f"parcel:{event.id}")
    if sys.argv[2:] == ["before"]:
        os.kill(os.getpid(), signal.SIGKILL)


def app_of(url: str) -> App:
    app = App("shop", record=record_from_url(url), workflows=[follow], event_handlers=[note], engine=engine_for(url))
    app.events(SOURCE)
    return app


async def work(url: str, point: str) -> None:
    taking.CLAIM_MS = 300
    whole = handling._run

    async def until_dead(*args: Any) -> None:
        await whole(*args)
        if point == "after":
            os.kill(os.getpid(), signal.SIGKILL)

    handling._run = until_dead  # type: ignore[assignment]
    async with app_of(url).worker() as worker:
        await worker.working.wait()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1], sys.argv[2]))
