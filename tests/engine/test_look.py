"""What an engine says of itself: epochs, and the notes that are left with it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from recordfirst.conformance.record import run
from recordfirst.engine.connect import connect
from recordfirst.engine.shared import Membership
from recordfirst.records.sqlite import SqliteRecord
from tests.engine.double import Server


@contextlib.asynccontextmanager
async def engine_of(kind):
    """A started engine of each kind, with a workflow that nobody runs."""
    async with contextlib.AsyncExitStack() as stack:
        url = await stack.enter_async_context(Server().running()) if kind == "server" else None
        path = Path(stack.enter_context(TemporaryDirectory())) / "record"
        engine = connect(url, Membership("shop", "shop", 1, None), SqliteRecord(path))
        await engine.open()
        await engine.start()
        stack.push_async_callback(engine.stop)
        yield engine


@pytest.mark.parametrize("kind", ["file", "server"])
def test_looking_changes_nothing(kind):
    """P6: what the engine does not have it says so, and still has not; what it has is running, then settled."""

    async def go():
        async with engine_of(kind) as engine:
            assert [await engine.look("shop~a") for _ in range(2)] == [None, None]
            await engine.note("shop~a", "there")
            assert [await engine.look("shop~a") for _ in range(2)] == ["running", "running"]
            assert await engine.settle("shop~a")
            assert await engine.look("shop~a") == "settled"

    run(go())


@pytest.mark.parametrize("kind", ["file", "server"])
def test_first_note_stays(kind):
    """P6: who leaves a note learns which one was there before."""

    async def go():
        async with engine_of(kind) as engine:
            assert await engine.noted("recordfirst~shop~1") is None
            assert await engine.note("recordfirst~shop~1", "one") == "one"
            assert await engine.note("recordfirst~shop~1", "other") == "one"
            assert await engine.noted("recordfirst~shop~1") == "one"
            assert await engine.settle("recordfirst~shop~1")
            assert await engine.noted("recordfirst~shop~1") == "one"

    run(go())
