"""A process with the mutants of its parent: ``python -m tests.rules.loose EDITS MODULE ARGUMENT...``."""

from __future__ import annotations

import runpy
import subprocess
import sys
from typing import Any

import msgspec

from tests.explore.mutants import mutant
from tests.explore.mutants.mutant import Edit


def run(role: str, url: str, **options: Any) -> subprocess.Popen[str]:
    """Instead of ``tests.worker.test_owner.run``."""
    edits = msgspec.json.encode(mutant.at_large).decode()
    command = [sys.executable, "-W", "ignore", "-m", "tests.rules.loose", edits, "tests.worker.shared", role, url]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)


if __name__ == "__main__":
    given = msgspec.json.decode(sys.argv[1], type=list[Edit])
    sys.argv = sys.argv[2:]
    with mutant.edited(given):
        runpy.run_module(sys.argv[0], run_name="__main__")
