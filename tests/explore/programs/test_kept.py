"""What programs have found, made small."""

from __future__ import annotations

from recordfirst.explore.programs.ground import Schedule, parse
from recordfirst.explore.programs.runner import try_one
from recordfirst.explore.programs.tree import (
    Catch,
    Do,
    Edit,
    EffectSpec,
    Fail,
    Part,
    Program,
    ReadSpec,
    Sleep,
    Together,
    Within,
    WriteSpec,
)


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


def test_two_branches_of_one_key_wait_together(world):
    """P7: one kept quiet for the other, which waited for the key that the first one held: for ever."""
    program = Program(
        steps=(EffectSpec(name="e1", answers=("not done",) * 14),),
        body=(Together("gather", ((Do("e1", 1),), (Do("e1", 1),))),),
    )
    assert try_one(world, program, Schedule()) == ()


def test_what_is_late_twice_is_done_once(world):
    """P3, of the world itself: what landed at the same look was not known to have the same key."""
    program = Program(
        steps=(WriteSpec(name="w1"), EffectSpec(name="e1", after="w1", answers=("late", "late"))),
        body=(Do("w1", 1), Together("gather", ((Do("e1", 1),), (Do("e1", 2),)))),
    )
    world.load(program)
    call = next(at.number for at in world.observe(Schedule()).points if at.name == "call e1")
    for behind in range(call, call + 12):
        assert try_one(world, program, parse(f"1.{behind}:crash-after")) == ()


def test_what_the_first_version_has_written_is_there(world):
    """P1, of the model itself: the next version calls what comes after a write that it no longer makes."""
    program = Program(
        steps=(WriteSpec(name="w1"), EffectSpec(name="e1", after="w1", value="bool as int")),
        body=(Do("w1", 1), Do("e1", 1)),
        changes=(Edit("retype", "e1"), Edit("remove", "w1", 0)),
    )
    world.load(program)
    last = world.observe(Schedule()).points[-1].number
    assert try_one(world, program, parse(f"1.{last}:crash-after+deploy")) == ()


def test_a_process_waits_by_its_own_time(world):
    """P7, of the world itself: Resonate tries a plain function again after some seconds, not after an hour each."""
    program = Program(steps=(ReadSpec(name="r1", ends="bug", is_plain=True),), body=(Do("r1", 1),))
    world.load(program)
    points = [at.number for at in world.observe(Schedule()).points if at.name == "task.fence promise.create"]
    assert points
    for point in points:
        assert try_one(world, program, parse(f"1.{point}:redeliver")) == ()


def test_time_passes_while_a_thread_waits_for_a_statement(world):
    """P7, of the world itself: a fault that takes time, at a statement of a ``def`` write, took for ever."""
    program = Program(steps=(WriteSpec(name="w1", is_async=False),), body=(Do("w1", 1),))
    world.load(program)
    statements = [at.number for at in world.observe(Schedule()).points if at.name.startswith("INSERT INTO rows")]
    assert statements
    for fault in ("redeliver", "lose", "contend"):
        assert try_one(world, program, parse(f"1.{statements[0]}:{fault}")) == ()


def test_what_is_left_of_a_workflow_that_has_failed_lets_the_worker_rest(world):
    """P7: a part of it slept, and the engine looked without a pause whether it can be forgotten by now."""
    program = Program(
        steps=(WriteSpec(name="w1", ends="declines"), EffectSpec(name="e1")),
        body=(Together("gather", ((Part((Sleep(604_800), Do("e1", 1))),), (Sleep(60), Do("w1", 1)))),),
    )
    assert try_one(world, program, Schedule()) == ()


def test_the_branch_that_failed_is_known(world):
    """P9, of the model itself: what was declined in a ``gather`` may have another attempt behind it."""
    program = Program(
        steps=(EffectSpec(name="e0", answers=("refused",)),),
        body=(Catch("Exception", (Together("gather", ((), (Do("e0", 1),))),), (Do("e0", 1, 2),)),),
    )
    assert try_one(world, program, Schedule()) == ()


def test_a_body_that_no_longer_fails_ends_in_failure_all_the_same(world):
    """P9: a deploy removed the call that had failed, when the undo had been called: it succeeded, taken back."""
    program = Program(
        steps=(
            EffectSpec(name="u1"),
            EffectSpec(name="e1", undo="u1"),
            EffectSpec(name="e2", answers=("refused",)),
        ),
        body=(Do("e1", 1), Do("e2", 1)),
        changes=(Edit("remove", "e2", 1),),
    )
    world.load(program)
    points = [at.number for at in world.observe(Schedule()).points if at.name == "call u1"]
    assert points
    for point in points:
        assert try_one(world, program, parse(f"1.{point}:crash-after+deploy")) == ()


def test_two_branches_under_a_key_that_is_pending_wait_as_long_as_one(world):
    """P7: the second one woke the workflow each 30 s beside the first; what wakes that one wakes both."""
    both = Together("gather", ((Do("e1", 1),), (Do("e1", 1),)))
    program = Program(steps=(EffectSpec(name="e1", answers=("pending",), probe="true"),), body=(both,))
    assert try_one(world, program, Schedule()) == ()


def test_an_undo_that_the_body_calls_itself_is_not_called_again(world):
    """P3: behind a second attempt of the effect, whose undo was a second attempt, too."""
    program = Program(
        steps=(EffectSpec(name="u1"), EffectSpec(name="e1", answers=("refused",), undo="u1")),
        body=(Catch("Declined", (Do("e1", 1),), (Do("e1", 1, 2),)), Do("u1", 1), Fail("sold")),
    )
    assert try_one(world, program, Schedule()) == ()


def test_a_part_that_a_deploy_took_away_keeps_no_worker_busy(world):
    """P7, P9: its task was given back and taken for ever, though the workflow's body does without it."""
    program = Program(
        steps=(EffectSpec(name="e1"), ReadSpec(name="r1")),
        body=(Do("e1", 1), Part((Do("r1", 1),))),
        changes=(Edit("remove", "r1", 1),),
    )
    points = world_points(world, program)
    taken = next(point.number for point in points if point.name == "task.acquire" and ":part" in point.detail)
    for point in range(taken - 1, taken + 2):
        assert try_one(world, program, parse(f"1.{point}:crash-after+deploy")) == ()


def test_an_attempt_may_come_behind_a_decline_beside_it(world):
    """P9, of the model itself: the first attempt is in a block of its branch."""
    first, second = (Within(3600, (Do("e0", 1),)),), (Do("e0", 1, 2),)
    program = Program(
        steps=(EffectSpec(name="e0", answers=("refused in a group",)),), body=(Together("checked", (first, second)),)
    )
    assert try_one(world, program, Schedule()) == ()


def test_a_new_parameter_of_an_undo_is_a_mistake(world):
    """P9, of the model itself: it takes the result of what is undone, and the workflow stops."""
    program = Program(
        steps=(EffectSpec(name="u1"), EffectSpec(name="e1", undo="u1")),
        body=(Do("e1", 1), Fail("nested")),
        changes=(Edit("default", "u1", 0),),
    )
    points = world_points(world, program)
    called, undone = (next(p.number for p in points if p.name == f"call {name}") for name in ("e1", "u1"))
    for point in range(called, undone + 1):
        assert try_one(world, program, parse(f"1.{point}:crash-after+deploy")) == ()


def world_points(world, program: Program):
    """The points of a run without faults."""
    world.load(program)
    return world.observe(Schedule()).points
