"""Carries out one schedule in the real world, from the first worker to the last."""

from __future__ import annotations

import asyncio
import itertools
import signal
import time
from collections.abc import Awaitable
from pathlib import Path

from recordfirst.explore.judge.invariants import offenders
from recordfirst.explore.runs.run import Run
from recordfirst.explore.runs.schedule import Schedule
from recordfirst.explore.worlds.real.programs.begun import WorkerProgram
from recordfirst.explore.worlds.real.programs.worker import Order, Said
from recordfirst.explore.worlds.real.providers import Providers
from recordfirst.explore.worlds.real.proxies.http import HttpProxy, Request
from recordfirst.explore.worlds.real.proxies.names import Named, of_engine
from recordfirst.explore.worlds.real.proxies.side import Side
from recordfirst.explore.worlds.real.surroundings import Surroundings
from recordfirst.explore.worlds.world import End
from recordfirst.testing.outside import Asked

_PROCESSES_MOST = 8
_QUIET_S = 75.0
"""The longest time without any change: longer than any claim, time-out or held reply of a test's effects."""
_LOOK_S = 1.0


class RealTrial:
    """One schedule."""

    def __init__(self, world: Surroundings, schedule: Schedule, version: int) -> None:
        self._world, self._schedule, self._version = world, schedule, version
        self._workers: list[WorkerProgram] = []
        self._outside = world.outside()
        self._arrived = 0
        self._providers = Providers(world.case, world.record)
        self._ticks = itertools.count(1)
        self._progress_s = time.monotonic()
        self._hosts = 1
        self._why = ""

    async def run(self) -> Run:
        """Carry out the schedule."""
        await self._go()
        await self.end()
        case, seen = self._world.case, self._world.look(self._outside, "1")
        sides = [worker.side for worker in self._workers]
        events = [event for side in sides for event in side.events]
        return Run(
            schedule=self._schedule,
            events=tuple(sorted(events, key=lambda event: event.order)),
            points=tuple(tuple(side.points) for side in sides),
            seen=seen,
            asked=tuple(self._outside.asked),
            accepted=frozenset(id for side in sides for id in side.accepted),
            offending=tuple(offenders(case.invariants, self._world.record.connection, self._outside, case.provide)),
            struck=tuple(at for at in self._schedule.faults if any(at in side.struck for side in sides)),
            version=self._version,
            why=self._why,
        )

    async def end(self) -> None:
        """Leave no worker behind."""
        for worker in self._workers:
            await worker.end()

    def hears(self, said: Said) -> None:
        """Process a message of a worker."""
        worker = self._workers[said.number - 1]
        match said.what:
            case "accepted":
                worker.side.accepted.add(said.text)
            case "ended":
                worker.has_ended = True
                worker.side.note(said.text)
            case "failed":
                worker.why = said.text
            case "note":
                worker.side.note(said.text)

    # ── workers ─────────────────────────────────────────────────────────────

    async def _go(self) -> None:
        """Run one worker after another, until one has seen the workflow's end."""
        while len(self._workers) < _PROCESSES_MOST:
            worker = await self._begin("1")
            end, why = await self._follow(worker)
            if end == "stalled":
                end, why = await self._with_another(worker)
            self._why = why
            if end in ("ended", "stuck"):
                return
            if end == "failed":
                worker.side.note(f"the process ends: {why}")
        self._why = f"{_PROCESSES_MOST} processes have not ended the workflow; the last: {self._why or 'died'}"

    async def _with_another(self, worker: WorkerProgram) -> tuple[End, str]:
        """Let another worker work elsewhere while one stalls; then the first goes on."""
        self._hosts += 1
        other = await self._begin(str(self._hosts))
        others_end, why = await self._follow(other)
        while others_end == "stalled":
            others_end, why = await self._goes_on(other)
        end, mine = await self._goes_on(worker)
        while end == "stalled":
            end, mine = await self._goes_on(worker)
        if others_end in ("ended", "stuck") and end != "died":
            return others_end, why
        return end, mine

    async def _goes_on(self, worker: WorkerProgram) -> tuple[End, str]:
        worker.stalled.clear()
        worker.signal(signal.SIGCONT)
        worker.goes_on.set()
        return await self._follow(worker)

    async def _begin(self, host: str) -> WorkerProgram:
        world, number = self._world, len(self._workers) + 1
        side = Side(
            number,
            self._schedule.of(number),
            world.tries,
            tick=lambda: next(self._ticks),
            kill=lambda: worker.signal(signal.SIGKILL),
            stall=lambda _: self._stalls(worker),
        )
        record = world.record.proxy(side)
        outside = HttpProxy(side, world.outside_url, self._providers.read)
        proxies, engine = [outside], None
        if world.engine is not None:
            engine = HttpProxy(side, world.engine, _read_engine, world.corner)
            proxies.append(engine)
        log = Path(f"{world.home}/worker-{number}.log")
        worker = WorkerProgram(side, log, record, proxies)
        side.calls = lambda named: self._called(side, named)
        side.committed = lambda: self._committed(side)
        side.arrived = self._arrivals
        self._workers.append(worker)
        await worker.open()
        through = world.record.url(record)
        in_file = through if world.is_engine_in_record else str(world.engine_file(host))
        order = Order(
            number=number,
            version=self._version,
            record=through,
            engine=world.engine or in_file,
            engine_through=engine.url if engine is not None else "",
            outside=outside.url,
            person=world.outside_url,
            world=world.control,
            log=str(log),
        )
        self._moves()
        worker.is_born(world.fork(order))
        return worker

    async def _follow(self, worker: WorkerProgram) -> tuple[End, str]:
        """Wait until the worker ends, dies, or stalls, or nothing happens."""
        while True:
            await _first(worker.gone.wait(), worker.stalled.wait())
            if worker.gone.is_set():
                break
            if worker.stalled.is_set():
                return "stalled", ""
            if time.monotonic() - max(self._progress_s, worker.side.struck_s) > _QUIET_S:
                await worker.end()
                return "stuck", f"nothing happens: no change in {_QUIET_S:g} s"
        await worker.end()  # its connections are closed, as the kernel does
        side = worker.side
        if side.died:
            self._died(worker)
            return "died", ""
        if worker.has_ended:
            return "ended", ""
        return "failed", worker.why or worker.tail() or "it ended without a report"

    async def _stalls(self, worker: WorkerProgram) -> None:
        worker.signal(signal.SIGSTOP)
        if worker.record is not None:
            worker.record.take_lease()
        worker.goes_on.clear()
        worker.stalled.set()
        await worker.goes_on.wait()

    def _died(self, worker: WorkerProgram) -> None:
        self._moves()
        self._look(worker.side, "is left", "1")
        at = worker.side.struck[-1]
        match at.change:
            case "engine-lost":
                self._world.lose_engine()
            case "deploy":
                self._version = len(self._world.case.versions)

    # ── observing ───────────────────────────────────────────────────────────

    def _moves(self) -> None:
        self._progress_s = time.monotonic()

    def _arrivals(self) -> tuple[Asked, ...]:
        self._moves()
        before, self._arrived = self._arrived, len(self._outside.asked)
        return tuple(self._outside.asked[before:])

    def _called(self, side: Side, named: Named) -> None:
        called = self._providers.called(named.detail) if named.name.startswith("call ") else None
        if called is not None:
            side.note("calls", called=called)

    def _committed(self, side: Side) -> None:
        self._moves()
        self._look(side, "is committed")

    def _look(self, side: Side, what: str, host: str | None = None) -> None:
        world, case = self._world, self._world.case
        offending = tuple(offenders(case.always, world.record.connection, self._outside, case.provide))
        side.note(what, seen=world.look(self._outside, host), offending=offending)


def _read_engine(request: Request) -> tuple[Named, bool] | None:
    return (of_engine(request.body), False) if request.method == "POST" else None


async def _first(*waits: Awaitable[object]) -> None:
    """Wait for the first of these, but only a moment."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, timeout=_LOOK_S, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
