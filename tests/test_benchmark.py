"""The benchmark runs: what it prints is measured elsewhere, that its contenders still do the work is held here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

_COMMAND = [sys.executable, "-m", "benchmarks.orders"]
_ROOT = Path(__file__).parent.parent


def _run(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*_COMMAND, *options], cwd=_ROOT, capture_output=True, text=True, timeout=100, check=False)


def test_every_order_is_brought_to_its_end_and_measured(postgres_url: str) -> None:
    """A run checks that each order was paid once, and gives every figure."""
    tiny = ["--orders", "3", "--rounds", "1", "--in-flight", "2", "--only", "recordfirst", "--json"]
    done = _run("--dsn", postgres_url, *tiny)
    assert done.returncode == 0, done.stderr
    [row] = json.loads(done.stdout.splitlines()[-1])["rows"]
    assert (row["contender"], row["in_flight"], row["ratio"]) == ("recordfirst", 2, 1.0)
    assert row["orders_per_second"] > 0
    assert row["p99_ms"] >= row["p50_ms"] > 0


@pytest.mark.parametrize(("only", "said"), [("plane", "plane"), ("resonate-pg", "SKIPPED resonate-pg")])
def test_who_cannot_run_is_named(only: str, said: str) -> None:
    """A contender that is not there is an error; one that lacks something is left out loudly."""
    done = _run("--only", only)
    assert (done.returncode, said in done.stderr) == (2, True)


def test_every_transfer_is_made_and_measured(postgres_url: str) -> None:
    """The ledger's contenders do their work, checked by balances; one without a cluster is left out loudly."""
    tiny = ["--transfers", "4", "--rounds", "1", "--in-flight", "2", "--only", "tigerbeetle,postgres,sqlite", "--json"]
    command = [sys.executable, "-m", "benchmarks.ledger", "--dsn", postgres_url, *tiny]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    measured = [(row["contender"], row["accounts"]) for row in json.loads(done.stdout.splitlines()[-1])]
    assert measured == [(name, kind) for name in ("postgres", "sqlite") for kind in ("hot", "many")]
    assert "SKIPPED tigerbeetle" in done.stderr
