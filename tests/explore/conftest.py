"""Worlds that are gone when a test ends, and points by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from recordfirst.explore import At, Case, FastWorld, RunOutcome, Schedule
from recordfirst.explore.worlds.fast.world import Deaths
from tests.explore.shop import CASE


@pytest.fixture
def world_of() -> Iterator[Callable[..., FastWorld]]:
    """Makes worlds."""
    made: list[FastWorld] = []

    def make(case: Case = CASE, deaths: Deaths = "abandoned") -> FastWorld:
        made.append(FastWorld(case, deaths=deaths))
        return made[-1]

    yield make
    for world in made:
        world.close()


@pytest.fixture
def world(world_of: Callable[..., FastWorld]) -> FastWorld:
    """A shop's, after the run without faults."""
    world = world_of()
    world.refer()
    return world


def at(outcome: RunOutcome, process: int, name: str, fault: str, *, nth: int = 1, change: str | None = None) -> At:
    """A fault at the n-th point of this name that a process crossed, wherever it stands by now."""
    found = [point for point in outcome.points[process - 1] if point.name == name]
    return At(process, found[nth - 1].number, fault, change)  # type: ignore[arg-type]


def then(world: FastWorld, first: At, process: int, name: str, fault: str, *, nth: int = 1) -> RunOutcome:
    """Let one fault strike, see what is crossed behind it, and let a second strike there."""
    alone = world.run(Schedule((first,)))
    return world.run(Schedule((first, at(alone, process, name, fault, nth=nth))))
