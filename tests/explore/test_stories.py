"""recordfirst's own workflows under a few schedules each; ``make explore`` takes an hour."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from recordfirst.explore import Budget, Explorer, FastWorld
from tests.explore.cases import CASES

_SCHEDULES = 60


@pytest.mark.parametrize("name", CASES)
def test_story_holds(name: str, world_of: Callable[..., FastWorld]) -> None:
    """P1 to P7, P9: one fault in so many, drawn evenly from all there are."""
    case = CASES[name]
    explorer = Explorer(world_of(case), name, versions=1 + len(case.versions), shard=(3, 12))
    assert explorer.report.reference.violations == ()
    report = explorer.explore(Budget(schedules=_SCHEDULES))
    assert [str(failure.smallest.schedule) for failure in report.failures] == []
    assert report.schedules >= min(_SCHEDULES, report.singles // 12)
