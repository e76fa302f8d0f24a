"""``recordfirst explore``: what is broken and what held, replays that reproduce, and mistakes in one line."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TILL = """
from recordfirst import App
from recordfirst.records.sqlite import SqliteRecord
from tests.explore import shop

app = App('till', record=SqliteRecord('till.db'), workflows=[shop.create_order])
provide = shop.CASE.provide
"""
BROKEN = ("--case", "tests.explore.broken:case")


def explore(*words, cwd=ROOT, **env):
    command = [sys.executable, "-m", "recordfirst.cli", "explore", *words]
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONHASHSEED", "RECORDFIRST_APP")}
    return subprocess.run(
        command,
        cwd=cwd,
        env=clean | {"PYTHONPATH": str(ROOT)} | env,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )


def test_what_is_broken_is_shown_and_replayed_alike(tmp_path):
    """P10: status 1, every report, and a command that tells the same history in any process, whatever its hashes."""
    page, xml = tmp_path / "report.html", tmp_path / "report.xml"
    found = explore(*BROKEN, "--budget", "30", "--jobs", "2", "--json", "--html", str(page), "--junit", str(xml))
    assert found.returncode == 1, found.stderr
    first = json.loads(found.stdout)["failures"][0]
    assert first["violations"][0]["promise"] == "P3"
    assert "was done 2 times" in page.read_text()
    assert "was done 2 times" in xml.read_text()
    words = shlex.split(first["replay"])[2:]
    assert words[:2] == list(BROKEN)
    told = [json.loads(explore(*words, "--json", PYTHONHASHSEED=seed).stdout) for seed in ("random", "1", "4242")]
    for each in told:
        assert each["failures"][0]["history"] == first["history"]
    shown = explore(*words)
    assert shown.returncode == 1
    for said in ("a promise was broken", "process 2, its successor", " BROKEN 2.", "FAULT 1.", first["replay"]):
        assert said in shown.stdout


def test_an_app_s_own_workflow_and_options_are_a_case(tmp_path):
    """The app's workflow, its arguments as JSON, tables from a file, doubles by name, invariants as SQL."""
    (tmp_path / "tables.sql").write_text("CREATE TABLE orders (id TEXT PRIMARY KEY, amount INTEGER, state TEXT)")
    (tmp_path / "till.py").write_text(TILL)
    words = ["till:app", "create_order", "--args", '[{"id": "7", "amount_minor": 5}]', "--id", "order:7"]
    words += ["--tables", "tables.sql", "--provide", "till:provide", "--budget", "3"]
    held = explore(*words, "--invariant", "SELECT 1 FROM orders WHERE id <> '7'", cwd=tmp_path)
    assert held.returncode == 0, held.stderr
    assert "every promise held" in held.stdout
    broken = explore(*words, "--invariant", "SELECT id FROM orders", cwd=tmp_path)
    assert broken.returncode == 1
    assert "your invariant: SELECT id FROM orders: ('7',)" in broken.stdout
    assert "till:app create_order --args" in broken.stdout
    assert not (tmp_path / "till.db").exists()


def test_the_apps_own_invariants_are_held(tmp_path):
    """P10: with those of the command line, and told by their names."""
    own = "invariants=[invariant(sql='SELECT id FROM orders', name='no orders at all')]"
    app = TILL.replace("import App", "import App, invariant").replace("create_order])", f"create_order], {own})")
    (tmp_path / "till.py").write_text(app)
    (tmp_path / "tables.sql").write_text("CREATE TABLE orders (id TEXT PRIMARY KEY, amount INTEGER, state TEXT)")
    words = ["till:app", "create_order", "--args", '[{"id": "7", "amount_minor": 5}]', "--id", "order:7"]
    words += ["--tables", "tables.sql", "--provide", "till:provide", "--budget", "3", "--quiet"]
    broken = explore(*words, cwd=tmp_path)
    assert (broken.returncode, broken.stderr) == (1, "")
    assert "no orders at all: ('7',)" in broken.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "give MODULE:APP and WORKFLOW, or --case MODULE:NAME"),
        (["--case", "tests.explore.shop:ORDER"], "--case 'tests.explore.shop:ORDER' is a Order, not a Case"),
        (["--case", "nowhere:case"], "--case 'nowhere:case': there is no module 'nowhere' here"),
        ([*BROKEN, "--budget", "soon"], "'soon' is not a budget; write a time, such as 60s, 5m or 1h"),
        ([*BROKEN, "--replay", "1.33:explode"], "'1.33:explode' is not a fault at a point"),
        ([*BROKEN, "--replay", "1.999:crash"], "no process reaches 1.999:crash"),
        ([*BROKEN, "--args", "{"], "--args is not JSON"),
        ([*BROKEN, "--args", "[]"], "missing a required argument: 'order'"),
        ([*BROKEN, "--provide", "tests.explore.shop:CASE"], "provide= must be a function"),
        (["tests.cli.shop:app", "nothing"], "app 'shop' has no workflow 'nothing'"),
        (["--case", "tests.explore.shop:CASE", "--provide", "tests.explore.broken:provide"], "needs bank: Bank"),
    ],
)
def test_mistakes_are_one_line(words, said):
    """P8: what cannot be run is no broken promise: status 2, and no traceback."""
    ended = explore(*words, SHOP_RECORD="sqlite:///nowhere.db")
    assert said in ended.stderr
    assert len(ended.stderr.splitlines()) == 1
    assert ended.returncode == 2
