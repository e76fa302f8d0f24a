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
import filecmp
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
from recordfirst.explore import hooks
from recordfirst.explore.boundary import Errors, Process
from recordfirst.explore.case import Case
from recordfirst.explore.clock import EPOCH_MS, Time
from recordfirst.explore.driver import SqliteErrors
from recordfirst.explore.kept import Kept, Role, Slots, opened
from recordfirst.explore.observe import Looker, Rows, Seen, look_into_engine
from recordfirst.explore.place import OwnOutside, Place, SqlitePlace
from recordfirst.explore.run import Corpse, Outcome, Run
from recordfirst.explore.schedule import CHANGES, FAULTS, At, Schedule
from recordfirst.records.sqlite import SqliteRecord
from recordfirst.testing.outside import Outside

type Deaths = Literal["abandoned", "forked"]

_MEMORY_LEAST_BYTES = 256 << 20
_POINTS_MOST = 20_000
"""No process of a test crosses so many."""


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
    runs: type[Run]

    def __init__(self, case: Case, *, seed: int, home: Path) -> None:
        hooks.install()
        self.case, self.seed, self._home = case, seed, home
        self._numbers = iter(range(1_000_000_000))
        self.known: dict[frozenset[str], dict[str, Rows]] = {}
        """The rows that belong to each set of receipts, from the run without faults."""
        self.reference: Seen | None = None
        self.points_most = _POINTS_MOST
        """No process crosses more, unless it turns in a circle."""
        self.later: Seen | None = None
        """What comes of the version that a deploy brings, without faults."""
        self.corpses: dict[At, Corpse] = {}
        """By the death of the first process, if nothing else befalls it. Without what only an operator would read."""

    def close(self) -> None:
        """Delete all of its files."""
        shutil.rmtree(self._home, ignore_errors=True)

    def run(self, schedule: Schedule = Schedule(), *, briefly: bool = False) -> Outcome:  # noqa: B008 - frozen
        """Run the workflow under a schedule, in a fresh world, and judge what came of it.

        Args:
            schedule: what befalls it.
            briefly: leave out what is only there for an operator to read: what each death has left, and what the engine
                has. What is committed is judged all the same, whenever it is.
        """
        return self._run(schedule, 0, briefly=briefly)

    def _run(self, schedule: Schedule, version: int, *, briefly: bool = False) -> Outcome:
        run = self.runs(self, schedule, version, briefly)
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
        self.points_most = min(_POINTS_MOST, 1_000 + 20 * len(outcome.points[0]))
        if self.case.versions:
            self.later = self._run(Schedule(), len(self.case.versions)).seen
        return outcome

    def directory(self) -> Path:
        """A directory that is not there yet."""
        return self._home / str(next(self._numbers))

    def corpse(self, first: At | None, *, briefly: bool) -> Corpse | None:
        """What the first process leaves when it dies there, if that is known."""
        return self.corpses.get(first) if first is not None and briefly else None

    @abc.abstractmethod
    def fresh(self) -> Path:
        """Make the world new, and return the directory of what is in files."""

    @abc.abstractmethod
    def copy_of(self, files: Path) -> Path:
        """Copy what a process has put into files."""

    def keep(self, files: Path) -> Path:
        """Copy what a process has left, to be read alone."""
        return self.copy_of(files)

    def resume(self, files: Path) -> Path:
        """Make a directory for a process to go on in, of what another has left."""
        return self.copy_of(files)

    def discard(self, files: Path) -> None:
        """Let go of a directory."""
        shutil.rmtree(files, ignore_errors=True)

    def forget_engine(self, files: Path) -> None:
        """Delete the engine's files."""
        for file in files.glob("engine*"):
            file.unlink()

    def connect_to(self, path: Path, role: Role, options: dict[str, Any]) -> Kept:
        """Connect a process to a file of SQLite."""
        return opened(path, role, options)

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
    """A fresh directory, in memory if there is enough: a container has 64 MiB, if nobody has said more."""
    memory = Path("/dev/shm")  # noqa: S108 - a fresh directory is made in it
    is_enough = memory.is_dir() and shutil.disk_usage(memory).free > _MEMORY_LEAST_BYTES
    return Path(tempfile.mkdtemp(prefix="recordfirst-explore-", dir=memory if is_enough else None))


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
        self.runs = Run
        self._slots = Slots(self.directory) if deaths == "abandoned" else None  # no connection outlives a fork
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
        return self.resume(self._template)

    def corpse(self, first: At | None, *, briefly: bool) -> Corpse | None:
        if first is None or not briefly or self._slots is None:
            return super().corpse(first, briefly=briefly)
        if not self.corpses:
            run = self.runs(self, Schedule(), 0, briefly=True)
            run.keeps_corpses = True
            try:
                run.outcome()
            finally:
                run.clean_up()
        if first.since is None:
            return self.corpses.get(first)
        there, then = (self.corpses.get(At(1, *each)) for each in ((first.point, first.fault), (first.since, "crash")))
        return there and then and msgspec.structs.replace(there, older=then.files)

    def keep(self, files: Path) -> Path:
        kept = self.copy_of(files)
        for file in self._template.iterdir():  # most of a file in memory is what it was at first
            copy = kept / file.name
            if copy.exists() and filecmp.cmp(file, copy, shallow=False):
                copy.unlink()
                copy.hardlink_to(file)
        return kept

    def resume(self, files: Path) -> Path:
        return super().resume(files) if self._slots is None else self._slots.take(files)

    def discard(self, files: Path) -> None:
        if self._slots is None or not self._slots.give_back(files):
            super().discard(files)

    def forget_engine(self, files: Path) -> None:
        for file in files.glob("engine*"):
            if self._slots is not None:
                self._slots.forget(file)
            file.unlink(missing_ok=True)  # SQLite may have deleted it with what was closed

    def connect_to(self, path: Path, role: Role, options: dict[str, Any]) -> Kept:
        return super().connect_to(path, role, options) if self._slots is None else self._slots.open(path, role, options)

    def close(self) -> None:
        if self._slots is not None:
            self._slots.close()
        super().close()

    def copy_of(self, files: Path) -> Path:
        copy = self.directory()
        copy.mkdir()
        for file in os.scandir(files):
            if not file.name.endswith(("-shm", "-lock", ".lease")):  # they go with the process
                shutil.copyfile(file.path, copy / file.name)
        return copy

    def place(self, files: Path, host: str, process: Process) -> Place:
        return SqlitePlace(files, host, process, Outside if self._slots is None else OwnOutside)

    @contextlib.contextmanager
    def looking(self, files: Path) -> Iterator[sqlite3.Connection]:
        with contextlib.closing(self.connect_to(files / "record.db", "looker", {})) as connection:
            yield connection

    def look(self, files: Path) -> Seen:
        with self.looking(files) as connection:
            seen = self.look_by(connection, Outside(files / "outside", lambda: 0))
        return msgspec.structs.replace(seen, engine=look_into_engine(files / "engine"))

    def look_by(self, connection: Any, outside: Outside) -> Seen:
        return self._looker.look(connection, lambda: outside.applied)
