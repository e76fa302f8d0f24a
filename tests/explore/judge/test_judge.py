"""The one judge: a run, of whichever world, and what it broke; each event says what is its own doing."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from recordfirst.explore import At, RunOutcome, Schedule, Violation
from recordfirst.explore.judge.judge import Judge
from recordfirst.explore.runs.event import BoundaryEvent, SeenCall
from recordfirst.explore.runs.observed import Observed, SeenEvent, SeenReceipt, SeenReversal, SeenStart
from recordfirst.explore.runs.run import Run
from recordfirst.testing.outside import Asked

START = SeenStart("order-1", "succeeded", "1", None)


def receipt(key: str, kind: str = "write", state: str = "succeeded", result: str = "1") -> SeenReceipt:
    return SeenReceipt(key, 1, kind, state, result, None, None)


def seen(*keys: str, rows: tuple[tuple[Any, ...], ...] = (), **more: Any) -> Observed:
    receipts = tuple(receipt(key) for key in keys)
    fields: dict[str, Any] = {"receipts": receipts, "starts": (START,), "tables": {"orders": rows}}
    return Observed(**fields | more)


def run(*events: dict[str, Any], end: Observed, **more: Any) -> Run:
    told = tuple(
        BoundaryEvent(order=order, process=1, point=order, at_ms=order, what="is committed", **event)
        for order, event in enumerate(events, 1)
    )
    fields: dict[str, Any] = {"schedule": Schedule(), "events": told, "points": ((),), "seen": end, "struck": ()}
    return Run(**fields | more)


NEW, PAID = seen("insert", rows=(("new",),)), seen("insert", "paid", rows=(("paid",),))
REFERENCE = run({"seen": NEW}, {"seen": PAID}, end=PAID)


def judged(of: Run) -> RunOutcome:
    judge = Judge()
    assert judge.judged(REFERENCE).violations == ()
    judge.take_as_reference(REFERENCE)
    return judge.judged(of)


def broken(of: Run) -> list[str]:
    return [violation.promise for violation in judged(of).violations]


def test_what_is_as_without_faults_broke_nothing() -> None:
    assert broken(REFERENCE) == []
    assert (
        broken(run({"seen": NEW}, {"seen": NEW}, {"seen": PAID}, end=PAID, schedule=Schedule((At(1, 1, "crash"),))))
        == []
    )


@pytest.mark.parametrize(("is_there", "promises"), [(True, []), (False, ["P1"])])
def test_a_call_before_its_write(is_there: bool, promises: list[str]) -> None:
    called = {"called": SeenCall("order-1:charge", "charge_card", "insert", is_there)}
    assert broken(run({"seen": NEW}, called, {"seen": PAID}, end=PAID)) == promises


def test_rows_without_receipts_are_told_where_they_are_seen() -> None:
    """P2: at the commit that showed them, and not at the others."""
    half = seen("insert", rows=(("paid",),))
    outcome = judged(run({"seen": NEW}, {"seen": half}, {"seen": PAID}, end=PAID))
    assert [[each.promise for each in event.broken] for event in outcome.events] == [[], ["P2"], []]


def test_rows_that_no_run_without_faults_had_are_compared_within_the_run() -> None:
    """P2: a declined order, say; with the same receipts it may not become another."""
    other = seen("insert", "void", rows=(("void",),))
    assert broken(run({"seen": other}, {"seen": other}, {"seen": PAID}, end=PAID)) == ["P5"]  # void is gone in the end
    changed = seen("insert", "void", rows=(("paid",),))
    assert "P2" in broken(run({"seen": other}, {"seen": changed}, end=PAID))


def test_a_receipt_that_changes_is_told_by_the_order_of_events() -> None:
    """P5: whichever process saw it first."""
    assert broken(run({"seen": PAID}, {"seen": NEW}, end=PAID)) == ["P5"]


def test_what_the_users_invariants_found_is_theirs() -> None:
    outcome = judged(run({"seen": NEW, "offending": ("none: 1",)}, {"seen": PAID}, end=PAID, offending=("two: 2",)))
    assert outcome.violations == (Violation("yours", "none: 1"), Violation("yours", "two: 2"))
    assert outcome.events[0].broken == (Violation("yours", "none: 1"),)


def test_the_end_is_that_of_a_run_without_faults() -> None:
    """P3, P7, P9."""
    twice = tuple(Asked(kind="charge", request={}, marker="m", at_ms=1) for _ in range(2))
    assert "P3" in broken(run(end=seen("insert", "paid", rows=(("paid",),), applied=twice)))
    assert "P7" in broken(
        run(end=seen("insert", "paid", rows=(("paid",),), starts=()), accepted=frozenset({"order-1"}))
    )
    assert broken(run(end=NEW)) == ["P9", "P9"]


def test_a_run_that_ended_as_a_later_version_is_held_against_that_one() -> None:
    """P9: which steps were done before is its own matter."""
    judge = Judge()
    judge.take_as_reference(REFERENCE)
    judge.later = seen("other", starts=(SeenStart("order-1", "succeeded", "2", None),))
    ends = seen("insert", "other", starts=(SeenStart("order-1", "succeeded", "2", None),))
    assert judge.judged(run(end=ends, version=1)).violations == ()
    assert [each.promise for each in judge.judged(run(end=PAID, version=1)).violations] == ["P9"]


# ── what providers tell ─────────────────────────────────────────────────────


def asked(*states: str) -> Observed:
    return seen(receipts=tuple(receipt("order-1:charge", "effect", state) for state in states))


@pytest.mark.parametrize(("state", "promises"), [("intended", []), ("pending", ["P5"]), ("succeeded", [])])
def test_a_call_of_what_is_pending(state: str, promises: list[str]) -> None:
    """P5: under whichever key; and a late call of what has succeeded is a zombie's, which its key makes harmless."""
    for key in ("shop/order-1:charge", "shop/order-1:charge~2"):
        called = {"called": SeenCall(key, "charge_card", "insert", True)}
        outcome = judged(run({"seen": NEW}, {"seen": asked(state)}, called, end=PAID))
        assert [each.promise for each in outcome.events[-1].broken] == promises
    other = {"called": SeenCall("shop/order-1:other-charge", "other", "insert", True)}
    assert judged(run({"seen": asked(state)}, other, end=PAID)).events[-1].broken == ()


@pytest.mark.parametrize(("before", "broken_by_it"), [("intended", True), ("pending", False)])
def test_what_was_taken_on_may_be_declined_later(before: str, broken_by_it: bool) -> None:
    """P5: accepted is not done; what was never pending, and is done outside, must not be declined."""
    done = Asked(kind="charge", request=1, marker="shop/order-1:charge", at_ms=1, result="1")
    end = msgspec.structs.replace(asked("declined"), applied=(done,))
    said = [str(each) for each in judged(run({"seen": asked(before)}, {"seen": end}, end=end)).violations]
    assert any("is declined, and was done" in each for each in said) == broken_by_it


@pytest.mark.parametrize(
    ("state", "promises"),
    [("done", []), ("ignored", []), ("open", ["P11"]), ("waiting", ["P11"]), ("stopped", ["P11"])],
)
def test_an_event_that_is_not_taken_up(state: str, promises: list[str]) -> None:
    """P11: also where there is no run without faults to compare with."""
    end = msgspec.structs.replace(PAID, events=(SeenEvent("e1", state),))
    assert [each.promise for each in Judge().judged(run(end=end)).violations] == promises


def test_an_event_or_a_reversal_more_or_less() -> None:
    """P11: than in the run without faults."""
    told = {"events": (SeenEvent("e1", "done"),), "reversals": (SeenReversal("charge", 1, "refunded", "re_1", "note"),)}
    judge = Judge()
    judge.take_as_reference(run(end=msgspec.structs.replace(PAID, **told)))
    unhandled = (SeenReversal("charge", 1, "refunded", "re_1", None),)
    assert judge.judged(run(end=msgspec.structs.replace(PAID, **told))).violations == ()
    for name, less in (("events", ()), ("reversals", ()), ("reversals", unhandled)):
        end = msgspec.structs.replace(PAID, **told | {name: less})
        assert [each.promise for each in judge.judged(run(end=end)).violations] == ["P11"]
