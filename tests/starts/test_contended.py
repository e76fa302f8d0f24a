"""A start that meets a record which another process holds for ever ends in bounded time, and says who holds it (P7)."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from recordfirst import Context, workflow
from recordfirst.client import starting
from recordfirst.errors import RecordUnavailable
from recordfirst.execution import patience

HOLDS = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], autocommit=True)
connection.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.read()
"""


@workflow
async def nothing(ctx: Context) -> None:
    return None


@pytest.mark.parametrize("starts", [1, 30])
async def test_a_start_ends_while_another_process_holds_the_record(
    sqlite_path: Path, make_shop: Any, monkeypatch: pytest.MonkeyPatch, starts: int
) -> None:
    """P7: none of them was accepted, and each says so; when the record is free again, they are."""
    monkeypatch.setattr(patience, "CONTENDED_MOST_S", 1.0)
    monkeypatch.setattr(starting, "_START_WITHIN_S", 6.0)
    shop = make_shop(f"sqlite:///{sqlite_path}")
    async with shop.app(nothing) as app:
        with holding(sqlite_path) as pid:
            async with asyncio.timeout(20):
                ended = await asyncio.gather(
                    *(app.start(nothing, id=str(n)) for n in range(starts)), return_exceptions=True
                )
        assert {type(error) for error in ended} == {RecordUnavailable}
        if starts == 1 and sys.platform == "linux":
            assert f"process {pid}, which holds {sqlite_path}" in str(ended[0])
        for n in range(starts):
            assert (await app.start(nothing, id=str(n))).id == str(n)


@contextlib.contextmanager
def holding(path: Path) -> Iterator[int]:
    """Another process, in the midst of a transaction."""
    command = [sys.executable, "-c", HOLDS, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process.pid
        process.communicate("")
