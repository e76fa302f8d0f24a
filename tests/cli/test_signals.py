"""Ctrl-C and SIGTERM: the first asks, the second ends a worker at once, and nothing is lost by either."""

from __future__ import annotations

import signal
import subprocess

import pytest

from tests.cli.conftest import ROOT, command, hear, until

DRAINS = (
    "what runs comes to its next wait or end; a second Ctrl-C or SIGTERM ends it at once, and the next worker recovers "
    "what was under way"
)


@pytest.fixture
def stuck(cli):
    cli.here = True
    cli.env["RECORDFIRST_APP"] = "tests.cli.stuck:app"
    cli.done("migrate", "--apply")
    return cli


@pytest.mark.parametrize(
    ("workflow", "step", "number", "status"),
    [
        ("in_thread", "hang_in_thread", signal.SIGINT, 130),
        ("in_thread", "hang_in_thread", signal.SIGTERM, 143),
        ("on_loop", "hang_on_loop", signal.SIGTERM, 143),
    ],
    ids=["thread, Ctrl-C", "thread, SIGTERM", "event loop, SIGTERM"],
)
def test_second_signal_ends_a_step_that_never_ends(stuck, workflow, step, number, status):
    """P3, P7: it says what was under way, and the next worker ends it with the same key: one effect."""
    calls = stuck.fixed.with_suffix(".calls")
    with stuck.worker() as first:
        hear(first, "working")
        stuck.done("start", workflow, '["w"]', "--id", "w:1")
        until(lambda: calls.exists() and calls.read_text())
        first.send_signal(number)
        assert first.stdout.readline() == "stuck: stopping\n"
        assert first.stdout.readline() == f"stuck: {DRAINS}\n"
        first.send_signal(number)
        out, err = first.communicate(timeout=60)
    said = f"ended at once; under way were w:1 ({step}): the next worker recovers them"
    assert (first.returncode, out, err) == (status, "", f"recordfirst: stuck: {said}\n")
    assert stuck.json("show", "w:1")["workflow"]["state"] == "open"
    stuck.fixed.with_suffix(".go").touch()
    with stuck.worker() as second:
        until(lambda: stuck.json("show", "w:1")["workflow"]["state"], lambda state: state == "succeeded")
        second.terminate()
        assert second.wait(60) == 0
    assert len(keys := calls.read_text().splitlines()) == 2
    assert len(set(keys)) == 1


def test_ctrl_c_while_the_app_is_imported(stuck):
    """P10: a command that imports the user's app ends at the first Ctrl-C, with one line."""
    for words in (["status"], ["worker"], ["explore", "tests.cli.stuck:app", "in_thread"]):
        importing = stuck.fixed.with_suffix(".importing")
        process = subprocess.Popen(
            command(*words), cwd=ROOT, env=stuck.env | {"SHOP_SLOW_IMPORT": "1"}, stderr=subprocess.PIPE, text=True
        )
        until(importing.exists)
        importing.unlink()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=30)
        assert (process.returncode, err[:24], err.count("\n")) == (130, "recordfirst: interrupted", 1), words
