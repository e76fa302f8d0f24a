"""How signals end a worker: after the first one running steps finish, and the second one ends the process at once.

The second one is a death like any other: the next worker recovers what was under way, and a call that was on its way is
settled by its key or its probe (P3). So a step that never ends needs no SIGKILL.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from types import FrameType
from typing import NoReturn

from recordfirst.client.app import App
from recordfirst.core.text import escaped

_NAMED = 10
"""So many workflows are named; a line that is too long tells nothing."""


class Stopping:
    """Whether a worker was told to stop. Of an event loop that a step blocks nothing is asked here."""

    def __init__(self, app: App, *, quiet: bool) -> None:
        self._app, self._quiet, self._loop = app, quiet, asyncio.get_running_loop()
        self._was_told = False
        self.told = asyncio.Event()
        # Not the loop's own handlers: they wait for their turn behind the very step that never ends.
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._hear)

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        if self._was_told:
            self._end(number)
        self._was_told = True
        if not self._quiet:
            _say(1, f"{self._app.name}: stopping")
            if self._app.look.under_way():
                _say(
                    1,
                    f"{self._app.name}: what runs comes to its next wait or end; a second Ctrl-C or SIGTERM ends it "
                    "at once, and the next worker recovers what was under way",
                )
        with contextlib.suppress(RuntimeError):  # the loop has ended already
            self._loop.call_soon_threadsafe(self.told.set)

    def _end(self, number: int) -> NoReturn:
        under_way = self._app.look.under_way()
        more = f" and {len(under_way) - _NAMED} more" if len(under_way) > _NAMED else ""
        names = ", ".join(under_way[:_NAMED]) + more
        left = f"under way were {names}: the next worker recovers them" if names else "nothing was under way"
        _say(2, f"recordfirst: {self._app.name}: ended at once; {left}")
        os._exit(128 + number)


def _say(fd: int, line: str) -> None:
    """Past Python's own buffers, which the signal may have met in the middle of a line."""
    with contextlib.suppress(OSError):
        os.write(fd, f"{escaped(line)}\n".encode(errors="backslashreplace"))
