"""What comes of an event that was taken up, as a table."""

from __future__ import annotations

from typing import Any

import pytest

from recordfirst.events.matching import FAILED_LOOKS_MOST, LOOKS_MOST, TRIES_MOST, verdict

QUIET: dict[str, Any] = {"looks": 0, "tries": 0, "failed": False, "waits_for_receipt": False, "looks_again": False}


@pytest.mark.parametrize(
    ("what", "state", "waits"),
    [
        ({}, "done", False),
        ({"failed": True, "tries": 1}, "open", True),
        ({"failed": True, "tries": TRIES_MOST}, "stopped", False),
        ({"waits_for_receipt": True, "looks": 999}, "waiting", True),
        ({"looks_again": True}, "open", True),
        ({"looks_again": True, "looks": LOOKS_MOST}, "done", False),
        ({"look_failed": True, "looks": LOOKS_MOST}, "open", True),
        ({"look_failed": True, "looks": FAILED_LOOKS_MOST}, "stopped", False),
        ({"under_way": True, "looks": 999}, "open", True),
        ({"under_way": True, "look_failed": True, "looks": 999}, "stopped", False),
        ({"failed": True, "tries": 1, "look_failed": True, "looks": 999}, "open", True),
    ],
)
def test_p11_what_comes_of_an_event(what, state, waits):
    """It is done when all has been looked at, and never before that; what fails for too long is stopped, visibly."""
    said = verdict(**(QUIET | what))
    assert (said.state, said.wait_ms is not None) == (state, waits)
