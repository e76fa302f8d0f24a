"""What programs have found in the explorer itself."""

from __future__ import annotations

from recordfirst.explore.programs.ground import Schedule
from recordfirst.explore.programs.runner import try_one
from recordfirst.explore.programs.tree import Do, EffectSpec, Program, WriteSpec


def test_a_savepoint_is_seen_in_each_run(world):
    """P2: a connection that was kept from one run knew the statement of a savepoint, and the guard of the next did not.

    So what a savepoint took back was told as started.
    """
    program = Program(steps=(WriteSpec(name="w1"), EffectSpec(name="e1")), body=(Do("w1", 1), Do("e1", 1)),
                      begin="savepoint taken back")  # fmt: skip
    for _ in range(3):
        assert try_one(world, program, Schedule()) == ()
