"""Shrinks a program that breaks a promise: fewer statements, steps, answers and faults, but the same broken rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from recordfirst.explore.programs.ground import Schedule
from recordfirst.explore.programs.tree import (
    Catch,
    Do,
    EffectSpec,
    Finally,
    Part,
    Program,
    Reused,
    Spec,
    Statement,
    Together,
    Within,
    WriteSpec,
    blocks_of,
    walk,
)

type Breaks = Callable[[Program, Schedule], bool]
"""Returns whether a program still breaks the same rule under a schedule, or under a similar one."""

_TRIES_MOST = 400


def shrink(program: Program, schedule: Schedule, breaks: Breaks) -> tuple[Program, Schedule]:
    """Return the smallest program and schedule that are found.

    A smaller program has other points, so the caller's ``breaks`` tries a schedule as it is, and with its faults at
    other points.
    """
    tries = 0
    smaller = True
    while smaller and tries < _TRIES_MOST:
        smaller = False
        for candidate in _smaller(program, schedule):
            tries += 1
            if tries >= _TRIES_MOST:
                break
            if breaks(*candidate):
                program, schedule = candidate
                smaller = True
                break
    return program, schedule


def _smaller(program: Program, schedule: Schedule) -> Iterator[tuple[Program, Schedule]]:
    for index in range(len(schedule.faults)):
        yield program, schedule.but(index)
    replace = msgspec.structs.replace
    for index in range(len(program.changes)):
        yield replace(program, changes=program.changes[:index] + program.changes[index + 1 :]), schedule
    for body in _less(program.body):
        yield _tidy(replace(program, body=body)), schedule
    if program.begin != "start":
        yield replace(program, begin="start"), schedule
    for index, spec in enumerate(program.steps):
        for plainer in _plainer(spec):
            steps = (*program.steps[:index], plainer, *program.steps[index + 1 :])
            yield _tidy(replace(program, steps=steps)), schedule


def _less(body: tuple[Statement, ...]) -> Iterator[tuple[Statement, ...]]:
    """A block without one of its statements, or with a smaller one."""
    for index, statement in enumerate(body):
        before, after = body[:index], body[index + 1 :]
        yield before + after
        for block in blocks_of(statement):
            yield before + block + after
        for less in _within(statement):
            yield (*before, less, *after)


def _within(statement: Statement) -> Iterator[Statement]:
    replace = msgspec.structs.replace
    match statement:
        case Together(_, branches):
            for index, branch in enumerate(branches):
                if len(branches) > 2:  # noqa: PLR2004 - side by side
                    yield replace(statement, branches=branches[:index] + branches[index + 1 :])
                for less in _less(branch):
                    yield replace(statement, branches=(*branches[:index], less, *branches[index + 1 :]))
        case Reused(_, numbers) if len(numbers) > 2:  # noqa: PLR2004
            yield replace(statement, numbers=numbers[:2])
        case Within() | Part():
            yield from (replace(statement, body=less) for less in _less(statement.body))
        case Catch():
            yield from (replace(statement, body=less) for less in _less(statement.body))
            yield from (replace(statement, handler=less) for less in _less(statement.handler))
        case Finally():
            yield from (replace(statement, body=less) for less in _less(statement.body))
            yield from (replace(statement, final=less) for less in _less(statement.final))
        case Do(_, n, _) if n > 1:
            yield replace(statement, n=1)


def _plainer(spec: Spec) -> Iterator[Spec]:
    replace = msgspec.structs.replace
    plain = type(spec)(name=spec.name)
    for field in spec.__struct_fields__:
        value: Any = getattr(plain, field)
        if getattr(spec, field) != value and field not in ("name", "is_plain", "template"):
            yield replace(spec, **{field: value})
    if isinstance(spec, EffectSpec):
        for index in range(len(spec.answers)):
            yield replace(spec, answers=spec.answers[:index] + spec.answers[index + 1 :])


def _tidy(program: Program) -> Program:
    """Remove the steps that nothing names."""
    named = {each.step for each in walk(program.body) if isinstance(each, Do | Reused)}
    named |= {change.step for change in program.changes}
    while True:
        more = set(named)
        for spec in program.steps:
            if spec.name in named and isinstance(spec, EffectSpec):
                more |= {each for each in (spec.undo, spec.after) if each is not None}
            if spec.name in named and isinstance(spec, WriteSpec) and spec.intends is not None:
                more.add(spec.intends)
        if more == named:
            break
        named = more
    return msgspec.structs.replace(program, steps=tuple(each for each in program.steps if each.name in named))
