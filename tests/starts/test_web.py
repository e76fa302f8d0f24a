"""A web handler commits an order and its workflow's start in one transaction, and its process dies around it."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from pathlib import Path

import aiohttp
import pytest

from recordfirst.conformance.record import run
from tests.starts.web import Order, create_order, shop

ROOT = Path(__file__).parents[2]


@contextlib.asynccontextmanager
async def web_shop(url):
    """The process, and the address that it serves."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.starts.web", url), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        yield process, (await process.stdout.readline()).decode().strip()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def post(address, body, query=""):
    """The answer's status and text; ``None`` if there was none."""
    try:
        async with aiohttp.ClientSession() as session, session.post(f"{address}?{query}", data=body) as reply:
            return reply.status, await reply.text()
    except aiohttp.ClientError:
        return None


async def rows(app, query):
    async with app.record.read() as connection:
        return [tuple(row) for row in await (await connection.execute(query)).fetchall()]


def test_order_and_workflow_commit_together(record_url):
    """P7, P2: both are there when the handler answers, a worker elsewhere runs it, and charges once as announced."""

    async def go():
        async with web_shop(record_url) as (_, address), shop(record_url) as app, app.worker():
            assert await post(address, b'{"id":"1","amount":5}') == (202, "accepted")
            assert await post(address, b'{"id":"1","amount":5}') == (202, "accepted")
            assert await (await app.handle("order:1")).result() == "done"
            status, text = await post(address, b'{"id":"1","amount":6}')
            assert (status, "amount=5" in text, "amount=6" in text) == (409, True, True)
            assert await rows(app, "SELECT id, amount FROM orders") == [("1", 5)]
            assert sorted(await rows(app, "SELECT who FROM visits")) == [("accepted 1",), ("charged 1: 5",)]
            async with app.runtime.record.session() as session:
                [receipt] = await session.receipts_by_key("order:1:charge")
            assert (receipt.workflow, receipt.state, receipt.calls) == ("order:1", "succeeded", 1)

    run(go())


@pytest.mark.parametrize("dies", ["before", "after"])
def test_killed_around_the_commit(record_url, dies):
    """P7: right after it the workflow runs, though nobody was answered; right before it nothing exists."""

    async def go():
        async with web_shop(record_url) as (process, address):
            assert await post(address, b'{"id":"1","amount":5}', dies) is None
            assert await process.wait() == -signal.SIGKILL
        async with shop(record_url) as app, app.worker():
            async with app.runtime.record.session() as session:
                found = await session.find_start("order:1"), await session.receipts_by_key("order:1:charge")
            if dies == "before":
                assert found == (None, [])
                assert await rows(app, "SELECT id FROM orders") == []
                await app.start(create_order, Order("1", 5), id="order:1")
            assert await (await app.handle("order:1")).result() == "done"
            assert sorted(await rows(app, "SELECT who FROM visits")) == [("accepted 1",), ("charged 1: 5",)]

    run(go())
