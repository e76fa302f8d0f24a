"""The fast world: a record, an engine and an outside in files of a directory of their own, and processes that die.

A process that dies leaves its files as they were at that instant, in the midst of whatever it was doing, and its
successor gets those and nothing else. With ``deaths="forked"`` each process is one: forked, and ended by ``os._exit``.
With ``deaths="abandoned"`` the files are copied at that instant and the process, which could only touch the originals,
is never resumed: the same files, without the price of a fork. ``tests/explore/test_world.py`` holds that both agree.
"""

from __future__ import annotations

import abc
import asyncio
import contextlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

from recordfirst.engine.embedded.store import Store
from recordfirst.errors import Misuse
from recordfirst.explore import checks, hooks
from recordfirst.explore.boundary import Errors, Event, Process
from recordfirst.explore.case import Case
from recordfirst.explore.checks import Violation
from recordfirst.explore.clock import EPOCH_MS, Time
from recordfirst.explore.driver import SqliteErrors
from recordfirst.explore.invariants import offenders
from recordfirst.explore.observe import Looker, Rows, Seen, SeenPromise, look_into_engine
from recordfirst.explore.place import Place, SqlitePlace
from recordfirst.explore.process import work
from recordfirst.explore.schedule import CHANGES, ENDS, FAULTS, At, Point, Schedule
from recordfirst.explore.underway import End, Running
from recordfirst.records.sqlite import SqliteRecord
from recordfirst.testing.outside import Outside
from recordfirst.workflow import Workflow

type Deaths = Literal["abandoned", "forked"]

_DOWN_MS = 1_000
"""How long it takes until a successor begins."""
_STALLED_MS = 120_000
"""How long a process stands still: longer than any lease."""
_FORGOTTEN_MS = 40 * 24 * 3_600_000
"""Longer than any provider honours a key (Stripe v2: 30 days)."""
_PROCESSES_MOST = 8


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one schedule."""

    schedule: Schedule
    violations: tuple[Violation, ...]
    events: tuple[Event, ...]
    points: tuple[tuple[Point, ...], ...]
    """Of each process, what it crossed."""
    seen: Seen
    struck: tuple[At, ...]
    """The faults whose point was reached; one that was not, was not tried."""
    why: str = ""
    """Why its last process came to no good end, if so."""

    def crossed(self, at: At) -> Point:
        """The point of a fault that has struck."""
        return next(point for point in self.points[at.process - 1] if at.meets(point))


class World(abc.ABC):
    """What worlds have in common: one case, and the run without faults that all others are compared with.

    Args:
        case: what is explored.
        seed: of whatever chance there is.
        home: a directory of its own.
    """

    errors: Errors
    """What is raised at boundaries."""
    tries: frozenset[str] = frozenset((*FAULTS, *CHANGES))
    """The faults and changes that it can make."""
    replays = 1
    """Each run is the same."""
    runs: type[_Run]

    def __init__(self, case: Case, *, seed: int, home: Path) -> None:
        hooks.install()
        self.case, self.seed, self._home = case, seed, home
        self._numbers = iter(range(1_000_000_000))
        self.known: dict[frozenset[str], dict[str, Rows]] = {}
        """The rows that belong to each set of receipts, from the run without faults."""
        self.reference: Seen | None = None
        self.later: Seen | None = None
        """What comes of the version that a deploy brings, without faults."""
        self.corpses: dict[tuple[At, ...], _Corpse] = {}

    def close(self) -> None:
        """Delete all of its files."""
        shutil.rmtree(self._home, ignore_errors=True)

    def run(self, schedule: Schedule = Schedule()) -> Outcome:  # noqa: B008 - frozen
        """Run the workflow under a schedule, in a fresh world, and judge what came of it."""
        return self._run(schedule, 0)

    def _run(self, schedule: Schedule, version: int) -> Outcome:
        run = self.runs(self, schedule, version)
        try:
            return run.outcome()
        finally:
            run.clean_up()

    def refer(self) -> Outcome:
        """Run without faults: what comes of that is what must come of every other run.

        Raises:
            Exception: what the workflow's own world raised, if it cannot be run at all.
        """
        outcome = self.run()
        self.reference = outcome.seen
        if self.case.versions:
            self.later = self._run(Schedule(), len(self.case.versions)).seen
        return outcome

    def directory(self) -> Path:
        """A directory that is not there yet."""
        return self._home / str(next(self._numbers))

    @abc.abstractmethod
    def fresh(self) -> Path:
        """Make the world new, and return the directory of what is in files."""

    @abc.abstractmethod
    def copy_of(self, files: Path) -> Path:
        """Copy what a process has put into files."""

    @abc.abstractmethod
    def place(self, files: Path, host: str, process: Process) -> Place:
        """Where a process runs."""

    @abc.abstractmethod
    def looking(self, files: Path) -> contextlib.AbstractContextManager[Any]:
        """Connect to the record, to look at it."""

    @abc.abstractmethod
    def look(self, files: Path) -> Seen:
        """See what is there, the engine too."""

    @abc.abstractmethod
    def look_by(self, connection: Any, outside: Outside) -> Seen:
        """See what is there through a connection that has no transaction open."""


def home() -> Path:
    """A fresh directory, in memory if the machine has such."""
    memory = Path("/dev/shm")  # noqa: S108 - a fresh directory is made in it
    return Path(tempfile.mkdtemp(prefix="recordfirst-explore-", dir=memory if memory.is_dir() else None))


class FastWorld(World):
    """Runs one case under schedules; see the module.

    Args:
        case: what is explored.
        deaths: how processes die.
        seed: of whatever chance there is.
    """

    errors = SqliteErrors()

    def __init__(self, case: Case, *, deaths: Deaths = "forked", seed: int = 1) -> None:
        super().__init__(case, seed=seed, home=home())
        self._template = self._home / "template"
        self._looker = Looker(case.ignore)
        self.runs = _Run
        if deaths == "forked":
            from recordfirst.explore.forked import ForkedRun  # noqa: PLC0415 - which builds on this

            self.runs = ForkedRun
        self._prepare()

    def _prepare(self) -> None:
        self._template.mkdir()
        clock = Time(EPOCH_MS)

        async def make() -> None:
            record = SqliteRecord(self._template / "record.db")
            await record.open(self.case.app)
            await record.migrate()
            await record.close()

        asyncio.run(make())
        connection = sqlite3.connect(self._template / "record.db")
        try:
            connection.executescript(self.case.tables)
        except sqlite3.Error as error:
            raise Misuse(f"tables= of the case cannot be made: {error}") from error
        finally:
            connection.close()
        with clock.installed(self.seed):
            Store(str(self._template / "engine"), "record").close()

    # ── what a run needs ────────────────────────────────────────────────────

    def fresh(self) -> Path:
        return self.copy_of(self._template)

    def copy_of(self, files: Path) -> Path:
        copy = self.directory()
        copy.mkdir()
        for file in os.scandir(files):
            if not file.name.endswith(("-shm", "-lock", ".lease")):  # they go with the process
                shutil.copyfile(file.path, copy / file.name)
        return copy

    def place(self, files: Path, host: str, process: Process) -> Place:
        return SqlitePlace(files, host, process)

    @contextlib.contextmanager
    def looking(self, files: Path) -> Iterator[sqlite3.Connection]:
        with contextlib.closing(sqlite3.connect(files / "record.db")) as connection:
            yield connection

    def look(self, files: Path) -> Seen:
        with self.looking(files) as connection:
            seen = self.look_by(connection, Outside(files / "outside", lambda: 0))
        return msgspec.structs.replace(seen, engine=look_into_engine(files / "engine"))

    def look_by(self, connection: Any, outside: Outside) -> Seen:
        return self._looker.look(connection, lambda: outside.applied)


class _Corpse(msgspec.Struct, frozen=True, kw_only=True):
    """A world as a first process has left it: what follows can be tried again and again from there."""

    files: Path
    older: Path | None
    process: Process
    clock: Time
    violations: tuple[Violation, ...]
    last: Seen | None


class _Run:
    """One schedule, from the first process to the last."""

    def __init__(self, world: World, schedule: Schedule, version: int) -> None:
        self.world, self.schedule = world, schedule
        self._version = version
        self._older: Path | None = None
        first = tuple(msgspec.structs.replace(at, change=None) for at in schedule.of(1))
        self._first = first if first and first[-1].fault in ENDS else None
        corpse = world.corpses.get(first)
        if corpse is None:
            self.clock = Time(EPOCH_MS)
            self.files = world.fresh()
            self._directories = [self.files]
            self._processes: list[Process] = []
            self.violations: list[Violation] = []
            self._last: Seen | None = None
        else:
            self.clock = corpse.clock.copy()
            self.files = world.copy_of(corpse.files)
            self._directories = [self.files]
            self._processes = [corpse.process]
            self.violations, self._last = [*corpse.violations], corpse.last
            self._change(schedule.of(1)[-1], corpse.older)
            self.clock.skip_ms(_DOWN_MS)
        self._hosts = 0
        self._why = ""
        self._known: dict[frozenset[str], dict[str, Rows]] = {}
        """The rows that belonged to each set of receipts in this run."""

    def clean_up(self) -> None:
        for files in self._directories:
            shutil.rmtree(files, ignore_errors=True)

    def outcome(self) -> Outcome:
        """Run it, and judge."""
        self._go()
        with self.world.looking(self.files) as connection:
            outside = Outside(self.files / "outside", self.clock.now_ms)
            seen = self.world.look_by(connection, outside)
            seen = msgspec.structs.replace(seen, engine=look_into_engine(self.files / "engine"))
            self._judge(seen)
            self.violations += offenders(self.world.case.invariants, connection, outside)
        struck = {(at.process, at.point) for process in self._processes for at in process.struck}
        return Outcome(
            schedule=self.schedule,
            violations=tuple(dict.fromkeys(self.violations)),
            events=tuple(event for process in self._processes for event in process.events),
            points=tuple(tuple(process.points) for process in self._processes),
            seen=seen,
            struck=tuple(at for at in self.schedule.faults if (at.process, at.point) in struck),
            why=self._why,
        )

    # ── processes ───────────────────────────────────────────────────────────

    def _go(self) -> None:
        """One process after the other, until one has seen the workflow's end."""
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
        self._why = f"{_PROCESSES_MOST} processes came to no end; the last: {self._why or 'died'}"

    def _with_another(self, running: Running) -> tuple[End, str]:
        """While one stands still another works, elsewhere; then the first goes on."""
        self._hosts += 1
        self._stands_still()
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
        )
        place = self.world.place(self.files, host, process)
        process.calls = lambda key, effect, after: self._called(place, process, key, effect, after)
        process.committed = lambda connection: self._committed(process, connection, place.outside)
        process.arrived = place.arrived
        self._processes.append(process)
        versions = (self.world.case.workflow, *self.world.case.versions)
        return self._start(process, place, versions[self._version])

    def _start(self, process: Process, place: Place, version: Workflow[..., Any]) -> Running:
        """Make a process that has done nothing yet."""
        return Running(work(self.world.case, version, place, process), self.world.seed, process)

    def _stands_still(self) -> None:
        """Take its lease from a process that stands still; files of a host of its own have none to take."""

    def _died(self, process: Process) -> None:
        self.files = self.world.copy_of(self.files)
        self._directories.append(self.files)
        with self.world.looking(self.files) as connection:
            outside = Outside(self.files / "outside", self.clock.now_ms)
            engine = look_into_engine(self.files / "engine")
            self._committed(process, connection, outside, "is left", engine)
        if self._first is not None and process.number == 1 and len(self._processes) == 1:
            kept = self.files, self._older
            self._directories = [files for files in self._directories if files not in kept]
            self.world.corpses[self._first] = _Corpse(
                files=self.files,
                older=self._older,
                process=process,
                clock=self.clock.copy(),
                violations=tuple(self.violations),
                last=self._last,
            )
            self.files = self.world.copy_of(self.files)
            self._directories.append(self.files)
        self._change(process.struck[-1], self._older)

    def _change(self, at: At, older: Path | None) -> None:
        """Before the successor begins."""
        match at.change:
            case "engine-lost" | "engine-older":
                for file in self.files.glob("engine*"):
                    file.unlink()
                if at.change == "engine-older" and older is not None:
                    for file in older.iterdir():
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

    # ── judging ─────────────────────────────────────────────────────────────

    def _called(self, place: Place, process: Process, key: str, effect: str, after: str | None) -> None:
        if after is None:
            return
        broken = checks.at_a_call(key, effect, after, is_there=place.written(after))
        if broken:
            process.note("breaks", broken=tuple(broken))
            self.violations += broken

    def _committed(
        self,
        process: Process,
        connection: Any,
        outside: Outside,
        what: str = "is committed",
        engine: tuple[SeenPromise, ...] = (),
    ) -> None:
        """Whatever is committed must be right at once, whether anybody goes on from it or not."""
        seen = msgspec.structs.replace(self.world.look_by(connection, outside), engine=engine)
        is_reference = not self.schedule.faults and not self._version
        known = self.world.known if is_reference else self.world.known | self._known
        broken = checks.rows_without_receipts(seen, known)
        (self.world.known if is_reference else self._known).setdefault(seen.done, seen.tables)
        if self._last is not None:
            broken += checks.changed_outcomes(self._last, seen)
        broken += offenders(self.world.case.always, connection, outside)
        self._last = seen
        self.violations += broken
        process.note(what, seen=seen, broken=tuple(broken))

    def _judge(self, seen: Seen) -> None:
        accepted = {id for process in self._processes for id in process.accepted}
        self.violations += checks.at_the_end(
            seen,
            accepted=accepted,
            asked=Outside(self.files / "outside", self.clock.now_ms).asked,
            why=self._why,
            reference=self.world.reference,
            later=self.world.later if self._version else None,
        )
