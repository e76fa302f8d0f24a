"""A worker is killed in a handler, before its COMMIT and after it: rows, receipt and workflow are there once."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from recordfirst.events.endpoint import EventEndpoint
from tests.events import reversal_dying
from tests.events.dying import SOURCE, app_of
from tests.events.test_signed import body, hmac_of
from tests.starts.harness import migrated

ROOT = Path(__file__).parents[2]


async def start(url: str, point: str, module: str = "dying") -> asyncio.subprocess.Process:
    command = (sys.executable, "-m", f"tests.events.{module}", url, point)
    return await asyncio.create_subprocess_exec(*command, cwd=ROOT)


@pytest.mark.parametrize("point", ["before", "after"])
async def test_a_handler_that_is_killed_has_run_once(record_url, point):
    """P2, P11: killed before COMMIT nothing is there, after it all of it; the next worker leaves it at one."""
    await migrated(record_url)
    async with app_of(record_url) as app:
        endpoint = EventEndpoint(app.runtime, SOURCE)
        given = body("p1", "parcel.delivered")
        event = SOURCE.read(given, {"x-signature": hmac_of(given)})
        assert await endpoint.take(event) == "new"
        first = await start(record_url, point)
        assert await first.wait() == -signal.SIGKILL

        async def visits() -> list[str]:
            async with app.record.read() as connection:
                rows = await (await connection.execute("SELECT who FROM visits")).fetchall()
            return [row[0] for row in rows]

        assert await visits() == ([] if point == "before" else ["p1"])
        second = await start(record_url, "never")
        try:
            async with asyncio.timeout(40):
                while (await app.operations.events.newest())[0].state != "done":
                    await asyncio.sleep(0.05)
                assert await (await app.handle("parcel:p1")).result() == "p1"
        finally:
            second.kill()
            await second.wait()
        assert await visits() == ["p1"]
        async with app.runtime.record.session() as session:
            assert (await session.find_receipt("event:warehouse:p1/note")).receipt is not None


@pytest.mark.parametrize("point", ["before", "after"])
async def test_a_reversal_whose_handler_is_killed_is_stored_once(record_url, point):
    """P2, P11: killed before COMMIT neither fact nor rows are there, after it both; the next worker adds none."""
    await migrated(record_url)
    app = reversal_dying.app_of(record_url)
    async with app.worker() as worker:
        await worker.working.wait()
        assert await (await app.start(reversal_dying.pay_out, "1", id="1")).result() == "tr_1"
    async with app:
        given = body("e1", "transfer.returned", transfer="tr_1")
        event = reversal_dying.SOURCE.read(given, {"x-signature": hmac_of(given)})
        assert await EventEndpoint(app.runtime, reversal_dying.SOURCE).take(event) == "new"
        first = await start(record_url, point, "reversal_dying")
        assert await first.wait() == -signal.SIGKILL
        table = "recordfirst.reversal" if record_url.startswith("postgresql") else "recordfirst_reversal"

        async def found() -> tuple[list[str], list[tuple[str, str]]]:
            async with app.record.read() as connection:
                rows = await (await connection.execute("SELECT who FROM visits")).fetchall()
                facts = await (await connection.execute(f"SELECT kind, handled_by FROM {table}")).fetchall()
            return [row[0] for row in rows], [tuple(each) for each in facts]

        once = (["1 returned 30"], [("returned", "note")])
        assert await found() == (([], []) if point == "before" else once)
        second = await start(record_url, "never", "reversal_dying")
        try:
            async with asyncio.timeout(40):
                while (await app.operations.events.newest())[0].state != "done":
                    await asyncio.sleep(0.05)
                assert await (await app.handle("back:1")).result() == "1"
        finally:
            second.kill()
            await second.wait()
        assert await found() == once
