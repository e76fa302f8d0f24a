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
_FAILS_S = 1_500
"""What breaks a promise is made smaller before it is printed."""


@pytest.mark.timeout(_FAILS_S + 100)
@pytest.mark.parametrize("part", range(PARTS))
def test_programs_of_the_day(part: int, pytestconfig: pytest.Config):
    """They break no promise. One that does is printed as a test, with the command that runs it again.

    By the command line, with hashes that are the same each time: so that the command which is printed finds the same.
    """
    seconds: float = pytestconfig.getoption("--programs-seconds")
    if not seconds:
        pytest.skip("--programs-seconds is 0")
    seed = pytestconfig.getoption("--programs-seed") or int(f"{dt.datetime.now(dt.UTC):%Y%m%d}")
    words = ["explore", "--programs", "--seed", seed, "--since", part * _PROGRAMS_MOST]
    done = subprocess.run(
        [sys.executable, "-m", "recordfirst.cli", *map(str, words), "--seconds", str(seconds / PARTS), "--quiet"],
        env=os.environ | {"PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        timeout=_FAILS_S,
        check=False,
    )
    said = f"{done.stdout}\n{done.stderr}"
    assert done.returncode == 0, said
    counted = re.search(r"^([\d,]+) runs of ([\d,]+) programs", done.stdout, re.MULTILINE)
    assert counted is not None, said
    assert int(counted[1].replace(",", "")) > 0
