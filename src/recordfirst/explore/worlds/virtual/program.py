"""What a process of the explored app does: it works, starts the workflow unless it was accepted, and waits for its end.

If an operator is needed, one is there, who looks up the outcome of an effect outside and answers.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

from recordfirst.client.app import App
from recordfirst.errors import WorkflowFailed
from recordfirst.explore.case import Case
from recordfirst.explore.worlds.operator import answer, provided
from recordfirst.explore.worlds.virtual.boundary import Process
from recordfirst.explore.worlds.virtual.place import Place
from recordfirst.explore.worlds.virtual.seams import ProcessSeams
from recordfirst.explore.worlds.virtual.telling import Teller
from recordfirst.observe import Event, Stopped
from recordfirst.steps.workflow import Workflow

_LOOK_S = 2.5
"""If nothing has changed for this long, the next change is further away, and the clock is moved forward to it."""
_BEGIN_S = 600.0
"""The time within which a worker begins, if it can work."""
_MOST_S = 7_200.0
"""The most time that a process may see pass. Only an endless wait takes longer."""
_BUSY_S = 60.0
"""How long a process that has something to do is left to do it. No answer is awaited for longer."""
_HOUR_MS = 3_600_000
_WAITS_MOST = 60
"""How often the clock is moved forward at most. After that the workflow counts as one that does not end."""


class Stuck(Exception):  # noqa: N818 - a finding, not an error of ours
    """The workflow does not end."""


async def work(case: Case, workflow: Workflow[..., Any], place: Place, process: Process) -> None:
    """Run as the process until the workflow has ended.

    Raises:
        Stuck: if it does not end although the provider and the operator have answered.
    """
    try:
        async with asyncio.timeout(_MOST_S):
            await _work(case, workflow, place, process)
    except TimeoutError:
        raise Stuck(f"the process is not done after {_MOST_S / 3600:g} hours of its own time") from None


async def _work(case: Case, workflow: Workflow[..., Any], place: Place, process: Process) -> None:
    stops: list[str] = []

    def observe(event: Event) -> None:
        process.note(str(event))
        if isinstance(event, Stopped):
            undone = "an undo had begun" if event.undoing else "nothing was undone"
            stops.append(f"the workflow is stopped by a defect: {event.cause}; at {event.at}; {undone}")

    app = App(
        case.app,
        record=place.record,
        workflows=[workflow],
        event_handlers=case.event_handlers,
        engine=place.engine,
        random=process.chance.random,
        seams=ProcessSeams(process, tells=case.events is not None),
        observer=observe,
    )
    for key, value in provided(case, place.outside).items():
        app.provide(value, as_=key)
    teller = Teller(case, app, place, process) if case.events is not None else None
    async with app.worker() as worker, _telling(teller):
        try:
            await asyncio.wait_for(worker.working.wait(), _BEGIN_S)
        except TimeoutError:
            raise Stuck("the worker does not begin to work") from None
        if place.accepted(case.id):
            handle = await app.handle(case.id)
        else:
            handle = await app.start(workflow, *case.args, id=case.id, **case.kwargs)
        process.accepted.add(case.id)
        ending = asyncio.ensure_future(handle.result())
        await _until(ending, stops, app, place, process, teller)
        try:
            process.note(f"the workflow has ended: {ending.result()!r}")
        except WorkflowFailed as failed:
            process.note(f"the workflow has failed: {failed}")
        if teller is not None:
            await _until_all_is_told(teller, app, place, process)


@contextlib.asynccontextmanager
async def _telling(teller: Teller | None) -> AsyncIterator[None]:
    """Have events delivered for as long as the block lasts."""
    telling = asyncio.create_task(teller.keep_telling()) if teller is not None else None
    try:
        yield
    finally:
        if telling is not None:
            telling.cancel()


async def _until(
    ending: asyncio.Future[Any],
    stops: Sequence[str],
    app: App,
    place: Place,
    process: Process,
    teller: Teller | None,
) -> None:
    waits, changes = 0, process.changes
    while True:
        done, _ = await asyncio.wait({ending}, timeout=_LOOK_S)
        if done:
            return
        if stops:  # a fault of the world is never a defect, so this is reported as what broke
            ending.cancel()
            raise Stuck(stops[0])
        if process.changes == changes:
            if waits == _WAITS_MOST:
                ending.cancel()
                raise Stuck("nothing happens")
            waits += 1
            if not await answer(app, place.outside, process.note):
                await _wait(place, process, teller)
        changes = process.changes


async def _until_all_is_told(teller: Teller, app: App, place: Place, process: Process) -> None:
    """The workflow has ended: wait until each event has come, and all that it leads to is done."""
    waits, changes = 0, process.changes
    while not teller.is_over() or place.events_due_ms() is not None or await teller.catch_up():
        await asyncio.sleep(_LOOK_S)
        if process.changes == changes:
            if waits == _WAITS_MOST:
                raise Stuck("provider events do not come to an end")
            waits += 1
            if not await answer(app, place.outside, process.note):
                await _wait(place, process, teller)
        changes = process.changes


async def _wait(place: Place, process: Process, teller: Teller | None) -> None:
    now_ms = process.clock.now_ms()
    told = (place.events_due_ms(), teller.next_due_ms()) if teller is not None else ()
    if any(each is not None and each <= now_ms for each in told):
        await asyncio.sleep(_BUSY_S)  # it is about to be done, or waits for somebody who does not answer
        return
    due_ms = min([each for each in (place.next_due_ms(), *told) if each is not None], default=None)
    until_ms = due_ms if due_ms is not None and due_ms > now_ms else now_ms + _HOUR_MS
    passed_s = (until_ms - now_ms) / 1000
    await process.passes(
        "time", f"{passed_s:,.0f} s pass", lambda: process.clock.skip_ms(until_ms - now_ms), changes=False
    )
