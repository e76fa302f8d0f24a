"""Finds the smallest schedule that still breaks a promise, so that an operator reads nothing superfluous."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import msgspec

from recordfirst.explore.runs.run import RunOutcome
from recordfirst.explore.runs.schedule import ENDS, At, Point, Schedule
from recordfirst.explore.runs.violation import by_weight


def kind_of(outcome: RunOutcome) -> tuple[str, ...]:
    """The kind of a failure: the broken promises, without numbers and times. Failures of one kind count as the same."""
    return tuple(re.sub(r"\d+", "#", str(violation)) for violation in by_weight(outcome.violations))


def shrink(run: Callable[[Schedule], RunOutcome], outcome: RunOutcome, reference: RunOutcome) -> RunOutcome:
    """Return the smallest schedule found that breaks the same promise as this one.

    Smaller means: fewer faults, no change before a successor, the same fault in the first process instead of a
    successor, or a plain death instead of a process that stalls. This is repeated until no smaller one breaks it.
    """
    promise = _promise(outcome)
    smaller = True
    while smaller:
        smaller = False
        for schedule in _less(outcome, reference):
            tried = run(schedule)
            if _promise(tried) == promise:
                outcome, smaller = tried, True
                break
    return outcome


def _promise(outcome: RunOutcome) -> str | None:
    return by_weight(outcome.violations)[0].promise if outcome.violations else None


def _less(outcome: RunOutcome, reference: RunOutcome) -> Iterator[Schedule]:
    schedule = outcome.schedule
    if len(outcome.struck) < len(schedule.faults):
        yield Schedule(tuple(at for at in schedule.faults if at in outcome.struck))
    if len(schedule.faults) > 2:  # noqa: PLR2004 - of two, one remains, and that is a single fault
        for at in schedule.faults:
            yield Schedule((at,))
    for index in range(len(schedule.faults)):
        yield schedule.but(index)
    for index, at in enumerate(schedule.faults):
        if at.change is not None:
            yield _with(schedule, index, msgspec.structs.replace(at, change=None, since=None))
        if at.fault == "stall":
            yield _with(schedule, index, msgspec.structs.replace(at, fault="crash-after"))
    yield from _earlier(outcome, reference)


def _earlier(outcome: RunOutcome, reference: RunOutcome) -> Iterator[Schedule]:
    """Move the fault of a successor to the first process alone, if that one comes to the same point."""
    for at in outcome.struck:
        if at.process == 1 or len(outcome.struck) == 1:
            continue
        there = _same(outcome.crossed(at), reference.points[0])
        if there is not None:
            change = at.change if at.fault in ENDS else None
            yield Schedule((At(1, there.number, at.fault, change, label=there.label),))


def _same(point: Point, points: tuple[Point, ...]) -> Point | None:
    wanted = point.boundary, point.name, point.detail
    return next((each for each in points if (each.boundary, each.name, each.detail) == wanted), None)


def _with(schedule: Schedule, index: int, at: At) -> Schedule:
    return Schedule((*schedule.faults[:index], at, *schedule.faults[index + 1 :]))
