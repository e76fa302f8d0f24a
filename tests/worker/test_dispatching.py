"""What a dispatcher decides, without input or output: rooms, rounds, epochs (P7)."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recordfirst.core.start import Start
from recordfirst.worker import dispatching as d

WORKFLOWS = {"order": object()}


def start(**fields: Any) -> Start:
    made: dict[str, Any] = {
        "id": "a",
        "workflow": "order",
        "arguments": "{}",
        "fingerprint": "f",
        "state": "open",
        "epoch": 1,
        "engine": None,
        "created_at_ms": 0,
    } | fields
    return Start(**made)


@given(most=st.integers(1, 100), running=st.integers(0, 300), share=st.floats(0, 1), more=st.integers(0, 100))
def test_what_only_waits_leaves_room_within_bounds(most: int, running: int, share: float, more: int) -> None:
    """P9: bodies that only wait count for nothing, until there are too many of them."""
    waiting = int(running * share)
    free = d.room(most, running, waiting, more)
    assert free <= most - (running - waiting)
    assert running + max(free, 0) <= max(running, most + more)
    assert d.room(most, running, 0, more) == most - running


@given(
    offered=st.integers(0, 12),
    here=st.integers(0, 12),
    fit=st.integers(0, 12),
    free=st.integers(1, 6),
    more=st.integers(0, 6),
)
def test_a_round_begins_what_there_is_room_for_and_forgets_nothing(
    offered: int, here: int, fit: int, free: int, more: int
) -> None:
    """P7: what is not begun is a backlog, or was passed over and is counted."""
    starts = [start(id=f"{n}") for n in range(offered)]
    has = starts[:here]
    runs = [d.Epoch(each, {}) for each in starts[len(has) : len(has) + fit]]
    asked_for = d.limit(free, len(has), more)
    plan = d.plan(starts, has, runs, asked_for=asked_for, free=free, passed_over_before=more)
    assert plan.here == has
    assert plan.begin == runs[:free]
    assert plan.passed_over == len(starts) - len(has) - len(runs)
    assert plan.backlog or len(plan.begin) == len(runs)
    assert not plan.look_again or (plan.passed_over > more and plan.backlog)


@pytest.mark.parametrize(
    ("engine", "epoch"), [(None, 1), ("ours", 1), ("gone", 2)], ids=["new", "ours", "of an engine that is gone"]
)
def test_a_start_runs_in_a_new_epoch_if_another_engine_had_it(engine: str | None, epoch: int) -> None:
    """P6: whatever the other engine reports late is of an epoch that is over."""
    assert d.in_its_epoch(start(engine=engine), "ours").epoch == epoch


@pytest.mark.parametrize(("epoch", "restored", "first"), [(1, False, 0), (2, False, 1), (1, True, 1)])
def test_a_new_epoch_is_in_the_record_before_it_runs(epoch: int, *, restored: bool, first: int) -> None:
    """P6: its end counts only for the epoch that stands there."""
    assert len(d.must_be_stored_first([d.Epoch(start(epoch=epoch), {})], restored=restored)) == first


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (None, "stale"),
        (start(state="succeeded", engine="ours"), "stale"),
        (start(epoch=2, engine="ours"), "stale"),
        (start(engine="another"), "stale"),
        (start(engine="ours", workflow="unknown"), "stale"),
        (start(), "unmarked"),
        (start(engine="ours"), "ours"),
    ],
)
def test_what_an_engine_holds_is_kept_only_if_the_record_says_so(found: Start | None, said: str) -> None:
    """P6: the record is asked, never the engine."""
    assert d.of_held(found, 1, "ours", WORKFLOWS) == said


@pytest.mark.parametrize(
    ("found", "suspended"),
    [(None, False), (start(), True), (start(epoch=2), False), (start(state="failed"), False)],
)
def test_a_wake_waits_only_for_who_will_park(found: Start | None, *, suspended: bool) -> None:
    """P7: no wake is kept for an epoch that is over, and none is dropped that somebody parks for."""
    assert d.is_asleep(found, 1) is suspended


def test_a_backlog_is_looked_at_by_the_half() -> None:
    """One look at the record for many bodies."""
    assert [free for free in range(9) if d.is_worth_a_look(free, 8)] == [4, 5, 6, 7, 8]
