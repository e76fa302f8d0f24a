"""Does the explorer find what is wrong with workflows as people write them?"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from recordfirst.explore import Budget, Exploration, Explorer, FastWorld, Schedule
from recordfirst.explore.report.story import tell
from recordfirst.explore.report.text import timeline
from tests.explore.careless.ours import CASES
from tests.explore.careless.published import PublishedWorld
from tests.explore.conftest import at
from tests.explore.shop import CASE


def _promises(report: Exploration) -> set[str]:
    return {violation.promise for failure in report.failures for violation in failure.smallest.violations}


@pytest.mark.parametrize("name", CASES)
def test_broken_workflow_is_found(name: str, world_of: Callable[..., FastWorld]) -> None:
    """With the promise that it breaks, by one fault."""
    case, promise = CASES[name]
    report = Explorer(world_of(case), name).explore(Budget())
    assert promise in _promises(report)
    # What must always hold may be broken without any fault; whatever else is wrong with these needs one.
    assert promise == "yours" or report.reference.violations == ()
    assert all(len(failure.smallest.schedule.faults) <= 1 for failure in report.failures)


@pytest.fixture
def published() -> Iterator[PublishedWorld]:
    """A world in which the published workflow runs."""
    world = PublishedWorld(CASE)
    yield world
    world.close()


def test_the_published_workflow_takes_money_for_an_order_that_it_gives_up(published: PublishedWorld) -> None:
    """P7: its process dies behind the charge, and nobody comes for longer than the engine's own deadline.

    The card is charged, the order is not marked as paid, and will not be: the engine has settled the promise, and for
    plain Resonate that is the truth. recordfirst's deadlines are in the record, and the same schedule ends well.
    """
    report = Explorer(published, "published").explore(Budget())
    assert report.reference.violations == ()
    shown = [f.smallest for f in report.failures if f.smallest.seen.applied and f.smallest.seen.tables["orders"]]
    outcome = next(each for each in shown if each.points[0][-1].name == "call charge_card")
    assert outcome.seen.tables["orders"] == (("1", 1999, "new"),)
    assert [asked.kind for asked in outcome.seen.applied] == ["charge"]
    assert {"P7", "yours"} <= {violation.promise for violation in outcome.violations}
    told = "\n".join(timeline(tell(outcome)))
    for words in ("call charge_card", "process 1 DIES", "40 days", "BROKEN"):
        assert words in told


def test_the_same_order_on_recordfirst_comes_to_its_end(world: FastWorld) -> None:
    """P7: whenever somebody comes."""
    fault = at(world.run(), 1, "call charge_card", "crash-after", change="keys-expired")
    assert world.run(Schedule((fault,))).violations == ()
