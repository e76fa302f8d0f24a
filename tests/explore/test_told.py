"""What befalls an event, crossed with what befalls the process that takes it up: a few of each; figures try more."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest

from recordfirst.explore import At, FastWorld, RunOutcome, Schedule
from recordfirst.explore.runs.schedule import MISHAPS, every_single, worth_trying
from tests.explore.told import CASES

_FAULTS = (*MISHAPS, "early")
_BEHIND = ("crash", "crash-after", "lose", "stall")
_EACH = 2


def crossed(world: FastWorld, chance: random.Random, each: int) -> Iterator[RunOutcome]:
    """Runs in which something befalls an event, and then its process, by chance."""
    points = [point for point in world.run().points[0] if point.boundary == "event" or point.tells]
    singles = [at for at in every_single(1, points, versions=1) if at.fault in _FAULTS]
    for fault in _FAULTS:
        first = chance.choice([at for at in singles if at.fault == fault])
        alone = world.run(Schedule((first,)), briefly=True)
        behind = [
            at
            for at in every_single(1, worth_trying(alone.points[0]), versions=1)
            if at.point > first.point and at.fault in _BEHIND
        ]
        for second in chance.sample(behind, each):
            yield world.run(Schedule((first, second)), briefly=True)


@pytest.mark.parametrize("name", CASES)
def test_a_process_that_fails_behind_what_befalls_an_event(name: str, world_of: Callable[..., FastWorld]) -> None:
    """P2, P5, P7, P11: it dies, loses a reply or stalls, anywhere behind."""
    world = world_of(CASES[name])
    assert world.refer().violations == ()
    tried: list[tuple[At, ...]] = []
    for outcome in crossed(world, random.Random(f"told {name}"), _EACH):
        assert (str(outcome.schedule), outcome.violations) == (str(outcome.schedule), ())
        tried.append(outcome.struck)
    assert sum(len(struck) == 2 for struck in tried) >= len(tried) * 3 // 4
