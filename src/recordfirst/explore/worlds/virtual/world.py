"""What worlds of processes that this program runs have in common: a directory for each run, and kept deaths."""

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
"""No process of a test crosses so many."""


class Trial(Protocol):
    """One schedule in a world, carried out from the first process to the last."""

    def run(self) -> Run:
        """Carry it out."""

    def clean_up(self) -> None:
        """Let go of its directories."""


class VirtualWorld(World):
    """What worlds of such processes have in common.

    Args:
        case: what is explored.
        seed: of whatever chance there is.
        home: a directory of its own.
    """

    errors: Errors
    """What is raised at boundaries."""
    trials: Callable[[VirtualWorld, Schedule, int, bool], Trial]
    """Makes a trial of this world's kind: of a schedule, with a version of the workflow, told briefly or not."""

    def __init__(self, case: Case, *, seed: int, home: Path) -> None:
        super().__init__(case, seed=seed)
        self._home = home
        self._numbers = iter(range(1_000_000_000))
        self.points_most = _POINTS_MOST
        """No process crosses more, unless it turns in a circle."""
        self.snapshots: dict[At, CrashSnapshot] = {}
        """By the death of the first process, if nothing else befell it. Without what only an operator would read."""

    def close(self) -> None:
        """Delete all of its files."""
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
