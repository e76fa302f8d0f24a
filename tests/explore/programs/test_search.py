"""The search: what fails is made smaller, printed as a test, and run again by one command."""

from __future__ import annotations

import json

import msgspec
from click.testing import CliRunner

from recordfirst.cli.main import main
from recordfirst.explore.programs.ground import Schedule
from recordfirst.explore.programs.printing import lines_of
from recordfirst.explore.programs.replay import check
from recordfirst.explore.programs.runner import FoundRun, told_of
from recordfirst.explore.programs.search import search, smallest, told
from recordfirst.explore.programs.shape import FEATURES
from recordfirst.explore.programs.tree import Catch, Do, EffectSpec, Fail, Program, Sleep, Together, WriteSpec
from tests.explore.mutants.mutant import edited
from tests.explore.programs.mutants import MUTANTS

BY_NAME = {mutant.name: mutant for mutant in MUTANTS}
UNDECLARED = BY_NAME["an undeclared exception fails the workflow and undoes"]
MUCH = Program(
    steps=(
        WriteSpec(name="w1", rows=2, asks=True),
        WriteSpec(name="w2", starts=True),
        EffectSpec(name="e1", answers=("lost", "odd"), probe="true", on_success=True),
        EffectSpec(name="e2", keys="none", probe="true"),
    ),
    body=(
        Do("w1", 1),
        Together("gather", ((Do("e1", 1), Sleep(60)), (Do("w2", 1),))),
        Catch("Declined", (Do("e2", 1),)),
        Fail("bug"),
    ),
    begin="transaction",
)


def test_what_fails_is_made_small(world):
    """Nothing is left but what breaks the rule; and it breaks nothing once the defect is gone."""
    from recordfirst.explore.programs.runner import try_one  # noqa: PLC0415

    with edited(UNDECLARED.edits):
        broken = try_one(world, MUCH, Schedule())
        assert [each.rule for each in broken] == ["ends"]
        world.load(MUCH)
        found = FoundRun(7_000_041, MUCH, Schedule(), broken, world.observe(Schedule()))
        program, schedule = smallest(found, world)
        assert lines_of(program) < lines_of(MUCH) / 3
        text = msgspec.json.encode(program).decode()
        assert [each.partition(":")[0] for each in check(text, str(schedule))] == ["P9, ends"]
        printed = told(found)
    assert check(text, str(schedule)) == []
    assert "recordfirst explore --programs --seed 7 --only 41" in printed
    names: dict[str, object] = {}
    exec(compile(printed, "printed", "exec", dont_inherit=True), names)
    names["test_it"]()  # type: ignore[operator]


def test_a_search_is_the_same_each_time():
    """By its seed, up to a number of runs."""
    one, other = (search(5, runs=8, seconds=None) for _ in range(2))
    assert (one.runs, one.shapes, one.pairs, one.ends) == (other.runs, other.shapes, other.pairs, other.ends)
    assert (one.runs, one.failed) == (8, 0)
    assert told_of("1") == "int 1"


def test_the_command_line():
    """P10: how many were run; and a test for each that breaks a promise, with the status 1."""
    done = CliRunner().invoke(main, ["explore", "--programs", "--seed", "5", "--runs", "3", "--quiet"])
    assert done.exit_code == 0, done.output
    assert "3 runs of 1 program " in done.output
    said = CliRunner().invoke(main, ["explore", "--programs", "--seed", "5", "--only", "1", "--runs", "2", "--json"])
    assert json.loads(said.output)["runs"] == 2


def test_pairs_of_features():
    """How many runs had each two of them, and which two no run had."""
    said = CliRunner().invoke(main, ["explore", "--programs", "--seed", "5", "--runs", "4", "--quiet", "--pairs"])
    assert said.exit_code == 0, said.output
    assert f"| | {' | '.join(FEATURES)} |" in said.output
    [never] = [line for line in said.output.splitlines() if line.startswith("not together in any run: ")]
    whole = search(5, runs=4, seconds=None)
    assert never.count(" x ") == len(FEATURES) * (len(FEATURES) - 1) // 2 - len(whole.pairs) > 0


def test_a_failure_is_kept_as_a_test(tmp_path):
    """And told with the command that runs it again."""
    with edited(UNDECLARED.edits):
        said = CliRunner().invoke(
            main, ["explore", "--programs", "--seed", "1", "--runs", "60", "--keep", str(tmp_path), "--quiet"]
        )
    assert said.exit_code == 1
    assert [*tmp_path.glob("test_program_1*.py")]
    assert "--programs --seed 1 --only" in said.output


def test_programs_take_no_case():
    """A mistake in usage."""
    said = CliRunner().invoke(main, ["explore", "--programs", "--case", "a:b"])
    assert said.exit_code == 2
    assert "give it no case" in said.output


def test_every_rule_has_a_mutant():
    """Each of the eight that are about what moves money."""
    assert {mutant.rule for mutant in MUTANTS} >= set(range(1, 9))
