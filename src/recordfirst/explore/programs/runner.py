"""Runs program after program, each without faults and with a few, and keeps the runs that broke a promise."""

from __future__ import annotations

import contextlib
import gc
import logging
import random
import warnings
from collections.abc import Iterator
from functools import cache
from typing import Any

import msgspec

from recordfirst.explore.programs.generate import generate
from recordfirst.explore.programs.ground import ENDS, At, Schedule, every_single, worth_trying
from recordfirst.explore.programs.history import History
from recordfirst.explore.programs.model import Broken, judge
from recordfirst.explore.programs.source import IMPORTS
from recordfirst.explore.programs.tree import Program
from recordfirst.explore.programs.values import kinds, told, types
from recordfirst.explore.programs.world import REFUSED, ProgramWorld

RUNS = 3
"""Runs of each program: one without faults, the others with one to three."""
_RARELY = 50_000


class FoundRun(msgspec.Struct, frozen=True):
    """A run that broke a promise."""

    seed: int
    program: Program
    schedule: Schedule
    broken: tuple[Broken, ...]
    history: History


@cache
def told_of(expression: str) -> str:
    """The text of a value with its types, from its Python expression."""
    names = _names()
    return told(eval(expression, names))  # noqa: S307 - of our own table


@cache
def _names() -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(IMPORTS + types([*kinds(sound=True), *kinds(sound=False)]), names)  # noqa: S102 - our own text
    return names


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Log nothing: processes die and providers fail on purpose here."""
    loggers = [logging.getLogger(name) for name in ("resonate", "recordfirst", "asyncio")]
    levels = [logger.level for logger in loggers]
    often = gc.get_threshold()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.CRITICAL + 1)
        gc.set_threshold(_RARELY, *often[1:])
        try:
            yield
        finally:
            gc.set_threshold(*often)
            gc.collect()
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


def try_one(world: ProgramWorld, program: Program, schedule: Schedule) -> tuple[Broken, ...]:
    """Load a program, run it once, and return what it broke."""
    try:
        world.load(program)
    except REFUSED as error:
        return (Broken("P8", "declared", f"{type(error).__name__}: {error}"),)
    return tuple(judge(world.observe(schedule), told_of))


def runs_of(world: ProgramWorld, seed: int, most: int = RUNS) -> Iterator[FoundRun]:
    """Run the program of a seed: without faults, and then under schedules that the seed draws."""
    program = generate(seed)
    chance = random.Random(f"schedules {seed}")  # noqa: S311 - no secret: the same each time
    try:
        world.load(program)
    except REFUSED as error:
        broken = Broken("P8", "declared", f"{type(error).__name__}: {error}")
        yield FoundRun(seed, program, Schedule(), (broken,), _refused(program, str(error)))
        return
    history = world.observe(Schedule())
    yield FoundRun(seed, program, Schedule(), tuple(judge(history, told_of)), history)
    for schedule in schedules(history, chance, 1 + bool(program.changes), most - 1):
        history = world.observe(schedule)
        yield FoundRun(seed, program, schedule, tuple(judge(history, told_of)), history)


def schedules(history: History, chance: random.Random, versions: int, most: int) -> list[Schedule]:
    """Draw ``most`` schedules of one to three faults, at points that the run without faults has crossed."""
    points = worth_trying(history.points)
    singles = every_single(1, points, versions=versions)
    if versions > 1:
        # The next version runs alone, or beside the first, which stalls meanwhile.
        deploys = [at for at in singles if at.change == "deploy"]
        deploys += [msgspec.structs.replace(at, change="deploy") for at in singles if at.fault == "stall"]
        singles += deploys * (len(singles) // max(1, 3 * len(deploys)))
    found = []
    for _ in range(most):
        if not singles:
            break
        drawn: list[At] = [chance.choice(singles)]
        while chance.random() < 0.35 and len(drawn) < 3:  # noqa: PLR2004 - seldom more
            second = chance.choice(singles)
            drawn.append(
                msgspec.structs.replace(second, process=chance.choice((1, 2)), since=None)
                if second.since is None
                else second
            )
        if any(at.fault == "stall" for at in drawn):  # its files are its own: no other process dies in them
            drawn = [at for at in drawn if at.fault not in ENDS]
        by_place = {(at.process, at.point): at for at in drawn}
        found.append(Schedule(tuple(sorted(by_place.values(), key=lambda at: (at.process, at.point)))))
    return found


def _refused(program: Program, why: str) -> History:
    return History(
        program=program, schedule="none", faults=(), points=(), processes=0, asked=(), receipts=(), starts=(),
        findings=(), rows=(), commits=(), notes=(), why="", versions=1, refused=why,
    )  # fmt: skip
