"""What a case is run in, whichever world it is: each run begins anew, and one judge says what it broke."""

from __future__ import annotations

import abc
from typing import Literal

from recordfirst.explore.case import Case
from recordfirst.explore.judge.judge import Judge
from recordfirst.explore.runs.run import Run, RunOutcome
from recordfirst.explore.runs.schedule import CHANGES, FAULTS, Schedule

type End = Literal["ended", "died", "stalled", "stuck", "failed"]
"""How a process leaves off: it is done, is gone, stalls, gets nowhere, or raised."""


class World(abc.ABC):
    """One case, run under schedules.

    Args:
        case: what is explored.
        seed: of whatever chance there is.
    """

    tries: frozenset[str] = frozenset((*FAULTS, *CHANGES))
    """The faults and changes that it can make."""
    replays = 1
    """How often a replay is run at most, until its faults strike: once, where each run is the same."""

    def __init__(self, case: Case, *, seed: int) -> None:
        self.case, self.seed = case, seed
        self.judge = Judge()

    @abc.abstractmethod
    def close(self) -> None:
        """Leave nothing behind."""

    @abc.abstractmethod
    def play(self, schedule: Schedule, version: int = 0, *, briefly: bool = False) -> Run:
        """Run a version of the workflow under a schedule, in a fresh world. See :meth:`run` for ``briefly``."""

    def run(self, schedule: Schedule = Schedule(), *, briefly: bool = False) -> RunOutcome:  # noqa: B008 - frozen
        """Run the workflow under a schedule, in a fresh world, and judge what came of it.

        Args:
            schedule: what befalls it.
            briefly: leave out what is only there for an operator to read: what each death has left, and what the engine
                has. What is committed is judged all the same, whenever it is.
        """
        return self.judge.judged(self.play(schedule, briefly=briefly))

    def refer(self) -> RunOutcome:
        """Run without faults: what comes of that is what must come of every other run.

        One that took a second process was disturbed, by a machine with too much to do, say, and is run again.

        Raises:
            Exception: what the workflow's own world raised, if it cannot be run at all.
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
