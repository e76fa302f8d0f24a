"""What a worker of the real world does: it works, starts the workflow unless it was accepted, and waits for its end.

Over a socket it reports to its world what a client would know: that the workflow was accepted, and how it ended. If an
operator is needed, one is there, who reaches the outside by a separate connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Literal

import msgspec

from recordfirst.client.app import App
from recordfirst.engine.options import Embedded
from recordfirst.errors import UnknownWorkflow, WorkflowFailed, WorkflowStopped
from recordfirst.explore.case import Case
from recordfirst.explore.worlds.operator import answer, provided
from recordfirst.process.seams import Seams
from recordfirst.records.open import record_from_url
from recordfirst.testing.outside import Outside
from recordfirst.testing.reached import ReachedOutside

_LEASE = timedelta(seconds=1)
"""The lease of tasks on an engine that workers share, for which a successor waits. It is 15 s outside of tests."""
_LOOK_S = 0.5
"""The pause between two checks whether an operator is needed."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """The instructions of a worker."""

    number: int
    version: int
    record: str
    engine: str
    """The engine's URL, or the file of an embedded one."""
    engine_through: str
    """The proxy of a Resonate Server, or empty. Record and app know the server by its own URL."""
    outside: str
    """The URL of the outside for its doubles."""
    person: str
    """The URL of the outside for the operator."""
    world: str
    """The socket of the world."""
    log: str


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """A message of a worker."""

    number: int
    what: Literal["began", "accepted", "ended", "failed", "note"]
    text: str = ""


def be(case: Case, order: Order) -> None:
    """Run as the worker until the workflow has ended."""
    logging.basicConfig(level=logging.WARNING)
    with socket.socket(socket.AF_UNIX) as world:
        world.connect(order.world)

        def say(what: Literal["began", "accepted", "ended", "failed", "note"], text: str = "") -> None:
            with contextlib.suppress(OSError):  # the world is gone
                world.sendall(msgspec.json.encode(Said(number=order.number, what=what, text=text)) + b"\n")

        say("began")
        try:
            asyncio.run(_work(case, order, say))
        except Exception as error:  # noqa: BLE001 - every error is reported to the world
            say("failed", f"{type(error).__name__}: {error}")


class _WorkerSeams(Seams):
    """A short lease, and a server behind a proxy. Each worker has its own proxy, and all share one engine."""

    lease = _LEASE

    def __init__(self, through: str) -> None:
        self._through = through

    def address_of(self, url: str) -> str:
        return self._through or url


async def _work(case: Case, order: Order, say: Callable[..., None]) -> None:
    workflow = (case.workflow, *case.versions)[order.version]
    engine = order.engine if "://" in order.engine else Embedded(order.engine)
    app = App(
        case.app,
        record=record_from_url(order.record),
        workflows=[workflow],
        engine=engine,
        seams=_WorkerSeams(order.engine_through),
        observer=lambda event: say("note", str(event)),
    )
    outside = ReachedOutside(order.outside, _now_ms)
    for key, value in provided(case, outside).items():
        app.provide(value, as_=key)
    async with app.worker() as worker:
        working = asyncio.ensure_future(worker.working.wait())
        await asyncio.wait({working, worker.task}, return_when=asyncio.FIRST_COMPLETED)
        if worker.task.done():
            working.cancel()
            worker.task.result()
        try:
            handle = await app.handle(case.id)
        except UnknownWorkflow:
            handle = await app.start(workflow, *case.args, id=case.id, **case.kwargs)
        say("accepted", case.id)
        ending = asyncio.ensure_future(handle.result(if_stopped="raise"))
        person = ReachedOutside(order.person, _now_ms)
        while not ending.done():
            await asyncio.wait({ending}, timeout=_LOOK_S)
            if not ending.done():
                await _be_a_person(app, person, say)
        try:
            ended = f"the workflow has ended: {ending.result()!r}"
        except (WorkflowFailed, WorkflowStopped) as failed:
            ended = f"the workflow has failed: {failed}"
    say("ended", ended)


async def _be_a_person(app: App, person: Outside, say: Callable[..., None]) -> None:
    if app.runtime.record is None:
        return
    try:
        await answer(app, person, lambda text: say("note", text))
    except Exception as error:  # noqa: BLE001 - an operator tries again
        say("note", f"an operator cannot look: {type(error).__name__}: {error}")


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
