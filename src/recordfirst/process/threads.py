"""The threads that sync functions run in. When all are busy, the next function waits, and that is said."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from recordfirst.observe import Observer, ThreadsBusy

_MOST = 64
"""Sync functions that can run at once."""
_LONG_S = 1.0
"""After how long an event tells of a function that waits for a thread."""
_AGAIN_S = 10.0
"""Between two events."""


class Threads(ThreadPoolExecutor):
    """An app's threads."""

    def __init__(self, app: str, observe: Callable[[], Observer], most: int = _MOST) -> None:
        super().__init__(most, thread_name_prefix=f"recordfirst-{app}")
        self.pid = os.getpid()
        """In a process that was forked from that one, no thread is left."""
        self._app, self._observe, self._most = app, observe, most
        self._looks = False
        self._told_s = float("-inf")

    def submit[**P, T](self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        future = super().submit(fn, *args, **kwargs)
        if not self._looks and len(self._threads) >= self._most and self._work_queue.qsize():
            self._looks = True
            asyncio.get_running_loop().call_later(_LONG_S, self._look)
        return future

    def _look(self) -> None:
        self._looks = False
        waiting: Any = self._work_queue.qsize()
        now_s = asyncio.get_running_loop().time()
        if waiting and now_s - self._told_s >= _AGAIN_S:
            self._told_s = now_s
            self._observe()(ThreadsBusy(self._app, self._most, waiting))
