"""Does the model see it? Each defect that is put back, by a small program that has what it takes to show it."""

from __future__ import annotations

import pytest

from recordfirst.explore.programs.ground import Schedule, parse
from recordfirst.explore.programs.runner import try_one
from recordfirst.explore.programs.tree import (
    Catch,
    Do,
    EffectSpec,
    Fail,
    Finally,
    Program,
    Sleep,
    Statement,
    Together,
    WriteSpec,
)
from tests.explore.mutants.mutant import edited
from tests.explore.programs.mutants import MUTANTS


def _program(steps: tuple[WriteSpec | EffectSpec, ...], *body: Statement) -> Program:
    return Program(steps=steps, body=body)


BUG = WriteSpec(name="w1", ends="bug")
SHOWN_BY: dict[str, Program] = {
    "an undeclared exception fails the workflow and undoes": _program((), Sleep(1), Fail("bug")),
    "a defect of a step reaches the body": _program((BUG,), Catch("Exception", (Do("w1", 1),))),
    "promises survive a savepoint that is rolled back": _program(
        (WriteSpec(name="w1", rows=2, savepoint="taken back", starts=True),), Do("w1", 1)
    ),
    "a decline inside a group of one is unknown": _program(
        (EffectSpec(name="e1", answers=("refused in a group",)),), Do("e1", 1)
    ),
    "a classify that raises means that nothing was done": _program(
        (EffectSpec(name="e1", classify="raises", answers=("lost",), keys="none", probe="true"),), Do("e1", 1)
    ),
    "a step that raises CancelledError is cancelled": _program((WriteSpec(name="w1", ends="cancels"),), Do("w1", 1)),
    "after is not checked": _program(
        (WriteSpec(name="w1"), EffectSpec(name="e1", after="w1")), Do("e1", 1)
    ),
    "a branch of a body that has failed goes on": _program(
        (
            WriteSpec(name="w1", ends="declines"),
            EffectSpec(name="u1"),
            EffectSpec(name="e1", answers=("dropped",), undo="u1"),
            EffectSpec(name="u2"),
            EffectSpec(name="e2", undo="u2"),
        ),
        Together("gather", ((Do("e1", 1), Do("e2", 1)), (Do("w1", 1),))),
    ),
}  # fmt: skip
SHOWN_BY["a branch that waits unwinds the body at once"] = _program(
    (EffectSpec(name="e1"), EffectSpec(name="e2")),
    Finally((Together("group", ((Sleep(60), Do("e1", 1)), (Do("e1", 2),))),), (Do("e2", 1),)),
)
BY_NAME = {mutant.name: mutant for mutant in MUTANTS}


@pytest.mark.parametrize("name", SHOWN_BY)
def test_the_model_sees_it(world, name: str):
    """And without the defect nothing is broken."""
    program = SHOWN_BY[name]
    assert try_one(world, program, Schedule()) == ()
    with edited(BY_NAME[name].edits):
        assert try_one(world, program, Schedule()) != ()


def test_an_undo_that_the_body_calls_is_its_own(world):
    """P6: the engine is lost behind it, and the body runs again; it is no undo of a workflow that has failed."""
    program = _program(
        (EffectSpec(name="u1"), EffectSpec(name="e1", undo="u1"), EffectSpec(name="e2")),
        Do("e1", 1), Do("u1", 1), Do("e2", 1),
    )  # fmt: skip
    world.load(program)
    points = world.observe(Schedule()).points
    behind = next(point.number for point in points if point.name == "call e2")
    schedule = parse(f"1.{behind}:crash+engine-lost")
    assert try_one(world, program, schedule) == ()
    with edited(BY_NAME["an undo is looked for by the key of today"].edits):
        assert try_one(world, program, schedule) != ()


LOST: dict[str, tuple[str, Program]] = {
    "what is given back is what the body makes of it": (
        "task.fence promise.settle",
        _program((EffectSpec(name="e1"),), Together("group", ((Do("e1", 1),), ()))),
    ),
    "a stop is told by the reply to its COMMIT alone": (
        "COMMIT",
        _program((WriteSpec(name="w1", ends="odd"),), Do("w1", 1)),
    ),
}


@pytest.mark.parametrize("name", LOST)
def test_the_model_sees_it_where_a_reply_is_lost(world, name: str):
    """At one of the points of that name, and without the defect at none."""
    what, program = LOST[name]
    world.load(program)
    schedules = [parse(f"1.{at.number}:lose") for at in world.observe(Schedule()).points if at.name == what]
    assert schedules
    assert [try_one(world, program, schedule) for schedule in schedules] == [()] * len(schedules)
    with edited(BY_NAME[name].edits):
        assert any(try_one(world, program, schedule) for schedule in schedules)
