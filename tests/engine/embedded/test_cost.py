"""What an epoch costs the file, counted in SQLite's own instructions: the same, however many have finished in it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from recordfirst.engine.embedded import store
from recordfirst.engine.embedded.store import Store
from tests.engine.embedded.operations import ADDRESS
from tests.engine.embedded.peers import Ours

START_MS = 1_000_000
FINISHED = 5_000
TARGET = {"resonate:target": ADDRESS}


class Counted(Ours[Store]):
    """The engine on its file, and how many instructions SQLite has carried out for it."""

    def __init__(self, state: Store) -> None:
        super().__init__(state, 5_000)
        self.instructions = 0
        state._sql.set_progress_handler(self._count, 1)

    def _count(self) -> int:
        self.instructions += 1
        return 0

    def ask(self, now: int, kind: str, **data: Any) -> None:
        """Make a request that is granted, in a commit of its own."""
        assert self.apply(now, kind, data)[0] == 200, (kind, data)
        self.end()

    def end(self) -> None:
        self.state.commit()
        self.state.settle()


@contextmanager
def opened(path: Path) -> Iterator[Counted]:
    state = Store(str(path), "record")
    try:
        yield Counted(state)
    finally:
        state.close()


def act(kind: str, **data: Any) -> dict[str, Any]:
    return {"kind": kind, "head": {}, "data": data}


def live(engine: Counted, id: str, now: int) -> None:
    """An epoch with a step, a sleep and a child's end, as the SDK asks for them; and the clock, looked at twice."""
    timer = TARGET | {"resonate:timer": "true"}
    root = act("promise.create", id=id, timeoutAt=10**15, tags=TARGET)
    step, sleep, wake = f"{id}:1", f"{id}:2", now + 50
    engine.ask(now, "task.create", pid="p", ttl=60_000, action=root)
    engine.ask(now, "task.fence", id=id, version=1, action=act("promise.create", id=step, timeoutAt=10**15, tags={}))
    engine.ask(now, "task.fence", id=id, version=1, action=act("promise.settle", id=step, state="resolved"))
    engine.ask(now, "task.fence", id=id, version=1, action=act("promise.create", id=sleep, timeoutAt=wake, tags=timer))
    waits = [act("promise.register_callback", awaited=sleep, awaiter=id)]
    engine.ask(now, "task.suspend", id=id, version=1, actions=waits)
    for when in (wake, wake + 10):
        engine.tick(when)
        engine.end()
        engine.state.next_due()
    engine.ask(wake, "task.acquire", id=id, version=1, pid="p", ttl=60_000)
    engine.ask(wake, "task.heartbeat", pid="p", tasks=[{"id": id, "version": 2}])
    engine.ask(wake, "task.fulfill", id=id, version=2, action=act("promise.settle", id=id, state="resolved"))
    engine.ask(wake, "promise.get", id=id)


def fill(path: Path, number: int) -> None:
    """Copies of an epoch that really was, as if nobody had collected them."""
    with opened(path) as engine:
        live(engine, "sample", START_MS)
    with sqlite3.connect(path) as file:
        file.execute("""
            WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < ?)
            INSERT INTO promises
            SELECT replace(id, 'sample', format('f%07d', n)), state, task, live, due_at,
                replace(body, 'sample', format('f%07d', n))
            FROM numbers, promises WHERE id GLOB 'sample*'
        """, (number,))  # fmt: skip
    file.close()


def test_life_costs_the_same_however_many_have_finished(tmp_path):
    """P7: nothing that an epoch asks of the file walks over what has finished."""
    spent = {}
    for number in (1, FINISHED):
        fill(tmp_path / f"{number}", number)
        with opened(tmp_path / f"{number}") as engine:
            live(engine, "m-before", START_MS)  # prepares its statements
            engine.instructions = 0
            live(engine, "m", START_MS)
            spent[number] = engine.instructions
    assert 0 < spent[FINISHED] <= spent[1] + 10, spent


def test_what_a_worker_asks_at_its_start_and_between_costs_what_is_open(tmp_path):
    """P7: what waits, what is due, what was under way: found by indexes that hold nothing of what has finished."""
    spent = {}
    for number in (1, FINISHED):
        fill(tmp_path / f"{number}", number)
        with opened(tmp_path / f"{number}") as engine:
            engine.instructions = 0
            assert engine.state.live("", 100) == engine.state.waiting(100) == []
            assert engine.state.next_due() is None
            engine.state.drop("sample")
            engine.end()
            spent[number] = engine.instructions
    assert 0 < spent[FINISHED] <= spent[1] + 10, spent


@pytest.mark.parametrize("name", ["lineage", "drop_lineage", "due", "next_due", "live", "waiting", "next_id", "ended"])
def test_no_statement_walks_the_table(tmp_path, name):
    """P7: as SQLite itself plans it: each is a search, or walks an index that holds what is open alone."""
    with opened(tmp_path / "engine") as engine:
        text = store._sql(name)
        values: Any = {"origin": "a"} if ":origin" in text else [1] * text.count("?")
        plan = [row[3] for row in engine.state._sql.execute("EXPLAIN QUERY PLAN " + text, values)]
    walked = [
        line for line in plan if line.startswith("SCAN") and "promises_due" not in line and "promises_live" not in line
    ]
    assert walked == [], plan


def test_a_look_is_no_reason_for_another(tmp_path):
    """P7: a lineage in which something is suspended is looked at when it changes, and not for having been looked at.

    What had ended with a part that waited was looked at without a pause.
    """
    with opened(tmp_path / "engine") as engine:
        root = act("promise.create", id="m", timeoutAt=10**15, tags=TARGET)
        timer = TARGET | {"resonate:timer": "true"}
        engine.ask(START_MS, "task.create", pid="p", ttl=60_000, action=root)
        sleep = act("promise.create", id="m:1", timeoutAt=10**12, tags=timer)
        engine.ask(START_MS, "task.fence", id="m", version=1, action=sleep)
        waits = [act("promise.register_callback", awaited="m:1", awaiter="m")]
        engine.ask(START_MS, "task.suspend", id="m", version=1, actions=waits)
        assert not engine.state.ended("m")
        engine.state.commit()
        assert engine.state.settle() == []
