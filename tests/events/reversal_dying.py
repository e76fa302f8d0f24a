"""A worker whose on_reversal dies, before COMMIT or after it: ``python -m tests.events.reversal_dying URL POINT``."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from typing import Any

from recordfirst import App, Call, Context, Provider, Reversal, SignedEvents, TakenBack, Write, effect, workflow
from recordfirst.events import taking
from recordfirst.execution.reversals import Reversals
from recordfirst.records.open import record_from_url
from tests.engines import engine_for

SOURCE = SignedEvents("bank", secrets=["s"], header="X-Signature", references=lambda event: [event["transfer"]])


class Bank(Provider, frozen=True, kw_only=True):
    """It has sent every transfer, and a part of each came back."""

    name: str = "bank"
    retention_s: int | None = 86_400

    def references(self, result: Any) -> Mapping[str, str]:
        return {"transfer": result}

    async def taken_back(self, get: Any, references: Mapping[str, str]) -> list[TakenBack]:
        id = f"back of {references['transfer']}"
        return [TakenBack(how="return", id=id, amount_minor=30, currency="eur", at_ms=1)]


@effect(key="order:{order}:send", provider=Bank, after=None)
async def send(call: Call, order: str) -> str:
    return f"tr_{order}"


@send.on_reversal
async def note(w: Write[Any], order: str, reversal: Reversal) -> None:
    await w.tx.execute(f"INSERT INTO visits (who) VALUES ('{order} {reversal.kind} {reversal.amount_minor}')")
    w.start(follow, order, id=f"back:{order}")
    if sys.argv[2:] == ["before"]:
        os.kill(os.getpid(), signal.SIGKILL)


@workflow
async def follow(ctx: Context, order: str) -> str:
    return order


@workflow
async def pay_out(ctx: Context, order: str) -> str:
    return await send(ctx, order)


def app_of(url: str) -> App:
    app = App("shop", record=record_from_url(url), workflows=[pay_out, follow], engine=engine_for(url))
    app.events(SOURCE)
    return app


async def work(url: str, point: str) -> None:
    taking.CLAIM_MS = 300
    whole = Reversals.store

    async def until_dead(*args: Any) -> None:
        await whole(*args)
        if point == "after":
            os.kill(os.getpid(), signal.SIGKILL)

    Reversals.store = until_dead  # type: ignore[method-assign,assignment]
    async with app_of(url).worker() as worker:
        await worker.working.wait()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1], sys.argv[2]))
