"""What comes of an event that was taken up, as a table."""

from __future__ import annotations

from typing import Any

import pytest

from recordfirst.core.receipt import Receipt
from recordfirst.events.matching import FAILED_LOOKS_MOST, LOOKS_MOST, TRIES_MOST, glance, verdict

QUIET: dict[str, Any] = {"looks": 0, "tries": 0, "failed": False, "waits_for_receipt": False, "under_way": False}


@pytest.mark.parametrize(
    ("what", "state", "waits"),
    [
        ({}, "done", False),
        ({"failed": True, "tries": 1}, "open", True),
        ({"failed": True, "tries": TRIES_MOST}, "stopped", False),
        ({"waits_for_receipt": True, "looks": 999}, "waiting", True),
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


@pytest.mark.parametrize(
    ("state", "calls", "looks", "expected"),
    [
        ("intended", 0, 0, "absent"),
        ("intended", 1, 999, "later"),
        ("unknown", 1, LOOKS_MOST - 1, "look"),
        ("unknown", 1, LOOKS_MOST, "later"),
        ("pending", 1, FAILED_LOOKS_MOST - 1, "look"),
        ("pending", 1, FAILED_LOOKS_MOST, "later"),
        ("succeeded", 1, 999, "look"),
        ("declined", 1, 999, "look"),
    ],
)
def test_p11_what_an_event_is_a_reason_for(state, calls, looks, expected):
    """What has no outcome is asked about so often, and then waited for: an event is never let go before that."""
    receipt = Receipt(
        key="k", kind="effect", function="f", workflow="w", state=state, fingerprint="f", request="{}", revision=1,
        created_at_ms=1, calls=calls,
    )  # fmt: skip
    assert glance(receipt, looks) == expected
