"""A whole exploration, and the replay of one schedule, for the command line and the fixture of pytest."""

from __future__ import annotations

import contextlib
import functools
import gc
import logging
import multiprocessing
import re
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection, wait
from typing import Any

import msgspec

from recordfirst.errors import Misuse
from recordfirst.explore.case import Case
from recordfirst.explore.judge import mistakes
from recordfirst.explore.runs.run import RunOutcome
from recordfirst.explore.runs.schedule import Schedule
from recordfirst.explore.search.explorer import Budget, Cell, Exploration, Explorer, Failure
from recordfirst.explore.search.shrinking import kind_of
from recordfirst.explore.worlds.named import Where, opened, ready
from recordfirst.explore.worlds.world import World

_SECONDS = {"s": 1, "m": 60, "h": 3600}
_TELL_EVERY = 10
"""How many schedules a process runs between two reports of its progress."""

_RARELY = 50_000
"""How many new objects trigger a garbage collection."""

_LEAVES_S = 20.0
"""How long to wait for a process that was asked to end. A schedule does not take longer."""

_SINGLES = Budget()
_FAST = Where()

type Tell = Callable[[int, int], None]
"""Gets the number of schedules that were run, and of those that broke a promise."""


def _littering[**P, R](run: Callable[P, R]) -> Callable[P, R]:
    """Collect garbage of dead processes rarely, and suppress the warnings about their coroutines.

    The coroutines of a dead process are never resumed. Collecting them as often as Python does by default took a
    twentieth of the time.
    """

    @functools.wraps(run)
    def cleaning_up(*args: P.args, **kwargs: P.kwargs) -> R:
        often = gc.get_threshold()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)
            gc.set_threshold(_RARELY, *often[1:])
            try:
                return run(*args, **kwargs)
            finally:
                gc.set_threshold(*often)
                gc.collect()  # the warnings are raised during a collection

    return cleaning_up


@_littering
def explore(
    case: Case,
    budget: Budget = _SINGLES,
    *,
    where: Where = _FAST,
    seed: int = 1,
    jobs: int = 1,
    part: tuple[int, int] = (0, 1),
    tell: Tell = lambda _done, _failed: None,
) -> Exploration:
    """Explore a case: every fault at every point, and more as the budget allows.

    Args:
        case: the case.
        budget: when to stop. Default: after all single faults.
        where: the world.
        seed: the seed of what is drawn. The same seed, budget of schedules and code try the same schedules.
        jobs: how many processes share the work.
        part: the index of this part, from 0, and the number of parts. Other runs, on other machines perhaps, take the
            other parts.
        tell: gets reports of the progress.

    Raises:
        Misuse: if the case cannot be run without faults, there is nothing to do, or the world cannot be opened.
    """
    if jobs < 1:
        raise Misuse(f"jobs must be at least 1, not {jobs}")
    with ready(where) as there:
        if jobs == 1:
            return _explore(case, _share(budget, part[1]), there, seed, part, tell)
        return _side_by_side(case, budget, there, seed, jobs, tell)


def parse_budget(text: str | None) -> Budget:
    """Parse ``60s``, ``5m``, ``1h`` or ``10000``: when to stop. ``None``: after all single faults.

    Raises:
        Misuse: if the text is none of these.
    """
    if text is None:
        return _SINGLES
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])|(\d+)", text.strip())
    if found is None:
        raise Misuse(f"{text!r} is not a budget; write a time, such as 60s, 5m or 1h, or a number of schedules")
    number, unit, schedules = found.groups()
    budget = Budget(schedules=int(schedules)) if unit is None else Budget(seconds=float(number) * _SECONDS[unit])
    if not (budget.schedules or budget.seconds):
        raise Misuse(f"a budget of {text!r} tries nothing; write a larger one")
    return budget


@_littering
def replay(case: Case, schedule: Schedule, *, where: Where = _FAST, seed: int = 1) -> Exploration:
    """Run one schedule and no other.

    Raises:
        Misuse: if the case cannot be run without faults, or the schedule's points or faults do not exist here.
    """
    with ready(where) as there, _world(case, there, seed) as world:
        strangers = {what for at in schedule.faults for what in (at.fault, at.change) if what} - world.tries
        if strangers:
            raise Misuse(f"the {there.world} world cannot do {', '.join(sorted(strangers))} here")
        explorer = Explorer(world, case.workflow.name, seed=seed)
        report = explorer.report
        report.world = there.world
        mistakes.check(case, report.reference)
        outcome = _until_struck(world, schedule) if schedule.faults else report.reference
        if len(outcome.struck) < len(schedule.faults):
            missed = [str(at) for at in schedule.faults if at not in outcome.struck]
            raise Misuse(f"no process reaches {', '.join(missed)}: the workflow, its case or recordfirst has changed")
        report.schedules, report.replayed = 1, outcome
        if outcome.violations:
            report.failed = 1
            report.failures = [Failure(schedule, outcome)]
        return report


def _until_struck(world: World, schedule: Schedule) -> RunOutcome:
    """Run a schedule. In real time no two runs are alike, so a run that has not reached its points is repeated."""
    for _ in range(world.replays - 1):
        outcome = world.run(schedule)
        if len(outcome.struck) == len(schedule.faults):
            return outcome
    return world.run(schedule)


@contextlib.contextmanager
def _world(case: Case, where: Where, seed: int) -> Iterator[World]:
    # Processes die and requests fail on purpose here, so they are not logged.
    loggers = [logging.getLogger(name) for name in ("resonate", "recordfirst", "asyncio")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        with opened(case, where, seed) as world:
            yield world
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _explore(case: Case, budget: Budget, where: Where, seed: int, shard: tuple[int, int], tell: Tell) -> Exploration:
    with _world(case, where, seed) as world:
        explorer = Explorer(world, case.workflow.name, seed=seed, versions=1 + len(case.versions), shard=shard)
        explorer.report.world = where.world
        mistakes.check(case, explorer.report.reference)
        if explorer.report.failed:
            return explorer.report  # a promise is broken without any fault, so faults would show nothing more
        return explorer.explore(budget, lambda report: tell(report.schedules, report.failed))


def _share(budget: Budget, parts: int) -> Budget:
    """The budget of each of ``parts``: its part of the schedules, and all of the time, since they run side by side."""
    return budget if budget.schedules is None else Budget(-(-budget.schedules // parts), budget.seconds)


# ── several processes ───────────────────────────────────────────────────────


def _side_by_side(case: Case, budget: Budget, where: Where, seed: int, jobs: int, tell: Tell) -> Exploration:
    share = _share(budget, jobs)
    context = multiprocessing.get_context("fork")  # a case is made of functions, which cannot be sent
    sides = []
    for index in range(jobs):
        ours, theirs = context.Pipe(duplex=False)
        process = context.Process(target=_one_of, args=(theirs, case, share, where, seed, (index, jobs)), daemon=True)
        process.start()
        theirs.close()
        sides.append((ours, process))
    counts: dict[Any, tuple[int, int]] = {}
    reports: list[Exploration] = []
    try:
        waiting: list[Connection] = [ours for ours, _ in sides]
        while waiting:
            for side in wait(waiting):
                assert isinstance(side, Connection)
                said = _received(side)
                if isinstance(said, tuple):
                    counts[side] = said
                    tell(sum(done for done, _ in counts.values()), sum(failed for _, failed in counts.values()))
                    continue
                waiting.remove(side)
                reports.append(said)
    finally:
        for _, process in sides:
            process.terminate()
        for _, process in sides:
            process.join(_LEAVES_S)
            process.kill()
            process.join()
    return merge(reports)


def _received(side: Connection) -> tuple[int, int] | Exploration:
    try:
        said = side.recv()
    except EOFError:
        raise RuntimeError("a process of the exploration has died; to see why, run it with --jobs 1") from None
    if isinstance(said, BaseException):
        raise said
    assert isinstance(said, tuple | Exploration)
    return said


def _one_of(side: Connection, case: Case, budget: Budget, where: Where, seed: int, shard: tuple[int, int]) -> None:
    is_to_end = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: is_to_end.set())

    def tell(done: int, failed: int) -> None:
        if is_to_end.is_set():  # after a schedule, so that what it has made on a server is deleted, too
            sys.exit(1)
        if done % _TELL_EVERY == 0:
            side.send((done, failed))

    try:
        side.send(_explore(case, budget, where, seed, shard, tell))
    except Misuse as error:
        side.send(error)


def merge(reports: list[Exploration]) -> Exploration:
    """Merge the reports of several processes into one."""
    first = reports[0]
    whole = msgspec.structs.replace(first, cells={}, struck=set(), failures=[], tried=first.tried.copy())
    for other in reports[1:]:
        whole.tried += other.tried
        whole.schedules += other.schedules
        whole.failed += other.failed
        whole.seconds = max(whole.seconds, other.seconds)
        if other.pairs != whole.pairs:
            whole.pairs = "sampled"
    for each in reports:
        whole.struck |= each.struck
        for name, row in each.cells.items():
            for fault, cell in row.items():
                into = whole.cells.setdefault(name, {}).setdefault(fault, Cell())
                into.tried += cell.tried
                into.failed += cell.failed
        known = {kind_of(failure.smallest) for failure in whole.failures}
        whole.failures += [failure for failure in each.failures if kind_of(failure.smallest) not in known]
    return whole
