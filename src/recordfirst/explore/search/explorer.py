"""The search: every fault at every point, then two and more, until the budget is used up. Failures are shrunk.

Single faults are tried exhaustively. All pairs are tried if they fit the budget; otherwise a seed draws as many as fit,
and a few threes. The same seed, budget of schedules and code try the same schedules.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator

import msgspec

from recordfirst.explore.runs.naming import is_keeping, name_of
from recordfirst.explore.runs.run import RunOutcome
from recordfirst.explore.runs.schedule import ENDS, FAULTS, At, Point, Schedule, every_single, worth_trying
from recordfirst.explore.search.shrinking import kind_of, shrink
from recordfirst.explore.worlds.world import World

_FAILURES_MOST = 20
"""How many failures are kept and shrunk. Others are only counted."""
_FIRST = (
    "never", "twice", "early", "overtaken", "late",
    "crash-after", "lose", "stall", "crash", "hang", "redeliver", "contend", "fail",
)  # fmt: skip
"""The order in which faults are tried: those that break most come first."""
_THREE = 0.2
"""The share of drawn schedules that get a third fault."""


assert set(_FIRST) == set(FAULTS)


class Budget(msgspec.Struct, frozen=True):
    """When to stop: at the limit that is reached first. Without limits, only all single faults are tried."""

    schedules: int | None = None
    seconds: float | None = None


class Cell(msgspec.Struct):
    """One fault at one kind of point."""

    tried: int = 0
    failed: int = 0
    """How many schedules with this fault broke a promise."""


class Failure(msgspec.Struct, frozen=True):
    """A schedule that broke a promise, as it was found, and the smallest one that still breaks it."""

    found: Schedule
    smallest: RunOutcome


class Exploration(msgspec.Struct, kw_only=True):
    """The report: what an exploration has tried and found."""

    workflow: str
    world: str = "fast"
    seed: int
    reference: RunOutcome
    """The run without faults."""
    tried: Counter[str] = msgspec.field(default_factory=Counter)
    """How often each fault was tried at each boundary: ``crash at record``."""
    cells: dict[str, dict[str, Cell]] = {}
    """How often each fault was tried, by what is done at the point, and by the fault."""
    schedules: int = 0
    struck: set[tuple[int, int, str]] = set()
    """The distinct points at which a fault struck, of the first process and of its successors."""
    failed: int = 0
    """How many schedules broke a promise."""
    failures: list[Failure] = []
    """The distinct failures, shrunk."""
    singles: int = 0
    """How many schedules with a single fault there are."""
    pairs: str = "none"
    """``all``, ``sampled`` or ``none``."""
    seconds: float = 0.0
    replayed: RunOutcome | None = None
    """The outcome of a replay: the one schedule that was run."""

    @property
    def points(self) -> int:
        """The number of distinct points at which a fault struck."""
        return len(self.struck)

    @property
    def ok(self) -> bool:
        """Whether every promise held in every schedule."""
        return self.failed == 0


class Explorer:
    """Searches one world. It tries part ``shard`` of ``shards`` of the schedules."""

    def __init__(
        self, world: World, name: str, *, seed: int = 1, versions: int = 1, shard: tuple[int, int] = (0, 1)
    ) -> None:
        self._world, self._seed, self._versions, self._shard = world, seed, versions, shard
        self._kinds: set[tuple[str, ...]] = set()
        self._began = time.perf_counter()
        reference = world.refer()
        self.report = Exploration(workflow=name, seed=seed, reference=reference)
        if reference.violations:
            self._fails(reference)

    def explore(self, budget: Budget, tell: Callable[[Exploration], None] = lambda _: None) -> Exploration:
        """Search until the budget is used up. ``tell`` is called after each schedule."""
        report = self.report
        for schedule in self._schedules(budget):
            outcome = self._world.run(schedule, briefly=True)
            self._count(outcome)
            if outcome.violations:
                self._fails(outcome)
            if len(schedule.faults) == 1:
                self._seen[schedule] = outcome.points
            report.seconds = time.perf_counter() - self._began
            tell(report)
            if self._is_used_up(budget):
                break
        return report

    def _schedules(self, budget: Budget) -> Iterator[Schedule]:
        self._seen: dict[Schedule, tuple[tuple[Point, ...], ...]] = {}
        crossed = self.report.reference.points[0]
        kept = {point.number for point in crossed if is_keeping(point.boundary, point.name, point.detail)}
        # A small budget begins with the statements for the workflow, not with a worker's own, and with one fault at
        # each point.
        first = sorted(
            self._every_single(1, worth_trying(crossed)),
            key=lambda at: (at.point in kept, at.change is not None, _FIRST.index(at.fault)),
        )
        self.report.singles = len(first)
        index, count = self._shard
        for at in first[index::count]:
            yield Schedule((at,))
        if budget.schedules is None and budget.seconds is None:
            return
        singles = [(schedule.faults[0], points) for schedule, points in self._seen.items()]
        left = None if budget.schedules is None else budget.schedules - self.report.schedules
        if left is not None and sum(len(self._followers(at, points)) for at, points in singles) <= left:
            self.report.pairs = "all"
            for at, points in singles:
                for second in self._followers(at, points):
                    yield Schedule((at, second))
            left = 0
        if left == 0 or not singles:
            return
        self.report.pairs = "sampled"
        chance = random.Random(f"{self._seed}/{index}")  # noqa: S311 - no secret: the same each time
        while True:
            at, points = singles[chance.randrange(len(singles))]
            behind = _behind(at, points)
            times = 1 + (chance.random() < _THREE)
            places = chance.sample(behind, min(times, len(behind)))
            drawn = [chance.choice(faults) for each in places if (faults := self._after(at, *each))]
            if drawn:
                yield Schedule(tuple(sorted([at, *drawn], key=lambda at: (at.process, at.point))))

    def _followers(self, at: At, points: tuple[tuple[Point, ...], ...]) -> list[At]:
        """The faults that can strike after this one, at the points that were crossed when it struck alone."""
        return [fault for each in _behind(at, points) for fault in self._after(at, *each)]

    def _after(self, at: At, process: int, point: Point) -> list[At]:
        faults = self._every_single(process, [point])
        if at.fault == "stall":
            # A process that stalls has the files open, so no other process can die in them.
            return [fault for fault in faults if fault.fault not in ENDS]
        return faults

    def _every_single(self, process: int, points: list[Point]) -> list[At]:
        found = every_single(process, points, versions=self._versions)
        return [at for at in found if {at.fault, at.change or at.fault} <= self._world.tries]

    def _count(self, outcome: RunOutcome) -> None:
        report = self.report
        report.schedules += 1
        for at in outcome.struck:
            point = outcome.crossed(at)
            report.struck.add((at.process, at.point, point.name))
            what = at.fault if at.change is None else f"{at.fault}, {at.change}"
            report.tried[f"{what} at {point.boundary}"] += 1
            row = report.cells.setdefault(f"{point.boundary}: {name_of(point.boundary, point.name, point.detail)}", {})
            cell = row.setdefault(what, Cell())
            cell.tried += 1
            cell.failed += bool(outcome.violations)

    def _is_used_up(self, budget: Budget) -> bool:
        if budget.schedules is not None and self.report.schedules >= budget.schedules:
            return True
        return budget.seconds is not None and self.report.seconds >= budget.seconds

    def _fails(self, outcome: RunOutcome) -> None:
        report = self.report
        report.failed += 1
        found = kind_of(outcome)
        if found in self._kinds or len(report.failures) >= _FAILURES_MOST:
            return  # shrinking the same failure again shows nothing new, and takes many runs
        whole = self._world.run(outcome.schedule) if outcome.briefly else outcome
        smallest = shrink(self._world.run, whole, report.reference)
        if kind_of(smallest) not in self._kinds:
            report.failures.append(Failure(outcome.schedule, smallest))
        self._kinds |= {found, kind_of(smallest)}


def _behind(at: At, points: tuple[tuple[Point, ...], ...]) -> list[tuple[int, Point]]:
    """The points after a fault, each with its process."""
    return [
        (process, point)
        for process, crossed in enumerate(points, 1)
        for point in worth_trying(crossed)
        if (process, point.number) > (at.process, at.point)
    ]
