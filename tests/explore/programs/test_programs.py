"""Programs by chance: the same seed makes the same one, and what they do breaks no promise."""

from __future__ import annotations

import re
from collections import Counter

import msgspec
import pytest

from recordfirst.explore.programs.generate import generate
from recordfirst.explore.programs.ground import Schedule
from recordfirst.explore.programs.runner import runs_of, told_of, try_one
from recordfirst.explore.programs.source import source
from recordfirst.explore.programs.tree import Catch, Do, EffectSpec, Fail, Program, Together, WriteSpec
from recordfirst.explore.programs.values import SOUND, UNSOUND


def test_a_seed_is_a_program():
    """The same one each time, another one for another seed, and the same as data."""
    assert generate(7) == generate(7) != generate(8)
    assert msgspec.json.decode(msgspec.json.encode(generate(7)), type=Program) == generate(7)


def test_a_program_declares_each_name_once():
    """Parts within parts too: of two with one name, the second would be run for both."""
    for seed in range(1000):
        declared = Counter(re.findall(r"^(?:async )?def (\w+)", source(generate(seed)), re.MULTILINE))
        assert [name for name, times in declared.items() if times > 1] == [], seed


def test_a_run_is_the_same_each_time(world):
    """What was seen of it, whole."""
    first, again = ([found.history for found in runs_of(world, 4)] for _ in range(2))
    assert first == again


@pytest.mark.parametrize("seed", range(12))
def test_programs_break_no_promise(world, seed):
    """Without faults, and with."""
    for found in runs_of(world, seed, 3):
        assert found.broken == (), f"{found.schedule}\n{source(found.program)}"


PAID = Program(
    steps=(
        WriteSpec(name="w1"),
        EffectSpec(name="u1"),
        EffectSpec(name="e1", after="w1", undo="u1", answers=("unreadable", "lost")),
        EffectSpec(name="e2", answers=("refused",)),
    ),
    body=(Do("w1", 1), Do("e1", 1), Do("e2", 1)),
)


def test_what_was_done_is_taken_back(world):
    """The bank does it once, whatever its client says, and takes it back once."""
    world.load(PAID)
    history = world.observe(Schedule())
    assert [each.kind for each in history.applied] == ["e1:1", "u1:1"]
    assert history.start("p").state == "failed"
    assert try_one(world, PAID, Schedule()) == ()


@pytest.mark.parametrize("name", SOUND)
def test_sound_values_come_back(world, name):
    """P12: as an argument of each kind of step, and as a result."""
    program = Program(
        steps=(
            WriteSpec(name="w1", value=name, result=name),
            EffectSpec(name="e1", value=name, result=name, answers=("lost",)),
        ),
        body=(Do("w1", 1), Do("e1", 1)),
    )
    assert try_one(world, program, Schedule()) == ()
    assert told_of(SOUND[name].value)


@pytest.mark.parametrize("name", UNSOUND)
def test_unsound_values_are_refused(world, name):
    """P12: and nothing is called."""
    program = Program(steps=(EffectSpec(name="e1", value=name),), body=(Do("e1", 1),))
    world.load(program)
    history = world.observe(Schedule())
    assert history.asked == ()
    assert history.start("p").is_stopped


def test_what_cannot_be_told_is_several_ways(world):
    """Two that raise side by side: either may be first, and the body catches either."""
    program = Program(
        steps=(WriteSpec(name="w1", ends="declines"), WriteSpec(name="w2", ends="sold"), EffectSpec(name="e1")),
        body=(
            Catch("Declined", (Together("gather", ((Do("w1", 1),), (Do("w2", 1),))),), (Do("e1", 1),)),
            Fail("bug"),
        ),
    )
    assert try_one(world, program, Schedule()) == ()
