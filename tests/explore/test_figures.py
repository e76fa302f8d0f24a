"""The page of our own figures: each run adds a line, and the sum is counted."""

from __future__ import annotations

from recordfirst.explore import Budget
from recordfirst.explore.running import explore
from tests.explore.figures import PAGE, with_run
from tests.explore.shop import CASE


def test_a_run_is_added_to_those_that_there_were() -> None:
    """P9, by count: nothing is written by hand, and no run is lost from the page when the next one is written."""
    report = explore(CASE, Budget(schedules=3))
    before = PAGE.read_text()
    after = with_run(before, [report, report], jobs=2, seed=7)
    added = [line for line in after.splitlines() if line not in before.splitlines()]
    row, altogether = added
    assert row.endswith("| 7 | 2 | 0 | 6 | 0 |")
    assert _sum(altogether) == _sum(next(line for line in before.splitlines() if line.startswith("Altogether"))) + 6
    assert after.startswith(before.partition("<!-- sum -->")[0])


def _sum(line: str) -> int:
    return int(line.partition("**")[2].partition(" ")[0].replace(",", ""))
