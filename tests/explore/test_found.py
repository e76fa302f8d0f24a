"""What exploring has found in recordfirst, each with the schedule that showed it."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import Callable

import msgspec
import pytest

from recordfirst import Context, Entry, Reference, stage, workflow
from recordfirst.explore import At, FastWorld, Schedule
from recordfirst.explore.worlds.fast.record import SqliteErrors
from recordfirst.explore.worlds.virtual.boundary import Process
from recordfirst.explore.worlds.virtual.clock import EPOCH_MS, Time
from recordfirst.explore.worlds.virtual.seams import ProcessSeams
from recordfirst.explore.worlds.virtual.underway import Running
from recordfirst.testing.outside import Outside
from tests.explore import shop
from tests.explore.cases import CASES
from tests.explore.conftest import at, then


def test_a_record_that_fails_as_a_worker_begins_keeps_it_from_nothing_later(world: FastWorld) -> None:
    """P9: the engine's file is closed again; locked by ourselves, no later try of this process could open it."""
    fault = at(world.run(), 1, "open_starts", "fail")
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


@pytest.mark.parametrize("look", ["find_timeline", "find_mark", "find_start"])
def test_a_busy_record_is_not_the_failure_of_an_effect_that_waits_for_its_write(
    world_of: Callable[..., FastWorld], look: str
) -> None:
    """P9: behind a refused intent it looks whether it may go on, and one refused look ended the workflow in failure."""
    world = world_of(CASES["hasty"])
    fails = at(world.refer(), 1, "INSERT INTO lines VALUES (?, ?)", "fail", nth=3)
    alone = world.run(Schedule((fails,)))
    points = [point.number for point in alone.points[0] if point.number > fails.point and point.name.startswith(look)]
    outcome = world.run(Schedule((fails, At(1, points[0], "contend"))))
    assert len(outcome.struck) == 2
    assert outcome.violations == ()


def test_steps_that_only_a_generator_names_are_the_apps() -> None:
    """P5: what it did not know as its own nobody could resolve, and no failure undid."""
    names = {step.name for step in CASES["fan_out"].workflow.steps()}
    assert {"insert_order", "ship", "close_order"} <= names


def test_a_person_can_answer_for_an_effect_of_many_side_by_side(world_of: Callable[..., FastWorld]) -> None:
    """P5, P7: twice as long away as any provider honours a key."""
    world = world_of(CASES["fan_out"])
    first = at(world.refer(), 1, "call ship", "crash-after", nth=2, change="keys-expired")
    alone = world.run(Schedule((first,)))
    outcome = world.run(Schedule((first, at(alone, 2, "find_timeline", "crash-after", change="keys-expired"))))
    assert len(outcome.struck) == 2
    assert outcome.violations == ()


@pytest.mark.timeout(30)
def test_a_process_that_stands_still_in_two_steps_goes_on_in_both(world_of: Callable[..., FastWorld]) -> None:
    """P9: only the later one was let go, and a worker that waits for its steps waited for the other for ever."""
    world = world_of(CASES["fan_out"])
    first = at(world.refer(), 1, "intend", "stall")
    outcome = world.run(Schedule((first, At(1, first.point + 1, "stall"))), briefly=True)
    assert len(outcome.struck) == 2
    assert outcome.violations == ()


def test_a_process_that_goes_on_draws_no_id_twice() -> None:
    """P9: behind a stall it began to draw anew, so that a new id could be one that it had given before."""
    drawn: list[object] = []

    async def main(process: Process) -> None:
        seams = ProcessSeams(process)
        drawn.extend((uuid.uuid4().hex, seams.new_id(), random.random()))
        await process.passes("record", "find_pass", lambda: None)
        drawn.extend((uuid.uuid4().hex, seams.new_id(), random.random()))

    process = Process(1, [At(1, 1, "stall")], Time(EPOCH_MS), SqliteErrors(), die=lambda _: None, points_most=10)
    running = Running(main(process), process)
    assert [running.advance(), running.advance()] == [("stalled", ""), ("ended", "")]
    assert len(set(drawn)) == len(drawn) == 6


def test_a_process_that_stands_still_in_a_step_that_is_given_up_goes_on() -> None:
    """P9: a worker that ended took back a look in the very turn in which the process stalled in it."""

    async def main(process: Process) -> None:
        look = asyncio.ensure_future(process.passes("record", "find_pass", lambda: None))
        await asyncio.sleep(0)
        look.cancel()
        await asyncio.wait({look})
        assert look.cancelled()

    process = Process(1, [At(1, 1, "stall")], Time(EPOCH_MS), SqliteErrors(), die=lambda _: None, points_most=10)
    running = Running(main(process), process)
    assert running.advance() == ("stalled", "")
    assert running.advance() == ("ended", "")


class Shelf(Reference):
    """Keeps what is staged outside."""

    where = "shelf"

    def __init__(self, outside: Outside) -> None:
        self._outside = outside

    async def put(self, entry: Entry) -> Entry | None:
        there = await self.find(entry.id)
        if there is None:
            self._outside.apply("photo", entry.document, marker=entry.id)
        return there

    async def find(self, id: str) -> Entry | None:
        there = self._outside.find("photo", id)
        return None if there is None else Entry(id=id, document=there.request)


@stage(key="order:{order.id}:photo", into=Shelf)
def photo(order: shop.Order) -> dict[str, str]:
    return {"of": order.id}


@workflow
async def sell_with_photo(ctx: Context, order: shop.Order) -> str:
    await photo(ctx, order)
    await shop.insert_order(ctx, order)
    return await shop.charge_card(ctx, order)


def test_a_process_can_die_at_a_stage(world_of: Callable[..., FastWorld]) -> None:
    """P3: its calls were no points, since it makes them by itself; nothing that happens around one was tried."""
    given = {shop.Bank: shop.Bank, Shelf: Shelf}
    case = msgspec.structs.replace(
        shop.CASE,
        workflow=sell_with_photo,
        provide=lambda outside: {key: made(outside) for key, made in given.items()},
    )
    world = world_of(case)
    reference = world.refer()
    assert reference.violations == ()
    for fault in ("crash", "crash-after", "lose", "stall"):
        outcome = world.run(Schedule((at(reference, 1, "call photo", fault),)))
        assert len(outcome.struck) == 1
        assert outcome.violations == ()


def test_a_call_that_stands_still_for_longer_than_its_key_is_honoured_is_not_made(
    world_of: Callable[..., FastWorld],
) -> None:
    """P3: while another slept for a week the provider forgot the key, and took the late request for a new one."""
    world = world_of(CASES["timer"])
    outcome = then(world, at(world.refer(), 1, "find_starts", "stall"), 2, "call charge_card", "stall")
    assert [fault.fault for fault in outcome.struck] == ["stall", "stall"]
    assert outcome.violations == ()
    assert [asked.kind for asked in outcome.seen.applied] == ["charge"]


@pytest.mark.parametrize("dies_at_the_cancel", [False, True])
def test_what_is_not_final_yet_has_no_follow_up(world_of: Callable[..., FastWorld], dies_at_the_cancel: bool) -> None:
    """P2, P5: a call is in doubt, a probe finds it pending, and it is cancelled: by the cancel's answer, or a look.

    Another call may still have had the effect, so it was not declined yet; but ``on_decline`` had run, and ran again
    when it was. A probe that then found it done would have run ``on_success`` behind that.
    """
    world = world_of(CASES["expired"])
    fault = at(world.refer(), 1, "call debit_in_vain", "crash-after", change="keys-expired")
    run = then(world, fault, 2, "call cancel", "crash-after") if dies_at_the_cancel else world.run(Schedule((fault,)))
    assert run.violations == ()


def test_an_operator_answers_behind_the_end_of_the_workflow(world_of: Callable[..., FastWorld]) -> None:
    """P7, in the explorer: a look has settled what was to be cancelled, and what became of the cancel is in doubt."""
    world = world_of(CASES["expired"])
    fault = at(world.refer(), 1, "call cancel", "crash-after", change="keys-expired")
    assert world.run(Schedule((fault,))).violations == ()
