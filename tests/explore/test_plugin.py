"""pytest's side: a fixture, a marker and options; readable when something broke, free when nobody explores."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

TESTS = """
import pytest
from tests.explore import broken, shop

NOT_PAID = "SELECT id FROM orders WHERE state <> 'paid'"

@pytest.fixture
def explore_defaults():
    return {"tables": shop.TABLES, "provide": shop.CASE.provide, "id": "order:1", "budget": 30}

def test_broken(explore):
    explore(broken.create_order, shop.ORDER, provide=broken.provide, invariants=[NOT_PAID])

@pytest.mark.explore(budget=3, seed=7)
def test_held(explore):
    report = explore(shop.create_order, shop.ORDER, invariants=[NOT_PAID])
    assert (report.schedules, report.seed) == (3, 7)

@pytest.mark.parametrize("n", range(2))
def test_side_by_side(explore, n):
    explore(shop.create_order, shop.ORDER, budget=2)

@pytest.mark.explore(parts=2)
def test_divided(explore):
    explore(shop.create_order, shop.ORDER, budget=6)

def test_stranger(explore):
    explore(shop.create_order, shop.ORDER, invariant=[])

def test_budget(explore):
    explore(shop.create_order, shop.ORDER, budget="a week")

def test_whole(explore):
    assert explore(shop.CASE, budget=2).schedules == 2

def test_whole_with_arguments(explore):
    explore(shop.CASE, shop.ORDER)

def test_async(explore):
    import asyncio
    async def go():
        explore(shop.create_order, shop.ORDER)
    asyncio.run(go())
"""


@pytest.fixture
def run(tmp_path):
    """Runs a user's tests as a process of their own."""
    (tmp_path / "test_order.py").write_text(TESTS)

    def go(*words: str) -> subprocess.CompletedProcess[str]:
        command = [
            sys.executable,
            "-m",
            "pytest",
            "-p",
            "recordfirst_pytest",
            "-p",
            "no:cacheprovider",
            "-p",
            "no:randomly",
        ]
        env = os.environ | {"PYTHONPATH": str(ROOT), "COLUMNS": "160"}
        return subprocess.run(
            [*command, *words], cwd=tmp_path, env=env, capture_output=True, text=True, timeout=110, check=False
        )

    return go


def test_a_failure_reads_as_a_history_and_can_be_run_again(run, tmp_path):
    """P10: the assertion has promise, schedule and timeline; the line under it runs that schedule and fails alike."""
    failed = run("-q", "test_order.py::test_broken", "--explore-report=out")
    assert failed.returncode == 1, failed.stderr
    assert "E       AssertionError: P3, one effect: charge explored/order:1:charge was done 2 times" in failed.stdout
    assert "process 2, its successor" in failed.stdout
    assert "recordfirst/explore/" not in failed.stdout  # no frame of ours
    again = re.search(r"pytest (\S+) --explore-replay (\S+)", failed.stdout)
    assert again is not None
    replayed = run("-q", again[1], "--explore-replay", again[2])
    assert f"create_order, schedule {again[2]}: a promise was broken" in replayed.stdout
    assert "P3, one effect: charge explored/order:1:charge was done 2 times" in replayed.stdout
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "test_order-test_broken.html",
        "test_order-test_broken.xml",
    ]


def test_what_held_says_what_was_tried(run):
    """A test that passes says how much it tried; marker before defaults, options of pytest before both."""
    held = run("-q", "test_order.py::test_held")
    assert re.search(r"test_held +create_order: 3 schedules of faults .* seed 7: every promise held", held.stdout)
    more = run("-q", "test_order.py::test_side_by_side", "--explore-budget=4", "--explore-seed=9")
    assert len(re.findall(r"4 schedules of faults .* seed 9: every promise held", more.stdout)) == 2


def test_tests_run_side_by_side(run):
    """With xdist each test explores in the process that runs it, and what it tried is still told."""
    both = run("-q", "-n", "2", "test_order.py::test_side_by_side")
    assert both.returncode == 0, both.stdout
    assert both.stdout.count("every promise held") == 2


def test_one_exploration_is_divided(run):
    """P9: its parts are tests, which xdist runs side by side; together they try what one would."""
    divided = run("-q", "-n", "2", "test_order.py::test_divided")
    assert divided.returncode == 0, divided.stdout
    for part in (1, 2):
        assert re.search(rf"test_divided\[part{part}of2\] +create_order: 3 schedules", divided.stdout)
    failed = run("-q", "test_order.py::test_broken", "--explore-parts=2", "-x")
    again = re.search(r"pytest '(\S+\[part.of2\])' --explore-replay (\S+) --explore-parts 2", failed.stdout)
    assert again is not None, failed.stdout
    replayed = run("-q", again[1], "--explore-parts", "2", "--explore-replay", again[2])
    assert f"create_order, schedule {again[2]}: a promise was broken" in replayed.stdout
    assert "an exploration has parts, 1 or more, not 0" in run("-q", "--explore-parts=0").stdout


def test_mistakes_are_one_line_where_they_were_made(run):
    """P8: an argument that is none, a budget that is none, a loop that runs already."""
    told = run("-q", "test_order.py", "-k", "stranger or budget or async or whole").stdout
    assert "Misuse: explore has no invariant=; it takes the workflow, its arguments, and always=, app=, budget=" in told
    assert "Misuse: 'a week' is not a budget; write a time, such as 60s" in told
    assert "Misuse: explore(Case) is a whole case: give it no arguments, or args=(...)" in told
    assert "1 passed" in told  # what the command line takes, a whole case, the fixture takes, too
    assert "Misuse: explore(...) has event loops of its own" in told
    assert "src/recordfirst" not in told


def test_it_costs_nothing_until_somebody_explores(tmp_path):
    """Pytest imports each plugin that is installed: this one imports nothing of ours."""
    (tmp_path / "test_other.py").write_text(
        "import sys\n\ndef test_other():\n    assert 'recordfirst_pytest' in sys.modules\n"
        "    assert [m for m in sys.modules if m.split('.')[0] in ('recordfirst', 'resonate', 'msgspec')] == []\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "recordfirst_pytest", "-p", "no:cacheprovider"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stdout
