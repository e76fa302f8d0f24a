"""Carries out one schedule: processes work and die, one after another, until one sees the workflow's end."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import msgspec

from recordfirst.explore.judge.invariants import offenders
from recordfirst.explore.runs.event import SeenCall
from recordfirst.explore.runs.observed import SeenPromise
from recordfirst.explore.runs.run import Run
from recordfirst.explore.runs.schedule import ENDS, At, Fault, Point, Schedule, faults_at
from recordfirst.explore.worlds.looking import look_into_engine
from recordfirst.explore.worlds.virtual.boundary import Process
from recordfirst.explore.worlds.virtual.clock import EPOCH_MS, Time
from recordfirst.explore.worlds.virtual.place import Place
from recordfirst.explore.worlds.virtual.program import work
from recordfirst.explore.worlds.virtual.snapshot import CrashSnapshot
from recordfirst.explore.worlds.virtual.underway import Running
from recordfirst.explore.worlds.virtual.world import VirtualWorld
from recordfirst.explore.worlds.world import End
from recordfirst.steps.workflow import Workflow
from recordfirst.testing.outside import Outside

_DOWN_MS = 1_000
"""The time until a successor begins."""
_STALLED_MS = 120_000
"""The time for which a process stalls: longer than any lease."""
_FORGOTTEN_MS = 40 * 24 * 3_600_000
"""Longer than any provider honours a key (Stripe v2: 30 days)."""
_PROCESSES_MOST = 8


class VirtualTrial:
    """One schedule, from the first process to the last."""

    keeps_corpses = False
    """Whether a run without faults keeps snapshots of what its process would leave, at each moment when it may die."""

    def __init__(self, world: VirtualWorld, schedule: Schedule, version: int, briefly: bool) -> None:  # noqa: FBT001 - ours
        self.world, self.schedule = world, schedule
        self._version, self._briefly = version, briefly
        self._older: Path | None = None
        first = schedule.of(1)
        # If more than one fault strikes the first process, no other schedule begins like this one.
        self._first = (
            msgspec.structs.replace(first[0], change=None) if [at.fault in ENDS for at in first] == [True] else None
        )
        snapshot = world.snapshot(self._first, briefly=briefly)
        if snapshot is None:
            self.clock = Time(EPOCH_MS)
            self.files = world.fresh()
            self._directories = [self.files]
            self._processes: list[Process] = []
        else:
            self.clock = snapshot.clock.copy()
            self.files = world.resume(snapshot.files)
            self._directories = [self.files]
            self._processes = [snapshot.process]
            self._change(first[0], snapshot.older)
            self.clock.skip_ms(_DOWN_MS)
        self._hosts = 0
        self._why = ""

    def clean_up(self) -> None:
        for files in self._directories:
            self.world.discard(files)

    def run(self) -> Run:
        """Carry out the schedule."""
        self._go()
        case = self.world.case
        with self.world.looking(self.files) as connection:
            outside = Outside(self.files / "outside", self.clock.now_ms)
            seen = self.world.look_by(connection, outside)
            if not self._briefly:
                seen = msgspec.structs.replace(seen, engine=look_into_engine(self.files / "engine"))
            offending = tuple(offenders(case.invariants, connection, outside, case.provide))
        struck = {(at.process, at.point) for process in self._processes for at in process.struck}
        events = [event for process in self._processes for event in process.events]
        return Run(
            schedule=self.schedule,
            events=tuple(sorted(events, key=lambda event: event.order)),
            points=tuple(tuple(process.points) for process in self._processes),
            seen=seen,
            asked=tuple(Outside(self.files / "outside", self.clock.now_ms).asked),
            accepted=frozenset(id for process in self._processes for id in process.accepted),
            offending=offending,
            struck=tuple(at for at in self.schedule.faults if (at.process, at.point) in struck),
            version=self._version,
            why=self._why,
            briefly=self._briefly,
        )

    # ── processes ───────────────────────────────────────────────────────────

    def _go(self) -> None:
        """Run one process after another, until one has seen the workflow's end."""
        self._hosts = 1
        while len(self._processes) < _PROCESSES_MOST:
            running = self._begin("1")
            end, why = running.advance()
            if end == "stalled":
                end, why = self._with_another(running)
            process = running.process
            if end in ("ended", "stuck"):
                self._why = why
                return
            if end == "failed":
                process.note(f"the process ends: {why}")
            self._why = why
            self.clock.skip_ms(_DOWN_MS)
        self._why = f"{_PROCESSES_MOST} processes have not ended the workflow; the last: {self._why or 'died'}"

    def _with_another(self, running: Running) -> tuple[End, str]:
        """Let another process work while one stalls; then the first goes on, beside the next version if that works."""
        self._hosts += 1
        self._stands_still()
        if running.process.struck[-1].change == "deploy":
            self._version = len(self.world.case.versions)
        other = self._begin(str(self._hosts))
        others_end, why = other.advance()
        self.clock.skip_ms(_STALLED_MS)
        end, mine = running.advance()
        while others_end == "stalled" or end == "stalled":
            if others_end == "stalled":
                others_end, why = other.advance()
            if end == "stalled":
                end, mine = running.advance()
        if others_end in ("ended", "stuck") and end != "died":
            return others_end, why
        return end, mine

    def _begin(self, host: str) -> Running:
        number = len(self._processes) + 1
        process = Process(
            number,
            self.schedule.of(number),
            self.clock,
            self.world.errors,
            die=self._died,
            keep_engine=lambda _: self._keep_engine(),
            points_most=self.world.points_most,
            seed=self.world.seed,
        )
        place = self.world.place(self.files, host, process)
        process.calls = lambda key, effect, after: self._called(place, process, key, effect, after)
        process.committed = lambda connection: self._committed(process, connection, place.outside)
        process.arrived = place.arrived
        process.connect = self.world.connect_to
        if self.keeps_corpses:
            process.could_die = self._keep_corpse
        self._processes.append(process)
        versions = (self.world.case.workflow, *self.world.case.versions)
        return self._start(process, place, versions[self._version])

    def _start(self, process: Process, place: Place, version: Workflow[..., Any]) -> Running:
        """Create a process that has not run yet."""
        return Running(work(self.world.case, version, place, process), process)

    def _stands_still(self) -> None:
        """Take the lease from a process that stalls. Files of a separate host have none to take."""

    def _died(self, process: Process) -> None:
        left, self.files = self.files, self.world.resume(self.files)
        self._directories.append(self.files)
        if not self._briefly:
            self._look_at_what_is_left(process)
        elif self._first is not None and process.number == len(self._processes) == 1:
            self.world.snapshots[self._first] = CrashSnapshot(
                files=self.world.keep(left),
                older=None if self._older is None else self.world.keep(self._older),
                process=process,
                clock=self.clock.copy(),
            )
        self._change(process.struck[-1], self._older)

    def _look_at_what_is_left(self, process: Process) -> None:
        with self.world.looking(self.files) as connection:
            outside = Outside(self.files / "outside", self.clock.now_ms)
            engine = look_into_engine(self.files / "engine")
            self._committed(process, connection, outside, "is left", engine)

    def _change(self, at: At, older: Path | None) -> None:
        """Apply the change before the successor begins."""
        match at.change:
            case "engine-lost" | "engine-older":
                self.world.forget_engine(self.files)
                if at.change == "engine-older" and older is not None:
                    for file in older.glob("engine*"):
                        shutil.copyfile(file, self.files / file.name)
            case "keys-expired":
                self.clock.skip_ms(_FORGOTTEN_MS)
            case "deploy":
                self._version = len(self.world.case.versions)

    def _keep_engine(self) -> None:
        if self._older is None:
            self._older = self.files.with_name(f"{self.files.name}-older")
            self._directories.append(self._older)
        shutil.rmtree(self._older, ignore_errors=True)
        self._older.mkdir()
        for file in self.files.glob("engine*"):
            if not file.name.endswith(("-shm", "-lock")):
                shutil.copyfile(file, self._older / file.name)

    def _keep_corpse(self, point: Point, fault: Fault) -> None:
        """Keep a snapshot of what the process would leave if it died now. That saves half a run for each death."""
        if fault not in faults_at(point):
            return
        at = At(1, point.number, fault)
        process = self._processes[0].as_dead(at)
        files = self.world.keep(self.files)
        self.world.snapshots[at] = CrashSnapshot(files=files, older=None, process=process, clock=process.clock)

    # ── observing ───────────────────────────────────────────────────────────

    def _called(self, place: Place, process: Process, key: str, effect: str, after: str | None) -> None:
        if after is not None:
            process.note("calls", called=SeenCall(key, effect, after, place.written(after)))

    def _committed(
        self,
        process: Process,
        connection: Any,
        outside: Outside,
        what: str = "is committed",
        engine: tuple[SeenPromise, ...] = (),
    ) -> None:
        case = self.world.case
        seen = msgspec.structs.replace(self.world.look_by(connection, outside), engine=engine)
        process.note(what, seen=seen, offending=tuple(offenders(case.always, connection, outside, case.provide)))
