"""Events of a world's providers: what befalls each on its way is what the schedule says, in every virtual world."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from recordfirst import on_event
from recordfirst.errors import Misuse
from recordfirst.explore import At, FastWorld, NewEvent, RunOutcome, Schedule, explore, replay
from recordfirst.explore.worlds.named import Where
from tests.explore import shop
from tests.explore.conftest import at
from tests.explore.told import CASES

DAY_MS = 24 * 3_600_000


def arrivals(outcome: RunOutcome) -> list[tuple[str, str]]:
    """The events that were delivered, and as what they were answered, in order."""
    said = [
        event.what.split(" is answered: it is ") for event in outcome.events if " is answered: it is " in event.what
    ]
    return [(what.split()[1], answer) for what, answer in said]


@pytest.fixture
def informed(world_of: Callable[..., FastWorld]) -> FastWorld:
    world = world_of(CASES["informed"])
    assert world.refer().violations == ()
    return world


def struck(world: FastWorld, name: str, fault: str) -> RunOutcome:
    """A run in which this happens to an event."""
    outcome = world.run(Schedule((at(world.run(), 1, name, fault),)))
    assert (outcome.violations, len(outcome.struck)) == ((), 1)
    return outcome


def test_each_comes_once_in_order(informed: FastWorld) -> None:
    """P11: where nothing befalls them; and what each leads to is a row of its handler's."""
    outcome = informed.run()
    assert arrivals(outcome) == [("debit.accepted", "new"), ("debit.succeeded", "new")]
    assert [event.state for event in outcome.seen.events] == ["done", "done"]
    assert len(outcome.seen.tables["notes"]) == 2


def test_twice_at_once_and_long_after_counts_once(informed: FastWorld) -> None:
    """P11: a third time 40 days later, when the workflow has ended long ago."""
    outcome = struck(informed, "event debit.succeeded", "twice")
    assert arrivals(outcome)[-1] == ("debit.succeeded", "repeated")
    assert outcome.events[-1].at_ms - outcome.events[0].at_ms > 40 * DAY_MS
    assert len(outcome.seen.tables["notes"]) == 2


def test_what_never_comes_is_settled_by_a_look_and_caught_up_with(informed: FastWorld) -> None:
    """P7: the look by schedule finds the debit decided; the handler's row is there once an operator has caught up."""
    outcome = struck(informed, "event debit.succeeded", "never")
    assert arrivals(outcome) == [("debit.accepted", "new")]
    ended = next(event for event in outcome.events if event.what.startswith("the workflow has ended"))
    assert ended.at_ms - outcome.events[0].at_ms > DAY_MS  # the last look of the schedule, and nothing else
    caught_up = [event for event in outcome.events if event.what.startswith("an operator catches up")]
    assert [event.order > ended.order for event in caught_up] == [True]


def test_late_is_behind_the_end_of_the_workflow(informed: FastWorld) -> None:
    """P11."""
    outcome = struck(informed, "event debit.succeeded", "late")
    ended = next(event for event in outcome.events if event.what.startswith("the workflow has ended"))
    came = next(event for event in outcome.events if "event debit.succeeded" in event.what and "answered" in event.what)
    assert came.order > ended.order


def test_overtaken_comes_behind_the_next(informed: FastWorld) -> None:
    """P11."""
    outcome = struck(informed, "event debit.accepted", "overtaken")
    assert arrivals(outcome) == [("debit.succeeded", "new"), ("debit.accepted", "new")]


def test_the_last_is_overtaken_by_nothing_and_comes(informed: FastWorld) -> None:
    """P7: the world does not wait for ever."""
    assert len(arrivals(struck(informed, "event debit.succeeded", "overtaken"))) == 2


def test_early_is_before_the_reply(world_of: Callable[..., FastWorld]) -> None:
    """P5: the provider has decided, and told it, before the call is answered."""
    world = world_of(CASES["notified"])
    world.refer()
    outcome = struck(world, "call debit_quickly", "early")
    replied = next(
        event.order
        for event in outcome.events
        if event.seen is not None and "pending" in [receipt.state for receipt in event.seen.receipts]
    )
    before = [event.what for event in outcome.events if event.order < replied]
    assert len([what for what in before if "is answered: it is new" in what]) == 2


@pytest.mark.parametrize("fault", ["fail", "lose", "crash", "crash-after"])
def test_what_was_not_answered_is_delivered_again(informed: FastWorld, fault: str) -> None:
    """P11: by the provider, to the process that is there then; it has it once."""
    outcome = struck(informed, "event debit.accepted", fault)
    again = [answer for name, answer in arrivals(outcome) if name == "debit.accepted"]
    assert again == ["new" if fault in ("fail", "crash") else "repeated"]


@pytest.mark.parametrize("fault", ["never", "twice", "crash-after"])
def test_forked_processes_come_to_the_same(world_of: Callable[..., FastWorld], fault: str) -> None:
    """P11: the file that says what has become of events outlives a process that ends for real."""
    for name in ("informed", "returned"):
        worlds = [world_of(CASES[name], deaths=deaths) for deaths in ("abandoned", "forked")]
        ends = []
        for world in worlds:
            world.refer()
            outcome = struck(world, "event debit.succeeded", fault)
            ends.append((outcome.seen.tables, outcome.seen.events, outcome.seen.reversals, arrivals(outcome)))
        assert ends[0] == ends[1]


def test_on_a_real_postgres(postgres_url: str) -> None:
    """P11: a reversal whose event comes twice at the same time has its rows once."""
    where = Where(world="postgres", record=postgres_url)
    report = replay(CASES["returned"], Schedule(), where=where)
    point = next(p for p in report.reference.points[0] if p.name == "event debit.returned")
    report = replay(CASES["returned"], Schedule((At(1, point.number, "twice"),)), where=where)
    assert report.ok
    assert report.replayed is not None
    assert len(report.replayed.seen.reversals) == 1


# ── what is refused ─────────────────────────────────────────────────────────


def test_the_real_world_says_that_it_delivers_none() -> None:
    """P8: it would look as if events had been tried."""
    with pytest.raises(Misuse, match="delivers no provider events"):
        explore(CASES["informed"], where=Where(world="real", record="sqlite"))


def _fails(outside: object) -> list[NewEvent]:
    raise LookupError("no books")


def _timeless(outside: object) -> list[NewEvent]:
    return [NewEvent(provider="bank", id="1", type="charge.made", body="{}")]


@pytest.mark.parametrize(("events", "says"), [(_fails, "no books"), (_timeless, "with their at_ms")])
def test_a_mistake_in_what_is_told_is_one_line(events: Any, says: str) -> None:
    """P8: at the run without faults."""
    with pytest.raises(Misuse, match=says):
        explore(msgspec.structs.replace(shop.CASE, events=events))


def test_a_case_takes_functions_and_handlers() -> None:
    """P8."""
    with pytest.raises(Misuse, match="events="):
        msgspec.structs.replace(shop.CASE, events=[])
    with pytest.raises(Misuse, match="event_handlers="):
        msgspec.structs.replace(shop.CASE, event_handlers=(on_event,))
