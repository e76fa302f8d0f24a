"""What must have ended before a step begins, by a program's text alone. Pure.

Nothing is known of a step that is called in two places, is an undo, or is another attempt: its caller is unknown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from recordfirst.explore.programs.tree import (
    Catch,
    Do,
    EffectSpec,
    Fail,
    Finally,
    Part,
    Program,
    Reused,
    Sleep,
    Statement,
    Together,
    Within,
    walk,
)


class BlockEnd(msgspec.Struct, frozen=True):
    """The end of a block: the body has seen all of ``seen``, unless one of ``unless`` has raised."""

    seen: frozenset[str]
    unless: frozenset[str] = frozenset()


class Order(msgspec.Struct, frozen=True):
    """A step, and what must have ended before it begins for the first time."""

    step: str
    behind: tuple[BlockEnd, ...]


def orders(program: Program) -> list[Order]:
    """The order of steps that a program implies."""
    times = Counter(f"{each.step}:{each.n}" for each in walk(program.body) if isinstance(each, Do))
    undos = {spec.undo for spec in program.steps if isinstance(spec, EffectSpec)}
    return [
        each
        for each in _in_block(program.body, may_be_given_up=False)
        if times[each.step] == 1 and each.step.partition(":")[0] not in undos and each.behind
    ]


def _in_block(body: Sequence[Statement], *, may_be_given_up: bool) -> Iterator[Order]:
    """``may_be_given_up``: by a time-out or a task group. Then the statements of a ``finally`` begin."""
    for before, statement in zip((None, *body), body, strict=False):
        if before is not None:
            yield from _behind(statement, _ended_well(before))
        match statement:
            case Together(how, branches):
                for branch in branches:
                    yield from _in_block(branch, may_be_given_up=may_be_given_up or how == "group")
            case Within(_, inner):
                yield from _in_block(inner, may_be_given_up=True)
            case Part(inner, _):
                yield from _in_block(inner, may_be_given_up=False)
            case Catch(_, inner, handler):
                yield from _in_block(inner, may_be_given_up=may_be_given_up)
                yield from _in_block(handler, may_be_given_up=may_be_given_up)
                if handler and _is_told(inner):
                    yield from _behind(handler[0], (BlockEnd(frozenset({"a failure"}), _called(inner)),))
            case Finally(inner, final):
                yield from _in_block(inner, may_be_given_up=may_be_given_up)
                yield from _in_block(final, may_be_given_up=may_be_given_up)
                if final and not may_be_given_up:
                    yield from _behind(final[0], _ended(inner))


def _behind(statement: Statement, ends: tuple[BlockEnd, ...]) -> Iterator[Order]:
    """The orders of the steps with which a statement begins."""
    match statement:
        case Do(attempt=1):
            yield Order(_where(statement), ends)
        case Together(_, branches):
            for branch in branches:
                yield from _behind(branch[0], ends) if branch else ()
        case Within(_, inner) | Part(inner, _) | Catch(_, inner, _) | Finally(inner, _):
            yield from _behind(inner[0], ends) if inner else ()


def _ended_well(statement: Statement) -> tuple[BlockEnd, ...]:
    """What was seen when the next statement begins."""
    match statement:
        case Together("settled", branches):
            return tuple(end for branch in branches for end in _ended(branch))
        case Catch(_, inner, _):
            return _ended(inner)
        case _:
            return (BlockEnd(_seen_in((statement,))),)


def _ended(body: Sequence[Statement]) -> tuple[BlockEnd, ...]:
    """What was seen when a block has ended, well or not."""
    return (BlockEnd(_seen_in(body), _called(body)),) if _is_told(body) else ()


def _is_told(body: Sequence[Statement]) -> bool:
    """Whether the body sees everything that can make this block fail."""
    return not any(isinstance(each, Fail | Within) for each in walk(tuple(body)))


def _seen_in(body: Sequence[Statement]) -> frozenset[str]:
    """What was certainly seen in a block that ended well."""
    found: set[str] = set()
    for statement in body:
        match statement:
            case Do():
                found.add(_where(statement))
            case Together("gather" | "group" | "checked", branches):
                found |= _seen_in([each for branch in branches for each in branch])
            case Within(_, inner) | Part(inner, _):
                found |= _seen_in(inner)
            case Finally(inner, final):
                found |= _seen_in((*inner, *final))
            case Reused(step, numbers):
                found |= {f"{step}:{n}" for n in numbers}
            case Together() | Catch() | Sleep() | Fail():
                pass
    return frozenset(found)


def _called(body: Sequence[Statement]) -> frozenset[str]:
    """Everything that may raise in a block."""
    found = {_where(each) for each in walk(tuple(body)) if isinstance(each, Do)}
    found |= {f"{each.step}:{n}" for each in walk(tuple(body)) if isinstance(each, Reused) for n in each.numbers}
    return frozenset(found)


def _where(do: Do) -> str:
    return f"{do.step}:{do.n}" + (f"#{do.attempt}" if do.attempt > 1 else "")
