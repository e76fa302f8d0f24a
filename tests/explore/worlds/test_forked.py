"""Processes that are forked and end by ``os._exit``: they leave what abandoned ones leave, and do not outlive a run."""

from __future__ import annotations

import os
import random
import re
import signal
from collections.abc import Callable

import msgspec
import pytest

from recordfirst.explore import At, Case, FastWorld, RunOutcome, Schedule
from recordfirst.explore.runs.schedule import every_single
from tests.explore.shop import CASE

PART = 1 if "RECORDFIRST_TEST_ALL" in os.environ else 9
"""All of them take minutes."""


def seen_of(outcome: RunOutcome):
    # Each world has a directory of its own, and an error may name it.
    events = [msgspec.structs.replace(event, what=re.sub(r"/\S+/", "", event.what)) for event in outcome.events]
    return outcome.violations, outcome.points, events, outcome.seen, outcome.struck


def pairs(world: FastWorld, singles: list[At], count: int) -> list[Schedule]:
    """Two faults each, of which the second is in a successor."""
    chance = random.Random(7)
    found: list[Schedule] = []
    while len(found) < count:
        first = chance.choice([at for at in singles if at.fault in ("crash", "crash-after") and at.change is None])
        points = world.run(Schedule((first,))).points
        if len(points) > 1:
            found.append(Schedule((first, chance.choice(every_single(2, list(points[1]), versions=1)))))
    return found


@pytest.fixture
def worlds(world_of: Callable[..., FastWorld]) -> tuple[FastWorld, FastWorld]:
    """One whose processes are abandoned, and one whose processes are forked."""
    return world_of(deaths="abandoned"), world_of(deaths="forked")


def test_forked_and_abandoned_processes_come_to_the_same(worlds: tuple[FastWorld, FastWorld]) -> None:
    """P9: points, events, rows, receipts and judgement: a death that is simulated is no other than a real one."""
    abandoned, forked = worlds
    reference = abandoned.refer()
    assert forked.refer() == reference
    singles = every_single(1, list(reference.points[0]), versions=1)
    schedules = [Schedule((at,)) for at in singles[::PART]] + pairs(abandoned, singles, 90 // PART)
    different = [
        str(schedule) for schedule in schedules if seen_of(abandoned.run(schedule)) != seen_of(forked.run(schedule))
    ]
    # Briefly, what a first process leaves is not run up to there, but kept from one run for all.
    different += [
        f"{schedule}, briefly"
        for schedule in schedules
        if seen_of(abandoned.run(schedule, briefly=True)) != seen_of(forked.run(schedule, briefly=True))
    ]
    assert different == []
    assert abandoned.snapshots


def test_a_process_that_is_killed_from_outside_has_a_successor(world_of: Callable[..., FastWorld]) -> None:
    """P7: whoever ends without a word has died, and another goes on from its files."""
    parent = os.getpid()

    def provide(outside):
        if os.getpid() != parent and not (marker := outside._path.with_name("killed")).exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return CASE.provide(outside)

    case = Case(workflow=CASE.workflow, args=CASE.args, id=CASE.id, tables=CASE.tables, provide=provide)
    outcome = world_of(case, "forked").run()
    assert [start.state for start in outcome.seen.starts] == ["succeeded"]
    assert len(outcome.points) == 2


def test_no_process_outlives_its_run(world_of: Callable[..., FastWorld], monkeypatch: pytest.MonkeyPatch) -> None:
    """P9: one that stalled and was never told to go on is ended, and nothing is left to be waited for."""
    world = world_of(deaths="forked")
    point = next(point.number for point in world.refer().points[0] if point.name == "call charge_card")
    forked: list[int] = []
    monkeypatch.setattr(os, "fork", _remembering(os.fork, forked))
    assert world.run(Schedule((At(1, point, "stall"),))).violations == ()
    assert len(forked) == 2
    for pid in forked:  # each by its number: the tests that ran before have children of their own
        with pytest.raises(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)


def _remembering(fork: Callable[[], int], forked: list[int]) -> Callable[[], int]:
    def remember() -> int:
        pid = fork()
        if pid:
            forked.append(pid)
        return pid

    return remember
