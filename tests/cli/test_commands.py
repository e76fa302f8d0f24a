"""Every command, as a process, on both records (P10)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ORDER = '{"order": {"id": "%s", "amount_minor": %d}}'


def test_p10_migrate_shows_first_and_runs_when_told(recordfirst):
    """P10: what will run is shown, nothing is changed without --apply, and a second time there is nothing to do."""
    shown = recordfirst("migrate", "--app", "shop:app", "--json").json
    assert (shown["found"], shown["applied"], len(shown["steps"])) == (0, False, len(shown["steps"]))
    assert "CREATE TABLE" in recordfirst("migrate", "--app", "shop:app", "--sql").out
    assert "would run" in recordfirst("migrate", "--app", "shop:app").out
    assert recordfirst("migrate", "--app", "shop:app", "--apply", "--json").json["steps"] == shown["steps"]
    assert "nothing to do" in recordfirst("migrate", "--app", "shop:app", "--apply").out


def test_p7_start_worker_status_show(shop, worker):
    """P7, P10: what one process accepts another runs, and every process reads it by its business key."""
    assert shop("start", "create_order", ORDER % ("1", 100), "--id", "order:1", "--wait", "--json").json == {
        "id": "order:1",
        "state": "succeeded",
        "result": "mail 1",
    }
    assert "already started" in shop("start", "create_order", ORDER % ("1", 999), "--id", "order:1").err
    status = shop("status", "--json").json
    assert (status["counts"]["start.succeeded"], status["workflows"]) == (1, [])
    shown = shop("show", "order:1", "--json").json
    assert shown["workflow"]["state"] == "succeeded"
    assert [(r["kind"], r["function"], r["state"]) for r in shown["receipts"]] == [
        ("write", "insert_order", "succeeded"),
        ("effect", "send_mail", "succeeded"),
    ]
    assert "bytes" in shown["workflow"]["arguments"]
    revealed = shop("show", "order:1:mail", "--json", "--reveal").json
    assert revealed["receipts"][0]["result"] == "mail 1"
    assert "send_mail" in shop("show", "order:1").out


def test_p5_resolve_wakes_a_parked_workflow(shop, worker):
    """P5: what nobody can tell waits for a person, and goes on when one has spoken, in another process."""
    shop("start", "create_order", ORDER % ("2", 13), "--id", "order:2")
    while not shop("show", "order:2:mail", "--json").out.count('"unknown"'):
        pass
    assert shop("status", "--json").json["counts"]["effect.unknown"] == 1
    shop("resolve", "order:2:mail", "--succeeded", "7").is_one_clear_line("send_mail", "str")
    told = shop("resolve", "order:2:mail", "--succeeded", '"sent by hand"', "--json").json
    assert told == {"key": "order:2:mail", "attempt": 1, "state": "succeeded", "workflow": "order:2"}
    waited = shop("start", "create_order", ORDER % ("2", 13), "--id", "order:2", "--wait", "--json").json
    assert waited["result"] == "sent by hand"
    shop("resolve", "order:2:mail", "--not-done").is_one_clear_line("order:2:mail", "succeeded")


def test_p7_retry_after_a_bug_is_mended(shop, worker, folder):
    """P7, trap 23: a failed workflow is tried again under its id, and what was done stays done."""
    failed = shop("start", "create_order", ORDER % ("3", 15), "--id", "order:3", "--wait")
    failed.is_one_clear_line("order:3", "ValueError: a bug", "recordfirst retry order:3")
    assert [w["error"] for w in shop("status", "--state", "failed", "--json").json["workflows"]] == [
        "ValueError: a bug"
    ]
    (folder / "mended").touch()
    assert shop("retry", "order:3", "--json").json == {"id": "order:3", "state": "open", "epoch": 2}
    assert (
        shop("start", "create_order", ORDER % ("3", 15), "--id", "order:3", "--wait", "--json").json["result"]
        == "mail 3"
    )
    shop("retry", "order:3").is_one_clear_line("order:3", "only a failed one")


def test_p5_a_decline_is_shown_with_its_code(shop, worker):
    """P5, P10: a decline is a stored outcome that one can read."""
    shop("start", "create_order", ORDER % ("4", 14), "--id", "order:4", "--wait").is_one_clear_line("Declined", "550")
    [receipt] = shop("show", "order:4:mail", "--json").json["receipts"]
    assert (receipt["state"], receipt["error"]) == ("declined", "no such address (550)")


def test_p7_a_standby_ends_when_told(shop, worker, folder, environment):
    """P7: a second worker stands by, says so, and ends cleanly on SIGTERM without ever having worked."""
    command = [sys.executable, "-m", "recordfirst.cli", "worker", "--app", "shop:app"]
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as standby:
        assert standby.stdout is not None
        assert "standing by" in standby.stdout.readline()
        standby.terminate()
        out, err = standby.communicate(timeout=30)
    assert (standby.returncode, "working" in out, "Traceback" in err) == (0, False, False)


@pytest.mark.parametrize("command", ["migrate", "worker", "start", "status", "show", "resolve", "retry", "demo"])
def test_every_command_explains_itself_with_examples(recordfirst, command):
    """P10: --help shows at least one example that can be pasted."""
    said = recordfirst(command, "--help")
    assert said.status == 0
    assert f"recordfirst {command}" in said.out.split("Example", 1)[1]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_for_shells(shell):
    """P10: the completion script comes out."""
    script = Path(sys.executable).with_name("recordfirst")
    said = subprocess.run(
        [script],
        env={**os.environ, "_RECORDFIRST_COMPLETE": f"{shell}_source"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "_RECORDFIRST_COMPLETE" in said.stdout
