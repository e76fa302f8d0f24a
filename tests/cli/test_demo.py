"""``recordfirst demo``, small: real purchases, two workers killed, lost replies, and books that balance."""

from __future__ import annotations

import contextlib
import json
import signal
import sqlite3
import subprocess
import sys

from recordfirst.demo.shop import TABLE

KEYS = ["orders", "paid", "declined", "duplicates", "missing", "sum_file", "sum_record", "sum_provider", "kills"]


def demo(url, *words):
    """Run it as a process."""
    command = [sys.executable, "-m", "recordfirst.cli", "demo", "--record", url, *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


def test_small_demo(record_url):
    """P3, P7: no order charged twice, none lost, three sums equal, on each record."""
    ended = demo(record_url, "--orders", "60", "--kills", "2", "--seed", "3", "--json")
    assert ended.returncode == 0, ended.stderr
    books = json.loads(ended.stdout.splitlines()[-1])
    assert set(KEYS) | {"orders_per_second", "ok"} <= set(books)
    assert books["ok"] is True
    assert (books["orders"], books["kills"], books["duplicates"], books["missing"]) == (60, 2, 0, 0)
    assert books["paid"] + books["declined"] == 60
    assert books["sum_file"] == books["sum_record"] == books["sum_provider"]
    assert "60 of 60 orders ended" in ended.stderr
    assert "The books balance." in ended.stdout


def test_small_demo_of_transfers(record_url):
    """P3, P7: what was held is posted or released; every account holds what the file says, on each record."""
    ended = demo(record_url, "--story", "transfers", "--orders", "90", "--kills", "1", "--seed", "3", "--json")
    assert ended.returncode == 0, ended.stderr
    books = json.loads(ended.stdout.splitlines()[-1])
    assert books["ok"] is True
    assert (books["orders"], books["kills"], books["wrong_accounts"], books["wrong_orders"]) == (90, 1, 0, 0)
    assert books["paid"] + books["declined"] + books["out_of_stock"] == 90
    assert books["declined"] > 0 < books["out_of_stock"]
    assert books["debits"] == books["credits"] > 0 == books["pending"]
    assert books["sum_shop"] == books["sum_paid_file"] < books["sum_file"]


def test_a_ledger_is_for_transfers():
    """One line for options that do not go together."""
    ended = demo("sqlite:///x.db", "--ledger", "tigerbeetle://3000")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "--ledger is for --story transfers" in ended.stderr


def test_demo_on_a_record_that_was_used(sqlite_path):
    """P8: orders of an earlier run are not mixed with this one's: one line, and nothing runs."""
    with contextlib.closing(sqlite3.connect(sqlite_path, autocommit=True)) as connection:
        connection.execute(TABLE)
        connection.execute(
            "INSERT INTO orders (id, customer, day, quantity, amount_minor, status) VALUES ('1', '', '', 1, 1, 'paid')"
        )
    ended = demo(f"sqlite:///{sqlite_path}", "--orders", "1", "--kills", "0")
    assert (ended.returncode, ended.stdout) == (1, "")
    [line] = ended.stderr.splitlines()
    assert "has orders of an earlier demo" in line


def test_demo_that_stays(tmp_path):
    """P10: afterwards the other commands work on its shop, with its Stripe, until it is told to end."""
    folder = tmp_path / "shop"
    command = [sys.executable, "-m", "recordfirst.cli"]
    words = ["demo", "--orders", "10", "--kills", "0", "--stay", str(folder)]
    with subprocess.Popen(
        [*command, *words], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert any("The shop stays open until Ctrl-C." in line for line in process.stderr)
        for given in (["status"], ["show", "order:cdnow-00001"], ["reconcile", "--pass", "providers"]):
            ended = subprocess.run(
                [*command, *given, "--app", "shop:app"],
                cwd=folder,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert (ended.returncode, ended.stderr) == (0, "")
        process.send_signal(signal.SIGINT)
        assert process.stdout.read().endswith("The books balance.\n")
        assert process.wait(60) == 0


def test_staying_is_for_charges():
    """P8: the other story says so at once."""
    ended = demo("sqlite:///x.db", "--story", "transfers", "--stay", "x")
    assert (ended.returncode, ended.stderr.split(" (")[0]) == (2, "recordfirst: --stay is for --story charges")
