"""A final outcome on its way into the record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from recordfirst.core import decide
from recordfirst.core.receipt import Change, Receipt


class Outcome(NamedTuple):
    """What a call finally came to."""

    state: Literal["succeeded", "declined"]
    text: str
    """JSON: the result, or the decline's reason and code."""
    value: Any
    """What ``on_success`` or ``on_decline`` gets."""


def after_outcome(receipt: Receipt, outcome: Outcome, seal: Callable[[str], str], *, doubts: int = 0) -> Change:
    """What the receipt becomes. ``doubts``: calls that may have had the effect besides the one that succeeded."""
    if outcome.state == "declined":
        return decide.declined(receipt, outcome.text)
    return decide.succeeded(receipt, seal(outcome.text), doubts=doubts)
