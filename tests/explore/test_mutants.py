"""Does the explorer catch anything? Every bug that is put into recordfirst on purpose, by every fault that shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice

import pytest

from recordfirst.explore import FastWorld, RunOutcome, Schedule
from recordfirst.explore.runs.schedule import CHANGES, FAULTS, every_single, worth_trying
from tests.explore.cases import CASES
from tests.explore.mutants import ours, told
from tests.explore.mutants.mutant import Mutant

MUTANTS = [*ours.MUTANTS, *told.MUTANTS]


def _runs(world: FastWorld, what: str, versions: int) -> Iterator[RunOutcome]:
    """Every run with this fault, or this change before a successor; the last points first: there most is at stake."""
    reference = world.refer()
    if what == "none":
        yield reference
        return
    points = worth_trying(reference.points[0])[::-1]
    for at in every_single(1, points, versions=versions):
        if what == (at.change or at.fault):
            yield world.run(Schedule((at,)))


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_mutant_is_found(mutant: Mutant, world_of: Callable[..., FastWorld]) -> None:
    """Each fault that is said to show it does, with a history that names a broken promise."""
    case = CASES[mutant.story]
    sound = world_of(case)
    assert sound.refer().violations == ()
    for what in sorted(mutant.shown_by):
        with mutant.at_large():
            world = world_of(case)
            found = next(
                (
                    outcome
                    for outcome in islice(_runs(world, what, 1 + len(case.versions)), mutant.within)
                    if outcome.violations
                ),
                None,
            )
        assert found is not None, f"{what} does not show that {mutant.name}"
        assert found.events
        world.close()


def test_every_fault_is_needed() -> None:
    """A fault that no mutant needs tests nothing."""
    needed = {what for mutant in MUTANTS for what in mutant.shown_by} - {"none"}
    assert needed == {*FAULTS, *CHANGES}


def test_every_promise_that_a_run_can_break_has_a_mutant() -> None:
    """P1 to P5, P7, P9 and P11; P6 is what the changes of the engine are about, P8 and P10 are not of crashes."""
    assert {mutant.promise for mutant in MUTANTS} >= {"P1", "P2", "P3", "P4", "P5", "P6", "P7", "P9", "P11"}
