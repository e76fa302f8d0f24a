"""What worlds have in common: one case, run under schedules, each time from the world's beginning on."""

from __future__ import annotations

import abc
import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from recordfirst.explore.case import Case
from recordfirst.explore.runs.observed import Observed, Rows
from recordfirst.explore.runs.outcome import RunOutcome
from recordfirst.explore.runs.schedule import CHANGES, FAULTS, At, Schedule
from recordfirst.explore.worlds.virtual import hooks
from recordfirst.explore.worlds.virtual.boundary import Process
from recordfirst.explore.worlds.virtual.errors import Errors
from recordfirst.explore.worlds.virtual.kept import KeptConnection, Role, opened
from recordfirst.explore.worlds.virtual.place import Place
from recordfirst.explore.worlds.virtual.snapshot import CrashSnapshot
from recordfirst.testing.outside import Outside

_POINTS_MOST = 20_000
"""No process of a test crosses so many."""


class AnyRun(Protocol):
    """One schedule in a world, from the first process to the last."""

    def outcome(self) -> RunOutcome:
        """Run it, and judge."""

    def clean_up(self) -> None:
        """Let go of its directories."""


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
    runs: Callable[[World, Schedule, int, bool], AnyRun]
    """Makes a run of this world's kind: under a schedule, of a version of the workflow, told briefly or not."""

    def __init__(self, case: Case, *, seed: int, home: Path) -> None:
        hooks.install()
        self.case, self.seed, self._home = case, seed, home
        self._numbers = iter(range(1_000_000_000))
        self.known: dict[frozenset[str], dict[str, Rows]] = {}
        """The rows that belong to each set of receipts, from the run without faults."""
        self.reference: Observed | None = None
        self.points_most = _POINTS_MOST
        """No process crosses more, unless it turns in a circle."""
        self.later: Observed | None = None
        """What comes of the version that a deploy brings, without faults."""
        self.snapshots: dict[At, CrashSnapshot] = {}
        """By the death of the first process, if nothing else inject it. Without what only an operator would read."""

    def close(self) -> None:
        """Delete all of its files."""
        shutil.rmtree(self._home, ignore_errors=True)

    def run(self, schedule: Schedule = Schedule(), *, briefly: bool = False) -> RunOutcome:  # noqa: B008 - frozen
        """Run the workflow under a schedule, in a fresh world, and judge what came of it.

        Args:
            schedule: what inject it.
            briefly: leave out what is only there for an operator to read: what each death has left, and what the engine
                has. What is committed is judged all the same, whenever it is.
        """
        return self._run(schedule, 0, briefly=briefly)

    def _run(self, schedule: Schedule, version: int, *, briefly: bool = False) -> RunOutcome:
        run = self.runs(self, schedule, version, briefly)
        try:
            return run.outcome()
        finally:
            run.clean_up()

    def refer(self) -> RunOutcome:
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

    def snapshot(self, first: At | None, *, briefly: bool) -> CrashSnapshot | None:
        """What the first process leaves when it dies there, if that is known."""
        return self.snapshots.get(first) if first is not None and briefly else None

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

    def connect_to(self, path: Path, role: Role, options: dict[str, Any]) -> KeptConnection:
        """Connect a process to a file of SQLite."""
        return opened(path, role, options)

    @abc.abstractmethod
    def place(self, files: Path, host: str, process: Process) -> Place:
        """Where a process runs."""

    @abc.abstractmethod
    def looking(self, files: Path) -> contextlib.AbstractContextManager[Any]:
        """Connect to the record, to look at it."""

    @abc.abstractmethod
    def look(self, files: Path) -> Observed:
        """See what is there, the engine too."""

    @abc.abstractmethod
    def look_by(self, connection: Any, outside: Outside) -> Observed:
        """See what is there through a connection that has no transaction open."""
