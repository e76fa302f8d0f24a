"""A second version of a program, alone or beside the first: what its changes may come to, and what never."""

from __future__ import annotations

import pytest

from recordfirst.explore.programs.change import later
from recordfirst.explore.programs.ground import Schedule, parse
from recordfirst.explore.programs.model import judge
from recordfirst.explore.programs.runner import told_of, try_one
from recordfirst.explore.programs.source import source
from recordfirst.explore.programs.tree import (
    CHANGES,
    Catch,
    Do,
    Edit,
    EditKind,
    EffectSpec,
    Fail,
    Part,
    Program,
    Sleep,
    Together,
    WriteSpec,
)
from tests.explore.mutants.mutant import edited
from tests.explore.programs.mutants import MUTANTS

STEPS = (
    WriteSpec(name="w1"),
    WriteSpec(name="w2", ends="bug"),
    EffectSpec(name="u1"),
    EffectSpec(name="e1", after="w1", undo="u1", default=3),
    EffectSpec(name="e2", answers=("refused",)),
)
BODY = (Do("w1", 1), Do("e1", 1), Do("e2", 1))
STEP_OF: dict[EditKind, str] = {"fix": "w2", "reorder": "", "remove": "", "add": ""}


def changed(kind: EditKind, place: int = 0, step: str = "e1") -> Program:
    return Program(steps=STEPS, body=BODY, changes=(Edit(kind, STEP_OF.get(kind, step), place),))


@pytest.mark.parametrize("fault", ["crash-after+deploy", "stall+deploy"])
@pytest.mark.parametrize("kind", CHANGES)
def test_no_change_repeats_a_call_or_undoes_by_itself(world, kind: EditKind, fault: str):
    """P3, P9: wherever the first version is left, for good or for a while."""
    program = changed(kind, 1)
    world.load(program)
    points = [
        point.number
        for point in world.observe(Schedule()).points
        if point.name.startswith(("call", "COMMIT")) and (fault.startswith("crash") or not point.in_transaction)
    ]
    assert points
    for point in points[::2]:
        history = world.observe(parse(f"1.{point}:{fault}"))
        assert history.versions == 2
        assert judge(history, told_of) == []


def test_a_mistake_of_a_deploy_stops_and_is_a_finding(world):
    """P9: the key of what was called is another one now."""
    program = changed("rekey")
    world.load(program)
    call = next(point.number for point in world.observe(Schedule()).points if point.name == "call e2")
    history = world.observe(parse(f"1.{call}:crash+deploy"))
    assert ("RF-WORKFLOW-STOPPED", "p") in history.findings
    assert [each.kind for each in history.applied] == ["e1:1"]


@pytest.mark.parametrize(
    ("name", "kind", "place"),
    [
        ("the changed key of an effect is not seen", "rekey", 0),
        ("what takes back is named by today's code", "undo", 1),
    ],
)
def test_the_model_sees_a_version_that_is_wrong(world, name: str, kind: EditKind, place: int):
    """Where the first version has called, and the next one goes on."""
    program = changed(kind, place)
    mutant = next(each for each in MUTANTS if each.name == name)
    world.load(program)
    call = next(point.number for point in world.observe(Schedule()).points if point.name == "call e2")
    schedule = parse(f"1.{call}:crash+deploy")
    assert try_one(world, program, schedule) == ()
    with edited(mutant.edits):
        assert try_one(world, program, schedule) != ()


def test_what_changes_may_stand_anywhere():
    """Statements are counted through all blocks."""
    inner = (Do("w1", 1), Sleep(1))
    program = Program(
        steps=STEPS,
        body=(Together("gather", ((Do("e1", 1),), inner)), Catch("Sold", (Part((Fail("sold"),), 4),)), Do("e2", 1)),
    )
    texts = [later(Program(steps=STEPS, body=program.body, changes=(Edit("remove", "", n),))) for n in range(8)]
    assert len({source(text) for text in texts}) == 8
    assert texts[2].body[0] == Together("gather", ((Do("e1", 1),), (Sleep(1),)))
    assert texts[6].body[1] == Catch("Sold", (Part((), 4),))
    moved = later(Program(steps=STEPS, body=program.body, changes=(Edit("reorder", "", 2),)))
    assert moved.body[0] == Together("gather", ((Do("e1", 1),), (Sleep(1), Do("w1", 1))))


def test_pending_is_decided_later(world):
    """P5: done once, or refused, and what was refused is not called again."""
    program = Program(
        steps=(
            EffectSpec(name="u1"),
            EffectSpec(name="e1", answers=("pending",), probe="true", undo="u1", on_pending=True),
            EffectSpec(name="e2", answers=("pending, refused",), probe="fails first", keys="none"),
        ),
        body=(Do("e1", 1), Do("e2", 1)),
    )
    world.load(program)
    history = world.observe(Schedule())
    assert judge(history, told_of) == []
    assert [each.kind for each in history.applied] == ["e1:1", "u1:1"]
    assert [each.refused for each in history.asked if each.kind == "e2:1"] == ["taken on", "no"]
    assert ("on_pending e1", 1, 0) in history.rows
