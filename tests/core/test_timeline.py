"""What record and engine tell of each other's history, row by row."""

from __future__ import annotations

import itertools

import msgspec
import pytest

from recordfirst.core.timeline import Kept, Mark, has_less, is_needed, judge, later, leave_at, next_tells

OURS, OTHERS = "ours", "others"


def mark(number, *, confirmed=True):
    return Mark(generation=1, number=number, token=OURS, confirmed=confirmed)


@pytest.mark.parametrize(
    ("newest", "own", "before", "behind", "verdict"),
    [
        (None, None, None, False, "consistent"),  # neither knows the other
        (None, None, None, True, "record behind"),  # a new record, and an engine that had another
        (mark(2), OURS, OURS, False, "consistent"),
        (mark(2), OURS, OURS, True, "record behind"),  # the engine was left a later one
        (mark(2), OTHERS, OURS, False, "record behind"),  # as many marks, of another past
        (mark(2), None, OURS, False, "engine behind"),  # restored
        (mark(2), None, None, False, "engine behind"),  # lost
        (mark(2, confirmed=False), None, OURS, False, "consistent"),  # announced; it died before leaving it
        (mark(2, confirmed=False), OURS, OURS, False, "consistent"),  # left; it died before confirming it
        (mark(2, confirmed=False), None, None, False, "engine behind"),
        (mark(1, confirmed=False), None, None, False, "consistent"),
    ],
)
def test_verdicts(newest, own, before, behind, verdict):
    """P6: each thing that can be seen has one meaning."""
    assert judge(newest, restored=False, own=own, before=before, behind=behind) == verdict


def test_after_a_restore_the_lost_marks_are_no_news():
    """P6: the next mark begins a new generation."""
    for newest in (None, mark(0)):
        assert judge(newest, restored=True, own=None, before=None, behind=True) == "consistent"


def seen(record, engine):
    """A verdict on a record restored to one moment and an engine restored to another, of one history."""
    newest, kept = record, engine
    own = OURS if kept >= newest else None
    before = OURS if kept >= newest - 1 else None
    return judge(mark(newest), restored=False, own=own, before=before, behind=kept > newest)


def test_any_two_moments():
    """P6: whichever is further back is told, and only the same moment passes."""
    for record, engine in itertools.product(range(1, 6), range(6)):
        wanted = "consistent" if record == engine else "engine behind" if engine < record else "record behind"
        assert seen(record, engine) == wanted, (record, engine)


@pytest.mark.parametrize(
    ("newest", "generation", "number", "less"),
    [
        (mark(2), 1, 2, False),
        (mark(2), 1, 1, False),  # it died before that was kept, too
        (mark(2), 1, 3, True),
        (mark(2), 2, 1, True),  # of the time behind a restore that was accepted
        (None, 1, 1, True),
        (mark(0), 1, 7, False),  # a restore was accepted, and no mark was left since
        (mark(0), 2, 1, True),
    ],
)
def test_what_is_kept_beside_a_file(newest, generation, number, less):
    """P6: it is as new as the record at most, so whatever is newer says that the record went back."""
    assert has_less(newest, Kept(engine="e", generation=generation, number=number, token=OURS)) is less


def test_what_an_older_release_has_kept_is_read():
    """P6: a file beside the record is older than the process that reads it."""
    kept = msgspec.json.decode(b'{"engine": "e", "space": 2, "number": 1, "token": "t"}', type=Kept)
    assert has_less(mark(5), kept)


def test_what_is_kept_of_another_past():
    """P6: as many marks, and not the same."""
    assert has_less(mark(2), Kept(engine="e", generation=1, number=2, token=OTHERS))


def test_an_engine_that_forgets_marks_still_tells_any_two_moments():
    """P6: whatever the distance, and whether the record was restored a minute or for years."""
    newest = 1_000_300
    kept = {number for number in range(1, newest + 1) if is_needed(mark(newest), 1, number)}
    assert len(kept) < 450
    for number in {
        *range(1, 2_500),
        *range(9_900, 10_300),
        *range(newest - 12_000, newest),
        500_000,
        990_000,
        1_000_000,
    }:
        own = OURS if number in kept else None
        behind = number + 1 in kept or (not next_tells(number, own) and any(each in kept for each in later(number)))
        assert judge(mark(number), restored=False, own=own, before=None, behind=behind) == "record behind", number
    assert not any(each in kept for number in (newest, newest + 1) for each in later(number)), "what was never left"


def test_marks_leave_one_by_one():
    """Limits: each that is needed no more is named once, when that begins."""
    there: set[int] = set()
    for newest in range(1, 12_500):
        there.add(newest)
        for number in leave_at(newest):
            there.remove(number)
    assert there == {number for number in range(1, 12_500) if is_needed(mark(12_499), 1, number)}


@pytest.mark.parametrize(
    ("newest", "generation", "number", "needed"),
    [
        (mark(5_000), 1, 4_901, True),
        (mark(5_000), 1, 4_899, False),
        (mark(5_000), 1, 100, True),
        (mark(5_000), 1, 101, False),
        (mark(5_000), 1, 5_001, True),  # of a time that the record has lost
        (mark(5_000), 2, 1, True),
        (mark(5_000), 2, 777, True),
        (mark(5_000), 0, 1, True),  # by it the generation is known to be taken
        (mark(5_000), 0, 2, False),
        (mark(0), 1, 101, True),  # a restore was accepted, and no mark was left since
        (None, 1, 101, True),
    ],
)
def test_what_a_mark_may_still_tell(newest, generation, number, needed):
    """P6: what could show that the record was restored stays."""
    assert is_needed(newest, generation, number) is needed
