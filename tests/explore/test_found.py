"""What exploring has found in recordfirst, each with the schedule that showed it."""

from __future__ import annotations

import msgspec

from recordfirst.explore import FastWorld, Schedule
from tests.explore.conftest import at, then


def test_a_record_that_fails_as_a_worker_begins_keeps_it_from_nothing_later(world: FastWorld) -> None:
    """P9: the engine's file is closed again; locked by ourselves, no later try of this process could open it."""
    fault = at(world.run(), 1, "starts", "fail")
    assert world.run(Schedule((fault,))).violations == ()


def test_an_engine_that_is_asked_while_it_stops_stops(world: FastWorld) -> None:
    """P9: a request that came between the last answer and the close was answered by nobody, and stopping had no end."""
    crash = at(world.run(), 1, "change_receipt", "crash")
    outcome = then(world, crash, 2, "promise.create", "fail")
    assert len(outcome.struck) == 2
    assert outcome.violations == ()


def test_a_fault_is_reported_with_the_change_it_was_tried_with(world: FastWorld) -> None:
    """P10: what a first process has left is kept and used again, and said that it had died with another's change."""
    died = at(world.run(), 1, "call charge_card", "crash-after")
    expired = msgspec.structs.replace(died, change="keys-expired")
    assert [world.run(Schedule((fault,))).struck for fault in (died, expired)] == [(died,), (expired,)]
