"""What one process of a generated program does: it works, starts the program unless that was done, sees it end or stop.

As the explorer's own process, but for what a program may come to: a workflow that a defect has stopped is an end, too.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
from collections.abc import Sequence
from typing import Any

from recordfirst.client.app import App
from recordfirst.explore.programs.build import ID, Version
from recordfirst.explore.programs.ground import Place, Process, ProcessSeams, Stuck, answer, enter
from recordfirst.explore.programs.kit import Others, notes
from recordfirst.explore.programs.tree import Begin
from recordfirst.observe import Event

_LOOK_S = 2.5
_SOON_S = 0.05
_BEGIN_S = 600.0
_MOST_S = 40_000.0
_HOUR_MS = 3_600_000
_WAITS_MOST = 40
_BUSY_MOST = 8
"""So many looks at a body that runs here, and by which nothing changes: it waits by the process's own time (Resonate
tries a plain function again after 2, 4 and 8 s), which is not put forward, as no process stalls for an hour."""
_QUIET = 3
"""So many looks, with hours between them, nothing may happen once all that is open is stopped."""


async def work(name: str, version: Version, begin: Begin, place: Place, process: Process) -> None:
    """Be the process, until every workflow has ended or is stopped.

    Raises:
        Stuck: if one does not, though the provider and the operator have answered.
    """
    try:
        async with asyncio.timeout(_MOST_S):
            await _work(name, version, begin, place, process)
    except TimeoutError:
        raise Stuck(f"the process is not done after {_MOST_S / 3600:g} hours of its own") from None


async def _work(name: str, version: Version, begin: Begin, place: Place, process: Process) -> None:
    def observe(event: Event) -> None:
        process.note(str(event))
        notes.tell(event)

    enter(process)
    app = App(
        name,
        record=place.record,
        workflows=version.workflows,
        engine=place.engine,
        random=process.chance.random,
        seams=ProcessSeams(process),
        observer=observe,
        version=version.name,  # to hash its code, again in each process, is half of the time that a run takes
    )
    others = Others(place.outside, lambda: _committed(place), version.name)
    app.provide(others, as_=Others)
    async with app.worker() as worker:
        try:
            await asyncio.wait_for(worker.working.wait(), _BEGIN_S)
        except TimeoutError:
            raise Stuck("the worker does not come to work") from None
        if not place.accepted(ID):
            await _begin(app, version, begin)
        process.accepted.add(ID)
        await _until(app, others, place, process)


async def _begin(app: App, version: Version, begin: Begin) -> None:
    if begin == "start":
        await app.start(version.main, id=ID)
        return
    async with app.record.write() as w:
        if begin == "transaction":
            w.start(version.main, id=ID)
            return
        await w.tx.execute("SAVEPOINT a")
        w.start(version.main, id=ID)
        await w.tx.execute("RELEASE a")
        if begin == "savepoint taken back":
            await w.tx.execute("SAVEPOINT b")
            await w.tx.execute("INSERT INTO rows VALUES ('begin', 0, 0)")
            w.start(version.workflows[-1], 0, id="child:0")
            await w.tx.execute("ROLLBACK TO b")
            await w.tx.execute("RELEASE b")


async def _until(app: App, others: Others, place: Place, process: Process) -> None:
    waits, changes, quiet, busy, pause_s = 0, process.changes, 0, 0, _SOON_S
    while True:
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, _LOOK_S)
        running, stopped = _open(place)
        if not (running or stopped):
            return
        if process.changes == changes and pause_s == _LOOK_S:
            quiet += not running
            if quiet == _QUIET:
                return
            if app.runtime.executions and busy < _BUSY_MOST:
                busy += 1
                continue
            busy = 0
            if waits == _WAITS_MOST:
                raise Stuck(f"nothing happens to {', '.join(running)}")
            waits += 1
            lands_at_ms, due_ms = others.lands_at_ms(), place.next_due_ms()
            if lands_at_ms is None and await answer(app, place.outside, process.note):
                continue
            # An operator waits until nothing is on its way; a probe does not.
            await _skip(process, min((each for each in (lands_at_ms, due_ms) if each is not None), default=None))
            others.land()
        changes = process.changes


async def _skip(process: Process, due_ms: int | None) -> None:
    now_ms = process.clock.now_ms()
    until_ms = due_ms if due_ms is not None and due_ms > now_ms else now_ms + _HOUR_MS
    passed_s = (until_ms - now_ms) / 1000
    await process.passes(
        "time", f"{passed_s:,.0f} s pass", lambda: process.clock.skip_ms(until_ms - now_ms), changes=False
    )


def _open(place: Place) -> tuple[Sequence[str], Sequence[str]]:
    """The workflows that run, and those that are stopped."""
    record: Any = place.record
    connection: sqlite3.Connection = record.peek()
    rows = connection.execute("SELECT id, stopped_at_ms FROM recordfirst_start WHERE finished_at_ms IS NULL").fetchall()
    return [id for id, stopped in rows if stopped is None], [id for id, stopped in rows if stopped is not None]


def _committed(place: Place) -> list[str]:
    record: Any = place.record
    asked = "SELECT DISTINCT step, n FROM rows"
    if threading.current_thread() is threading.main_thread():
        return [f"{step}:{n}" for step, n in record.peek().execute(asked)]
    with contextlib.closing(sqlite3.connect(record._path)) as connection:  # noqa: SLF001 - our own subclass
        return [f"{step}:{n}" for step, n in connection.execute(asked)]
