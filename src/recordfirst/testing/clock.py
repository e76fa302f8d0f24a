"""A clock that a test can move forward. Between moves it runs like the machine's clock, and never backwards."""

from __future__ import annotations

import time
from collections.abc import Callable


class SimClock:
    """Milliseconds since 1970: the machine's clock, plus what :meth:`advance` has added.

    ``monotonic_ms`` makes it run. If time must stand in a test, pass ``lambda: 0``.
    """

    def __init__(self, start_ms: int | None = None, monotonic_ms: Callable[[], int] | None = None) -> None:
        self._monotonic_ms = monotonic_ms or _monotonic_ms
        first_ms = time.time_ns() // 1_000_000 if start_ms is None else start_ms
        self._offset_ms = first_ms - self._monotonic_ms()

    def now_ms(self) -> int:
        """Return the time, in milliseconds since 1970."""
        return self._offset_ms + self._monotonic_ms()

    def advance(self, seconds: float) -> int:
        """Move forward by ``seconds`` and return the new time, in milliseconds since 1970.

        Raises:
            ValueError: if ``seconds`` is negative.
        """
        if seconds < 0:
            raise ValueError(f"a clock cannot move backwards: {seconds} s")
        self._offset_ms += round(seconds * 1000)
        return self.now_ms()


def _monotonic_ms() -> int:
    return time.monotonic_ns() // 1_000_000
