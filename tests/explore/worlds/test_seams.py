"""Seams are arguments: an app that is given some asks them, one that is not has nothing in between, and nothing of
recordfirst is patched while a world runs it.
"""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from recordfirst import App
from recordfirst.engine.options import Embedded
from recordfirst.observe import Event
from recordfirst.process.limit import Limit
from recordfirst.process.seams import NO_SEAMS, OpenEngine, Outgoing, Seams
from recordfirst.records.sqlite import SqliteRecord
from recordfirst.testing.outside import Outside
from tests.explore.shop import CASE, ORDER, TABLES, Bank

START_MS = 1_700_000_000_000

_WHILE_IT_RUNS = """
import sys, types
import msgspec
from recordfirst.explore import FastWorld
from recordfirst.explore.worlds import named
from tests.explore.shop import CASE

def functions_of_ours():
    found = {}
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] != "recordfirst":
            continue
        for attribute, value in vars(module).items():
            found[name, attribute] = value
            if isinstance(value, type) and value.__module__ == name:
                found |= {(name, attribute, each): part for each, part in vars(value).items()}
    return {name: value for name, value in found.items() if callable(value) or hasattr(value, "__get__")}

before = functions_of_ours()
changed = set()

def provide(outside):
    now = functions_of_ours()
    changed.update(name for name in before if now.get(name) is not before[name])
    return CASE.provide(outside)

world = FastWorld(msgspec.structs.replace(CASE, provide=provide), deaths="abandoned")
assert world.refer().violations == ()
assert len(before) > 3000, len(before)
print(sorted(changed))
world.close()
"""


def test_nothing_of_ours_is_patched_while_a_world_runs() -> None:
    """P10: what is explored is what runs in production."""
    said = subprocess.run(
        [sys.executable, "-c", _WHILE_IT_RUNS], capture_output=True, text=True, check=False, timeout=100
    )
    assert (said.stdout.strip(), said.returncode) == ("[]", 0), said.stderr


class Standing(Seams):
    """Writes down what passes."""

    def __init__(self) -> None:
        self.passed: list[tuple[str, ...]] = []
        self.ids = 0
        self.engine: OpenEngine | None = None

    def now_ms(self) -> int:
        return START_MS

    def new_id(self) -> str:
        self.ids += 1
        return f"{self.ids:032x}"

    def engine_opened(self, engine: OpenEngine) -> None:
        self.engine = engine

    async def request(self, request: str, send: Callable[[], Awaitable[str]]) -> str:
        self.passed.append(("request",))
        return await send()

    async def call(self, outgoing: Outgoing, limit: Limit, send: Callable[[Limit], Awaitable[Any]]) -> Any:
        self.passed.append(("call", outgoing.name, outgoing.key, str(outgoing.after())))
        return await send(limit)


async def shop(tmp_path: Path, seams: Seams) -> list[Event]:
    """Run one order on an engine and a record in files."""
    record, events = SqliteRecord(tmp_path / "shop.db"), list[Event]()
    await record.open("shop")
    await record.migrate()
    async with record.transaction() as tx:
        await tx.connection.execute(TABLES)
    await record.close()
    engine = Embedded(tmp_path / "engine")
    app = App("shop", record=record, workflows=[CASE.workflow], engine=engine, seams=seams, observer=events.append)
    app.provide(Bank(Outside(tmp_path / "outside", seams.now_ms)))
    async with app.worker():
        handle = await app.start(CASE.workflow, ORDER, id="order:1")
        await handle.result()
    return events


async def test_an_app_asks_the_seams_that_it_was_given(tmp_path: Path) -> None:
    """P10: for ids and the engine's time; and each request and call passes there."""
    seams = Standing()
    assert await shop(tmp_path, seams) == []
    assert seams.engine is not None
    assert [each for each in seams.passed if each[0] == "call"] == [
        ("call", "charge_card", "shop/order:1:charge", "order:1/insert_order")
    ]
    assert seams.passed.count(("request",)) > 3
    with contextlib.closing(sqlite3.connect(tmp_path / "shop.db")) as connection:
        [name] = connection.execute("SELECT record FROM recordfirst_timeline").fetchone()
    assert name in {f"{number:032x}" for number in range(1, seams.ids + 1)}


async def test_a_probe_passes_too() -> None:
    """P5: whoever stands there gets its key, and may ask or not."""
    assert await NO_SEAMS.probe("find_charge", "key", _answer) == "found"
    outgoing = Outgoing("charge_card", "key", lambda: None, None)
    assert await NO_SEAMS.call(outgoing, Limit(1, 1), lambda _: _answer()) == "found"


async def _answer() -> str:
    return "found"
