"""What programs have found, made small."""

from __future__ import annotations

from recordfirst.explore.programs.ground import Schedule
from recordfirst.explore.programs.runner import try_one
from recordfirst.explore.programs.tree import Do, EffectSpec, Program, ReadSpec, Sleep, Together, WriteSpec


def test_a_savepoint_is_seen_in_each_run(world):
    """P2: a connection that was kept from one run knew the statement of a savepoint, and the guard of the next did not.

    So what a savepoint took back was told as started.
    """
    program = Program(steps=(WriteSpec(name="w1"), EffectSpec(name="e1")), body=(Do("w1", 1), Do("e1", 1)),
                      begin="savepoint taken back")  # fmt: skip
    for _ in range(3):
        assert try_one(world, program, Schedule()) == ()


def test_a_branch_of_a_body_that_has_failed_begins_nothing_more(world):
    """P9: its next effect was called, and nobody took it back."""
    program = Program(
        steps=(
            WriteSpec(name="w1", ends="declines"),
            EffectSpec(name="u1"),
            EffectSpec(name="e1", answers=("dropped",), undo="u1"),
            EffectSpec(name="u2"),
            EffectSpec(name="e2", undo="u2"),
        ),
        body=(Together("gather", ((Do("e1", 1), Do("e2", 1)), (Do("w1", 1),))),),
    )
    assert try_one(world, program, Schedule()) == ()


def test_a_defect_beside_a_branch_that_sleeps_is_told(world):
    """P7, P9: the body ran again and again, without a pause and without a word."""
    program = Program(
        steps=(ReadSpec(name="r1", ends="bug"), WriteSpec(name="w1"), EffectSpec(name="e1")),
        body=(Together("gather", ((Do("e1", 1), Do("r1", 1)), (Sleep(604_800),), (Do("w1", 1),))),),
    )
    assert try_one(world, program, Schedule()) == ()
