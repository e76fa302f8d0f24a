"""Which tasks were offered to the worker and not acquired: a limited number, and none twice within a minute."""

from __future__ import annotations

from collections.abc import Iterable

from resonate.timing import Clock

_MOST = 1_000
"""The others wait in the file, where a message to come costs no memory."""
_LOST_MS = 60_000
"""After this time a task may be delivered again: the worker has forgotten it, or has very much to do."""


class Delivery:
    """The bounded queue between engine and worker. What it leaves out stays pending, and comes again."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since: dict[str, int] = {}
        self._left_out = False

    def admits(self, id: str) -> bool:
        """Whether to deliver this task now; if so, it counts as delivered."""
        now = self._clock()
        since = self._since.get(id)
        if since is not None and abs(now - since) < _LOST_MS:
            return False
        if since is None and len(self._since) >= _MOST:
            self._left_out = True
            return False
        self._since[id] = now
        return True

    def acquired(self, ids: Iterable[str]) -> None:
        """These tasks are no longer pending."""
        for id in ids:
            self._since.pop(id, None)

    def has_room_again(self) -> bool:
        """Whether something was left out for which there is room now; says so once."""
        if self._left_out and len(self._since) <= _MOST // 2:
            self._left_out = False
            return True
        return False
