"""A workflow is cancelled while its worker is stopped: then that is killed, or wakes up as a zombie (P3, P6, P7)."""

from __future__ import annotations

import signal

import pytest

from tests.cli.conftest import end, hear, until


@pytest.fixture
def held(cli):
    """One that has taken something, and holds it; its worker is stopped in the middle."""
    cli.env["RECORDFIRST_APP"] = "tests.cli.held:app"
    cli.done("migrate", "--apply")
    cli.done("start", "hold", '["held"]', "--id", "held")
    return cli


@pytest.mark.parametrize("fate", ["killed", "wakes up"])
@pytest.mark.parametrize(("how", "calls"), [("--undo", ["take", "back"]), ("--no-undo", ["take"])])
def test_cancelled_while_its_worker_is_stopped(held, fate, how, calls):
    """P3, P7: the engine has not heard of it when the worker dies, or goes on: no step begins, one undo is called."""
    file = held.fixed.with_suffix
    with held.worker() as worker:
        hear(worker, "working")
        until(file(".here").exists)
        worker.send_signal(signal.SIGSTOP)
        assert "held is " in held.done("cancel", "held", how, "--why", "the customer called")
        file(".go").touch()
        if fate == "killed":
            worker.kill()
            worker.wait()
            with held.worker() as successor:
                hear(successor, "working")
                until(lambda: held.json("show", "held")["workflow"]["state"] == "cancelled")
                end(successor)
        else:
            worker.send_signal(signal.SIGCONT)
            until(lambda: held.json("show", "held")["workflow"]["state"] == "cancelled")
            end(worker)
    assert file(".calls").read_text().split() == calls
    assert [audit["why"] for audit in held.json("audit", "held")] == ["the customer called"]
