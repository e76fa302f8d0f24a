"""What record and engine tell of each other's history, row by row."""

from __future__ import annotations

import itertools

import pytest

from recordfirst.core.timeline import Kept, Mark, has_less, judge

OURS, OTHERS = "ours", "others"


def mark(number, *, confirmed=True):
    return Mark(space=1, number=number, token=OURS, confirmed=confirmed)


@pytest.mark.parametrize(
    ("newest", "own", "before", "behind", "verdict"),
    [
        (None, None, None, False, "as it should be"),  # neither knows the other
        (None, None, None, True, "record behind"),  # a new record, and an engine that had another
        (mark(2), OURS, OURS, False, "as it should be"),
        (mark(2), OURS, OURS, True, "record behind"),  # the engine was left a later one
        (mark(2), OTHERS, OURS, False, "record behind"),  # as many marks, of another past
        (mark(2), None, OURS, False, "engine behind"),  # set back
        (mark(2), None, None, False, "engine behind"),  # lost
        (mark(2, confirmed=False), None, OURS, False, "as it should be"),  # announced; it died before leaving it
        (mark(2, confirmed=False), OURS, OURS, False, "as it should be"),  # left; it died before confirming it
        (mark(2, confirmed=False), None, None, False, "engine behind"),
        (mark(1, confirmed=False), None, None, False, "as it should be"),
    ],
)
def test_verdicts(newest, own, before, behind, verdict):
    """P6: each thing that can be seen has one meaning."""
    assert judge(newest, restored=False, own=own, before=before, behind=behind) == verdict


def test_after_a_restore_the_lost_marks_are_no_news():
    """P6: the next mark begins a new space."""
    for newest in (None, mark(0)):
        assert judge(newest, restored=True, own=None, before=None, behind=True) == "as it should be"


def seen(record, engine):
    """A verdict on a record set back to one moment and an engine set back to another, of one history."""
    newest, kept = record, engine
    own = OURS if kept >= newest else None
    before = OURS if kept >= newest - 1 else None
    return judge(mark(newest), restored=False, own=own, before=before, behind=kept > newest)


def test_any_two_moments():
    """P6: whichever is further back is told, and only the same moment passes."""
    for record, engine in itertools.product(range(1, 6), range(6)):
        wanted = "as it should be" if record == engine else "engine behind" if engine < record else "record behind"
        assert seen(record, engine) == wanted, (record, engine)


@pytest.mark.parametrize(
    ("newest", "space", "number", "less"),
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
def test_what_is_kept_beside_a_file(newest, space, number, less):
    """P6: it is as new as the record at most, so whatever is newer says that the record went back."""
    assert has_less(newest, Kept(engine="e", space=space, number=number, token=OURS)) is less


def test_what_is_kept_of_another_past():
    """P6: as many marks, and not the same."""
    assert has_less(mark(2), Kept(engine="e", space=1, number=2, token=OTHERS))
