"""P8: the log says where a defect was raised, never what its message quotes."""

from __future__ import annotations

import pytest

from recordfirst.errors import Misuse
from recordfirst.observe import log_place


def test_the_place_is_logged_without_the_message(caplog: pytest.LogCaptureFixture) -> None:
    card = "4242"
    try:
        raise LookupError(card)
    except LookupError as error:
        log_place("workflow '1' is stopped by a defect", error)
    [line] = caplog.messages
    assert line.startswith("workflow '1' is stopped by a defect, raised here:\n")
    assert "raise LookupError(card)" in line
    assert card not in line


def test_what_was_never_raised_has_its_class_logged(caplog: pytest.LogCaptureFixture) -> None:
    """It said *raised here*, and nothing behind it."""
    log_place("workflow '1' is stopped by a defect", Misuse("card 4242"))
    [line] = caplog.messages
    assert line.startswith("workflow '1' is stopped by a defect: ")
    assert line.endswith(".Misuse")
