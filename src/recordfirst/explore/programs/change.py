"""Makes the next version of a program: applies its changes. Pure."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import msgspec

from recordfirst.explore.programs.tree import (
    Do,
    Edit,
    EffectSpec,
    Program,
    Spec,
    Statement,
    WriteSpec,
    blocks_of,
    walk,
    with_blocks,
)

MISTAKES = frozenset({"rename", "rekey", "undo", "retype", "return"})
"""Changes that may stop a workflow. All other changes are safe, and must not."""
ANEW = "{n}:{name}:anew"
"""The template of a changed key. Number and name stand where they stood before."""


def later(program: Program, *, fixed: bool = True) -> Program:
    """The next version. ``fixed=False``: without its fixes, for a workflow that has stored outcomes of the last one."""
    changes = [each for each in program.changes if fixed or each.kind != "fix"]
    return msgspec.structs.replace(reduce(_changed, changes, program), changes=())


def _changed(program: Program, change: Edit) -> Program:
    steps, body = program.steps, program.body
    match change.kind:
        case "remove":
            body = _at(body, change.place, lambda before, _, behind: (*before, *behind))
        case "reorder":
            body = _at(body, change.place, _exchanged)
        case "add":
            steps = (*steps, EffectSpec(name="added"))
            body = (Do("added", 9), *body)
        case "undo":
            steps = _with_undo(steps, change)
        case "retype" if any(getattr(each, "undo", None) == change.step for each in steps):
            pass  # an undo takes the parameters of the effect that it undoes
        case _:
            steps = tuple(_of(each, change) if each.name == change.step else each for each in steps)
    return msgspec.structs.replace(program, steps=steps, body=body)


type _Block = tuple[Statement, ...]


def _exchanged(before: _Block, statement: Statement, behind: _Block) -> _Block:
    return (*before, behind[0], statement, *behind[1:]) if behind else (*before, statement)


def _at(body: _Block, place: int, change: Callable[[_Block, Statement, _Block], _Block]) -> _Block:
    """A body with one statement changed. Statements are counted through all blocks."""
    for index, statement in enumerate(body):
        if place == 0:
            return change(body[:index], statement, body[index + 1 :])
        inside = len(walk((statement,)))
        if place < inside:
            return (*body[:index], _inside(statement, place - 1, change), *body[index + 1 :])
        place -= inside
    return body


def _inside(statement: Statement, place: int, change: Callable[[_Block, Statement, _Block], _Block]) -> Statement:
    blocks = list(blocks_of(statement))
    for index, block in enumerate(blocks):
        if place < len(walk(block)):
            blocks[index] = _at(block, place, change)
            break
        place -= len(walk(block))
    return with_blocks(statement, tuple(blocks))


def _with_undo(steps: tuple[Spec, ...], change: Edit) -> tuple[Spec, ...]:
    found = next((each for each in steps if each.name == change.step), None)
    if not isinstance(found, EffectSpec):
        return steps
    other = EffectSpec(name=f"v{found.name}")
    undo = other.name if change.place % 2 else None
    changed = msgspec.structs.replace(found, undo=undo)
    more = (other,) if undo is not None and other not in steps else ()
    return (*more, *(changed if each is found else each for each in steps))


def _of(spec: Spec, change: Edit) -> Spec:  # noqa: PLR0911 - one return per kind
    replace = msgspec.structs.replace
    match change.kind:
        case "rename":
            return replace(spec, function=f"{spec.name}_anew")
        case "rekey" if isinstance(spec, EffectSpec | WriteSpec):
            return replace(spec, template=ANEW)
        case "default" if isinstance(spec, EffectSpec | WriteSpec):
            return replace(spec, default=(spec.default or 0) + 1)
        case "fix" if isinstance(spec, WriteSpec):
            return replace(spec, ends="ok")
        case "retype":
            return replace(spec, value="int" if spec.value is None else "text")
        case "return":
            return replace(spec, result="int" if spec.result is None else None)
        case _:
            return spec
