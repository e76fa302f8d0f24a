"""The tutorial that finds a crash: its files run as the page says, and what it promises of them comes true."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from recordfirst.explore import At, Case, FastWorld, Schedule
from tests.test_examples import EXAMPLES, load, run


@pytest.fixture
def crash(tmp_path: Path) -> Path:
    """The directory of the tutorial that finds a crash."""
    shutil.copytree(EXAMPLES / "explore", tmp_path, dirs_exist_ok=True)
    return tmp_path


def explored(folder: Path, *words: str) -> str:
    command = (sys.executable, "-m", "pytest", "-q", "-p", "recordfirst_pytest", "-p", "no:cacheprovider")
    return run(*command, *words, cwd=folder).stdout


def test_crash_tutorial_finds_the_mail_in_the_transaction(crash: Path) -> None:
    """P3: as the page shows it: the process dies just before COMMIT, and its successor sends the mail again."""
    told = explored(crash, "test_order.py", "--explore-budget", "85")
    assert "AssertionError: P3, one effect: mail {" in told
    page = (EXAMPLES.parent / "docs" / "tutorial" / "find-the-crash.md").read_text()
    again = re.search(r"pytest (test_order\.py::test_order) --explore-replay (1\.\d+:crash)\n", told)
    assert again is not None
    mail, dies = (
        "1.39     outside is asked for something, by what is no effect",
        "1.39     process 1 DIES just before: COMMIT",
    )
    for line in (again[0], mail, dies):
        assert numberless(line) in numberless(page)
        assert numberless(line) in numberless(told)
    assert f"schedule {again[2]}: a promise was broken" in explored(crash, again[1], "--explore-replay", again[2])


def numberless(text: str) -> str:
    """How many statements a worker begins with is not for the page to hold."""
    return re.sub(r"\b1\.\d+\b", "1.N", text)


def test_crash_tutorial_mends_it(crash: Path) -> None:
    """P3: the mail as an effect of its own: where the first one broke, and wherever a small budget comes."""
    test = (crash / "test_order.py").read_text().replace("import orders\n", "import fixed\n")
    (crash / "test_order.py").write_text(test.replace("orders.create_order", "fixed.create_order"))
    assert "85 schedules of faults" in (told := explored(crash, "test_order.py", "--explore-budget", "85")), told
    assert "every promise held" in told


@pytest.mark.parametrize(
    ("old", "new", "schedule", "said"),
    [
        (", key=call.key)", ")", ("call thank", "crash-after", None), "mail {"),
        (
            'name="bank", retention_s=DAY_S',
            'name="bank", retention_s=100 * DAY_S',
            ("call charge_card", "crash-after", "keys-expired"),
            "charge {",
        ),
    ],
)
def test_crash_tutorial_things_to_break(
    crash: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, schedule: Any, said: str
) -> None:
    """P3: what the page says to break on purpose is found, and what was there before is not broken by it."""
    monkeypatch.syspath_prepend(str(crash))
    text = (crash / "fixed.py").read_text()
    assert text.count(old) == 1
    assert broken(crash, monkeypatch, *schedule) == []
    (crash / "fixed.py").write_text(text.replace(old, new))
    assert any(violation.startswith(f"P3: {said}") for violation in broken(crash, monkeypatch, *schedule))


def test_crash_tutorial_a_person_answers_for_the_mail(crash: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """P5, P7: the mail's key is forgotten, so an operator is asked, and answers as the effect does: with nothing."""
    monkeypatch.syspath_prepend(str(crash))
    assert broken(crash, monkeypatch, "call thank", "crash-after", "keys-expired") == []


def broken(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, fault: Any, change: Any) -> list[str]:
    """What one fault at one point breaks."""
    for module in ("orders", "fixed", "test_order"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # the second text may be as old as the first
    fixed, order = load(folder / "fixed.py"), load(folder / "test_order.py")
    case = Case(
        workflow=fixed.create_order, args=(order.ORDER,), id="order:42", tables=order.TABLES, provide=order.doubles
    )
    world = FastWorld(case, deaths="abandoned")
    try:
        point = next(point for point in world.refer().points[0] if point.name == name)
        return [str(each) for each in world.run(Schedule((At(1, point.number, fault, change),))).violations]
    finally:
        world.close()
