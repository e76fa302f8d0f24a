"""The base of all worlds: each run begins in a fresh world, and one judge says what it broke."""

from __future__ import annotations

import abc
from typing import Literal

from recordfirst.explore.case import Case
from recordfirst.explore.judge.judge import Judge
from recordfirst.explore.runs.run import Run, RunOutcome
from recordfirst.explore.runs.schedule import CHANGES, FAULTS, Schedule

type End = Literal["ended", "died", "stalled", "stuck", "failed"]
"""How a process stops: it is done, has died, stalls, makes no progress, or raised."""


class World(abc.ABC):
    """One case, run under schedules.

    Args:
        case: the case.
        seed: the seed of everything random.
    """

    tries: frozenset[str] = frozenset((*FAULTS, *CHANGES))
    """The faults and changes that this world can apply."""
    replays = 1
    """How often a replay is run until its faults strike. Once is enough if all runs are the same."""

    def __init__(self, case: Case, *, seed: int) -> None:
        self.case, self.seed = case, seed
        self.judge = Judge()

    @abc.abstractmethod
    def close(self) -> None:
        """Delete everything that this world has created."""

    @abc.abstractmethod
    def play(self, schedule: Schedule, version: int = 0, *, briefly: bool = False) -> Run:
        """Run a version of the workflow under a schedule, in a fresh world. See :meth:`run` for ``briefly``."""

    def run(self, schedule: Schedule = Schedule(), *, briefly: bool = False) -> RunOutcome:  # noqa: B008 - frozen
        """Run the workflow under a schedule, in a fresh world, and judge the run.

        Args:
            schedule: the faults.
            briefly: leave out details that only an operator reads: the state after each death, and that of the engine.
                Every commit is still judged.
        """
        return self.judge.judged(self.play(schedule, briefly=briefly))

    def refer(self) -> RunOutcome:
        """Run without faults. Every other run must have the same outcome.

        If the run took a second process, something disturbed it, such as a busy machine, and it is repeated.

        Raises:
            Exception: the error of the workflow's own world, if it cannot be run at all.
        """
        run = self.play(Schedule())
        for _ in range(self.replays - 1):
            if len(run.points) == 1:
                break
            run = self.play(Schedule())
        outcome = Judge().judged(run)
        self.judge.take_as_reference(run)
        if self.case.versions:
            self.judge.later = self.play(Schedule(), len(self.case.versions)).seen
        return outcome
