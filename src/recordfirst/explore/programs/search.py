"""The search through programs: seed after seed, until the budget is used up. Failures are shrunk and printed."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable

import msgspec

from recordfirst.explore.programs.ground import Schedule
from recordfirst.explore.programs.model import judge
from recordfirst.explore.programs.printing import as_test
from recordfirst.explore.programs.runner import FoundRun, quiet, runs_of, told_of, try_one
from recordfirst.explore.programs.shape import pairs, shape
from recordfirst.explore.programs.shrink import shrink
from recordfirst.explore.programs.tree import Program
from recordfirst.explore.programs.world import REFUSED, ProgramWorld

_FAILURES_MOST = 10
_SHRINKS_S = 60.0
"""The most time that is spent on shrinking a failure: its seed is enough to reproduce it."""
_NEARBY = 6
"""How many schedules of the same kind are tried for a smaller program, which has other points."""


class Sum(msgspec.Struct, kw_only=True):
    """What was run, and what was found."""

    seed: int
    runs: int = 0
    programs: int = 0
    seconds: float = 0.0
    failed: int = 0
    following: int = 0
    """The number of the next program, with which a later search goes on."""
    shapes: set[str] = msgspec.field(default_factory=set)
    faults: Counter[str] = msgspec.field(default_factory=Counter)
    pairs: Counter[str] = msgspec.field(default_factory=Counter)
    ends: Counter[str] = msgspec.field(default_factory=Counter)
    found: list[FoundRun] = []
    """Distinct failures, in the order in which they were found."""


type TellSum = Callable[[Sum], None]


def search(
    seed: int,
    *,
    runs: int | None,
    seconds: float | None,
    only: int | None = None,
    since: int = 0,
    tell: TellSum = lambda _: None,
) -> Sum:
    """Run programs until the budget is used up.

    Args:
        seed: the programs are ``seed * 1,000,000`` and the following ones.
        runs: the most runs.
        seconds: the most time.
        only: the number of the only program to run.
        since: the number of the first program.
        tell: gets reports of the progress.
    """
    whole, began = Sum(seed=seed), time.perf_counter()
    kinds: set[tuple[str, str]] = set()
    with quiet():
        world = ProgramWorld()
        try:
            number = since if only is None else only
            while True:
                shaped, whole.following = "", number + 1
                for each in runs_of(world, seed * 1_000_000 + number):
                    whole.runs += 1
                    whole.faults.update(each.history.faults or ("none",))
                    if not shaped:
                        shaped = shape(each.program)
                        whole.programs += 1
                        whole.shapes.add(shaped)
                    whole.pairs.update(pairs(each.program, each.history))
                    start = each.history.start("p")
                    whole.ends["none" if start is None else "stopped" if start.is_stopped else start.state] += 1
                    if each.broken:
                        whole.failed += 1
                        kind = (each.broken[0].promise, each.broken[0].rule)
                        if kind not in kinds and len(whole.found) < _FAILURES_MOST:
                            kinds.add(kind)
                            whole.found.append(each)
                    whole.seconds = time.perf_counter() - began
                    tell(whole)
                    if (runs is not None and whole.runs >= runs) or (seconds is not None and whole.seconds >= seconds):
                        return whole
                if only is not None:
                    return whole
                number += 1
        finally:
            world.close()


def smallest(found: FoundRun, world: ProgramWorld) -> tuple[Program, Schedule]:
    """Shrink a failure."""
    wanted = {(each.promise, each.rule) for each in found.broken}

    until = time.perf_counter() + _SHRINKS_S

    def breaks(program: Program, schedule: Schedule) -> bool:
        if time.perf_counter() > until:
            return False
        return schedule_that_breaks(world, program, schedule, wanted) is not None

    program, schedule = shrink(found.program, found.schedule, breaks)
    return program, schedule_that_breaks(world, program, schedule, wanted) or schedule


def schedule_that_breaks(
    world: ProgramWorld, program: Program, schedule: Schedule, wanted: set[tuple[str, str]]
) -> Schedule | None:
    """Return this schedule, or one with the same faults at other points, if a program breaks the same rule under it."""
    if not program.steps:
        return None
    if _breaks(world, program, schedule, wanted):
        return schedule
    if not schedule.faults:
        return None
    try:
        world.load(program)
    except REFUSED:
        return None
    history = world.observe(Schedule())
    chance = random.Random("nearby")  # noqa: S311 - no secret: the same each time
    points = [point.number for point in history.points]
    for _ in range(_NEARBY):
        moved = Schedule(
            tuple(
                msgspec.structs.replace(at, point=chance.choice(points)) for at in schedule.faults if at.since is None
            )
        )
        if moved.faults and {(b.promise, b.rule) for b in judge(world.observe(moved), told_of)} & wanted:
            return moved
    return None


def _breaks(world: ProgramWorld, program: Program, schedule: Schedule, wanted: set[tuple[str, str]]) -> bool:
    return bool({(each.promise, each.rule) for each in try_one(world, program, schedule)} & wanted)


def told(found: FoundRun) -> str:
    """Return a failure, shrunk, as a test, with the command that runs it again."""
    seed, number = divmod(found.seed, 1_000_000)
    again = f"PYTHONHASHSEED=0 recordfirst explore --programs --seed {seed} --only {number}"
    with quiet():
        world = ProgramWorld()
        try:
            program, schedule = smallest(found, world)
            broken = [str(each) for each in try_one(world, program, schedule)]
            try:
                world.load(program)
                history = world.observe(schedule)
            except REFUSED:
                history = found.history
        finally:
            world.close()
    return as_test(program, str(schedule), broken, history, again)
