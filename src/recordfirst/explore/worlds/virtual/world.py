"""The base of worlds whose processes this program runs: a directory for each run, and snapshots of deaths."""

from __future__ import annotations

import abc
import contextlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from recordfirst.explore.case import Case
from recordfirst.explore.runs.observed import Observed
from recordfirst.explore.runs.run import Run, RunOutcome
from recordfirst.explore.runs.schedule import At, Schedule
from recordfirst.explore.worlds.virtual.boundary import Process
from recordfirst.explore.worlds.virtual.errors import Errors
from recordfirst.explore.worlds.virtual.kept import KeptConnection, Role, opened
from recordfirst.explore.worlds.virtual.place import Place
from recordfirst.explore.worlds.virtual.snapshot import CrashSnapshot
from recordfirst.explore.worlds.world import World
from recordfirst.testing.outside import Outside

_POINTS_MOST = 20_000
"""More points than any process of a test crosses."""


class Trial(Protocol):
    """One schedule in a world, carried out from the first process to the last."""

    def run(self) -> Run:
        """Carry out the schedule."""

    def clean_up(self) -> None:
        """Discard its directories."""


class VirtualWorld(World):
    """The base of worlds whose processes this program runs.

    Args:
        case: the case.
        seed: the seed of everything random.
        home: a directory for this world alone.
    """

    errors: Errors
    """The errors that are raised at boundaries."""
    trials: Callable[[VirtualWorld, Schedule, int, bool], Trial]
    """Makes a trial of this world's kind, of a schedule and a version of the workflow, with or without details."""

    def __init__(self, case: Case, *, seed: int, home: Path) -> None:
        super().__init__(case, seed=seed)
        self._home = home
        self._numbers = iter(range(1_000_000_000))
        self.points_most = _POINTS_MOST
        """A process that crosses more points loops."""
        self.snapshots: dict[At, CrashSnapshot] = {}
        """Snapshots by the death of the first process, if no other fault struck. Details for operators are left out."""

    def close(self) -> None:
        """Delete all files of this world."""
        shutil.rmtree(self._home, ignore_errors=True)

    def play(self, schedule: Schedule, version: int = 0, *, briefly: bool = False) -> Run:
        trial = self.trials(self, schedule, version, briefly)
        try:
            return trial.run()
        finally:
            trial.clean_up()

    def refer(self) -> RunOutcome:
        outcome = super().refer()
        self.points_most = min(_POINTS_MOST, 1_000 + 20 * len(outcome.points[0]))
        return outcome

    def directory(self) -> Path:
        """The name of a new directory."""
        return self._home / str(next(self._numbers))

    def snapshot(self, first: At | None, *, briefly: bool) -> CrashSnapshot | None:
        """The snapshot of the first process's death at this fault, if there is one."""
        return self.snapshots.get(first) if first is not None and briefly else None

    @abc.abstractmethod
    def fresh(self) -> Path:
        """Reset the world, and return the directory of its files."""

    @abc.abstractmethod
    def copy_of(self, files: Path) -> Path:
        """Copy the files of a process."""

    def keep(self, files: Path) -> Path:
        """Copy the files that a process has left, only to be read."""
        return self.copy_of(files)

    def resume(self, files: Path) -> Path:
        """Make a directory of the files that a process has left, for its successor."""
        return self.copy_of(files)

    def discard(self, files: Path) -> None:
        """Discard a directory."""
        shutil.rmtree(files, ignore_errors=True)

    def forget_engine(self, files: Path) -> None:
        """Delete the engine's files."""
        for file in files.glob("engine*"):
            file.unlink()

    def connect_to(self, path: Path, role: Role, options: dict[str, Any]) -> KeptConnection:
        """Connect a process to an SQLite file."""
        return opened(path, role, options)

    @abc.abstractmethod
    def place(self, files: Path, host: str, process: Process) -> Place:
        """The environment of a process."""

    @abc.abstractmethod
    def looking(self, files: Path) -> contextlib.AbstractContextManager[Any]:
        """Connect to the record, to read it."""

    @abc.abstractmethod
    def look(self, files: Path) -> Observed:
        """Read the state, with that of the engine."""

    @abc.abstractmethod
    def look_by(self, connection: Any, outside: Outside) -> Observed:
        """Read the state through a connection that has no open transaction."""
