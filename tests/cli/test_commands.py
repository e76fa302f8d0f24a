"""Every command, as a process, for an operator and for a machine."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from recordfirst.cli import main
from tests.cli.conftest import ROOT, command, end, hear, until

ORDER = '{"order": {"id": "%s", "amount": 5}}'


def test_a_shops_day(empty_cli):
    """P10, P7: migrate, start, work, look, resolve, retry: each by its business key, on each record."""
    cli = empty_cli
    cli.here = cli.url.startswith("postgresql")
    assert "would run  1" in cli.done("migrate")
    assert cli.json("migrate", "--apply")["applied"] is True
    assert "nothing to do" in cli.done("migrate", "--apply")
    cli.execute("CREATE TABLE orders (id TEXT PRIMARY KEY, amount INTEGER NOT NULL)")
    assert cli.done("start", "create_order", ORDER % "1", "--id", "order:1") == "order:1 is open\n"
    with cli.worker() as worker:
        hear(worker, "working")
        bad = cli.refused("start", "create_order", '[{"id": "bad", "amount": 5}]', "--id", "order:bad", "--wait")
        assert bad.startswith("workflow 'order:bad' is stopped by a defect: LookupError: a bug in two lines; at ")
        assert "; nothing was undone. It goes on " in bad
        [stopped] = cli.json("status", "--state", "stopped")["workflows"]
        assert (stopped["id"], stopped["state"], stopped["epoch"], stopped["error"]) == ("order:bad", "open", 2, None)
        assert stopped["stopped"].startswith("LookupError: a bug")
        assert stopped["stopped_since"] is not None
        shown = cli.json("show", "order:bad")
        assert [receipt["state"] for receipt in shown["receipts"]] == ["succeeded", "succeeded"]
        lost = cli.json("start", "create_order", ORDER % "lost", "--id", "order:lost")
        assert lost == {"id": "order:lost", "state": "open", "workflow": "create_order"}
        done = cli.json("start", "create_order", ORDER % "1", "--id", "order:1", "--wait")
        assert done == {"id": "order:1", "state": "succeeded", "result": "card 4242"}

        wait_until_parked(cli)
        shown = cli.json("show", "order:lost")
        assert shown["workflow"]["state"] == "open"
        assert [receipt["key"] for receipt in shown["receipts"]] == ["order:lost/insert_order", "order:lost:charge"]
        resolved = cli.done("resolve", "order:lost:charge", "--succeeded", '"card 1881"')
        assert resolved == "order:lost:charge (attempt 1) is succeeded; workflow order:lost goes on\n"
        cli.fixed.touch()
        opened = {"id": "order:bad", "state": "open", "epoch": 2, "again": {}, "dry_run": False}
        assert cli.json("retry", "order:bad") == opened
        for id, result in (("bad", "card 4242"), ("lost", "card 1881")):
            words = ("start", "create_order", ORDER % id, "--id", f"order:{id}", "--wait")
            assert cli.done(*words) == f"order:{id} succeeded: {result!r}\n"
        status, _, said = end(worker)
        assert status == 0
        at = r"at='.*py:\d+, in check', step='check', version='.+', undoing=False"
        for told in (
            rf"Stopped\(workflow='order:bad', .*'LookupError: a bug', {at}\)",
            r"Suspected\(key='order:lost:charge', cause='TimeoutError: .* in charge\)'\)",
        ):
            assert re.search(told, said)

    found = cli.json("status", "--state", "succeeded", "--limit", "2")
    assert found["counts"]["start.succeeded"] == 3
    assert found["counts"]["start.stopped"] == 0
    assert "RF-WORKFLOW-STOPPED" not in {finding["code"] for finding in cli.json("findings")}
    assert [start["id"] for start in found["workflows"]] == ["order:lost", "order:bad"]


def wait_until_parked(cli):
    """Until the charge's outcome is nobody's but an operator's to tell."""
    how, cli.here = cli.here, True
    until(lambda: [r["state"] for r in cli.json("show", "order:lost")["receipts"]], lambda states: "unknown" in states)
    cli.here = how


@pytest.fixture
def after_hours(cli_here):
    """A shop with one order that nobody has worked on, and an engine that nobody can reach."""
    cli = cli_here
    cli.done("migrate", "--apply")
    cli.done("start", "create_order", ORDER % "1", "--id", "order:1")
    cli.env["SHOP_ENGINE"] = "http://127.0.0.1:9"
    return cli


def test_lists_come_from_the_record(after_hours):
    """P10: whatever we list is read from the record, engine or no engine."""
    assert "order:1  create_order  open   1      20" in after_hours.done("status")
    shown = after_hours.done("show", "order:1")
    assert "workflow   create_order" in shown
    assert "engine     none yet: no worker has taken it" in shown
    assert after_hours.json("status")["workflows"][0]["id"] == "order:1"


def test_an_effect_shows_its_marker(after_hours):
    """P10: what its call leaves at the provider, where an operator looks for it; a write has none."""
    cli = after_hours
    cli.execute(
        """
        INSERT INTO recordfirst_receipt (app, key, attempt, kind, function, workflow, state, fingerprint, request,
            created_at_ms, calls, result, settled_at_ms)
        VALUES ('shop', 'order:1:charge', 2, 'effect', 'charge', 'order:1', 'unknown', 'f', '{}', 1, 1, NULL, NULL),
            ('shop', 'order:1/row', 1, 'write', 'insert_order', 'order:1', 'succeeded', 'f', '{}', 1, 0, 'null', 1)
        """
    )
    assert {each["key"]: each["marker"] for each in cli.json("show", "order:1")["receipts"]} == {
        "order:1:charge": "shop/order:1:charge#2",
        "order:1/row": None,
    }
    assert [each["marker"] for each in cli.json("effects")] == ["shop/order:1:charge#2"]
    assert "marker    shop/order:1:charge#2" in cli.done("show", "order:1:charge")


def test_values_are_hidden_unless_asked_for(after_hours):
    """P10: arguments can hold personal data, so only their size is shown without --reveal."""
    hidden, shown = after_hours.done("show", "order:1"), after_hours.done("show", "order:1", "--reveal")
    assert ("amount" in hidden, "bytes, --reveal shows them" in hidden) == (False, True)
    assert '"amount": 5' in shown
    revealed = after_hours.json("show", "order:1", "--reveal")
    assert revealed["workflow"]["arguments"] == {"order": {"id": "1", "amount": 5}}


def test_sql_is_for_psql(empty_cli_on_postgres):
    """P10: what migrate prints is what it would run: applied by hand, there is nothing left to do."""
    empty_cli_on_postgres.here = True
    sql = empty_cli_on_postgres.done("migrate", "--sql")
    assert sql.startswith("-- 1: ")
    assert "CREATE TABLE IF NOT EXISTS recordfirst.start" in sql
    assert empty_cli_on_postgres.json("migrate", "--record", empty_cli_on_postgres.url)["found"] == 0


def test_completion():
    """P10: the script that a shell evaluates comes out of the installed program, for each shell."""
    program = Path(sys.executable).with_name("recordfirst")
    env = os.environ | {"_RECORDFIRST_COMPLETE": "bash_source"}
    script = subprocess.run([program], env=env, capture_output=True, text=True, check=True, timeout=60)
    assert "_RECORDFIRST_COMPLETE=bash_complete" in script.stdout
    for shell in ("zsh", "fish"):
        env = {"_RECORDFIRST_COMPLETE": f"{shell}_source"}
        assert f"{shell}_complete" in CliRunner().invoke(main, [], env=env, prog_name="recordfirst").stdout


@pytest.mark.parametrize("name", sorted(main.commands))
def test_help_shows_examples_as_they_are_typed(cli_here, name):
    """P10: each example stands on a line of its own."""
    lines = cli_here.done(name, "--help").splitlines()
    first = next(number for number, line in enumerate(lines) if line.strip() in ("Example:", "Examples:")) + 1
    assert lines[first].startswith(f"    recordfirst {name}")


def test_what_a_page_rests_on(cli):
    """P10: status says what is open, how long no worker was seen, and that effects are held."""
    cli.here = True
    cli.done("migrate", "--apply")
    assert cli.json("status").keys() == {"counts", "workflows", "reversals", "findings", "held", "worker_seen_s"}
    assert "findings open      0\nworker seen        never\n" in cli.done("status")
    with cli.worker() as worker:
        hear(worker, "working")
        until(lambda: cli.json("status")["worker_seen_s"], lambda seen_s: seen_s is not None and seen_s < 60)
        assert end(worker)[0] == 0
    line, at, then = "recordfirst_timeline", "held_at_ms", "1"
    if cli.url.startswith("postgresql"):
        line, at, then = "recordfirst.timeline", "held_at", "to_timestamp(0.001)"
    cli.execute(f"UPDATE {line} SET held = 'RF-RECORD-MOVED', {at} = {then}")
    assert cli.json("status")["held"] == {"code": "RF-RECORD-MOVED", "since": "1970-01-01T00:00:00.001+00:00"}
    said = cli.done("status")
    assert "Effects are held since 1970-01-01T00:00:00.001+00:00: RF-RECORD-MOVED. " in said
    assert "See: recordfirst explain RF-RECORD-MOVED" in said


def test_who_waits_for_nobody_is_told(cli_on_sqlite):
    """P10: on a terminal, and at once; the workflow is open all the same, and stays so."""
    cli = cli_on_sqlite
    cli.done("migrate", "--apply")
    terminal, other_end = pty.openpty()
    words = command("start", "slow", "--id", "slow", "--wait")
    with subprocess.Popen(words, cwd=ROOT, env=cli.env, stderr=other_end, stdout=subprocess.DEVNULL) as waiting:
        os.close(other_end)
        with os.fdopen(terminal) as told:
            assert told.readline().strip() == (
                "recordfirst: slow is open, and no worker was seen ever: recordfirst worker"
            )
        waiting.kill()
    assert cli.json("show", "slow")["workflow"]["state"] == "open"
