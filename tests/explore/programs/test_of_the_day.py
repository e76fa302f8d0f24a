"""Programs that nobody wrote, each day others: for two minutes of each run of the tests, in parts that share the cores.

``--programs-seconds 20`` makes it shorter, and ``0`` leaves it out; ``--programs-seed`` repeats another day's.
"""

from __future__ import annotations

import datetime as dt
import os
import re
import subprocess
import sys

import pytest

PARTS = 4
_PROGRAMS_MOST = 100_000
"""Of one part: more than any runs."""
_FAILS_S = 900
"""What breaks a promise is made smaller before it is printed."""


@pytest.mark.timeout(_FAILS_S + 100)
@pytest.mark.parametrize("part", range(PARTS))
def test_programs_of_the_day(part: int, pytestconfig: pytest.Config):
    """They break no promise. One that does is printed as a test, with the command that runs it again."""
    seconds: float = pytestconfig.getoption("--programs-seconds")
    if not seconds:
        pytest.skip("--programs-seconds is 0")
    seed = pytestconfig.getoption("--programs-seed") or int(f"{dt.datetime.now(dt.UTC):%Y%m%d}")
    said = explored("--seed", seed, "--since", part * _PROGRAMS_MOST, "--seconds", seconds / PARTS)
    counted = re.search(r"^([\d,]+) runs of [\d,]+ programs .* 0 broke a promise$", said, re.MULTILINE)
    assert counted is not None, said
    assert int(counted[1].replace(",", "")) > 0


def explored(*words: object) -> str:
    """What the command says: it, and hashes that are the same each time, so that what it prints finds the same."""
    command = [sys.executable, "-m", "recordfirst.cli", "explore", "--programs", *map(str, words)]
    environment = os.environ | {"PYTHONHASHSEED": "0"}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as running:
        try:
            said, _ = running.communicate(timeout=_FAILS_S)
        except subprocess.TimeoutExpired:
            running.kill()
            said, _ = running.communicate()
            pytest.fail(f"a run does not end:\n{said}")
    assert running.returncode == 0, said
    return said
