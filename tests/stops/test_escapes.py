"""P7, P9: whatever a plain function under ctx.run raises, or a part, the worker lives and the workflow stops."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from resonate.retry import Exponential

from recordfirst import Context, WorkflowStopped, workflow
from tests.starts.harness import Shop

raises: dict[str, BaseException] = {}
after: list[str] = []


async def waits_then_raises(ctx: Context) -> str:
    await asyncio.sleep(0)
    raise raises["it"]


def raises_in_a_thread(ctx: Context) -> str:
    raise raises["it"]


FUNCTIONS = {"async": waits_then_raises, "sync": raises_in_a_thread}


@workflow
async def part(ctx: Context) -> str:
    raise raises["it"]


@workflow
async def calling(ctx: Context, kind: str) -> str:
    try:
        called: Any = part if kind == "part" else FUNCTIONS[kind]
        return str(await ctx.run(called))
    finally:
        after.append("finally")


@workflow
async def healthy(ctx: Context) -> str:
    return "well"


@pytest.fixture(autouse=True)
def _no_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """They take seconds, and change nothing here."""
    monkeypatch.setattr(
        "recordfirst.engine.sdk.steps.PLAIN_RETRIES", Exponential(delay=1, factor=2, max_delay=1, max_retries=0)
    )


@pytest.mark.parametrize("kind", ["async", "sync", "part"])
@pytest.mark.parametrize(
    "raised",
    [SystemExit(1), KeyboardInterrupt(), asyncio.CancelledError("a library's"), GeneratorExit()],
    ids=lambda raised: type(raised).__name__,
)
async def test_it_ends_no_worker_and_stops_the_workflow(shop: Shop, kind: str, raised: Any) -> None:
    """P7, P9: the same worker runs another workflow, before anybody retries."""
    raises["it"] = raised
    async with asyncio.timeout(30), shop.working(calling, part, healthy) as app:
        with pytest.raises(WorkflowStopped, match=type(raised).__name__):
            await (await app.start(calling, kind, id="1")).result(if_stopped="raise")
        assert await (await app.start(healthy, id="2")).result() == "well"
