"""Turns on a connection, which does one thing at a time: a statement, or a transaction."""

from __future__ import annotations

import asyncio
from typing import Any

from recordfirst.errors import Misuse


class ConnectionLock:
    """Whose turn it is on a connection. To wait for oneself is an error at once, and not a wait for ever."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._lock = asyncio.Lock()
        self._owner: asyncio.Task[Any] | None = None

    def check(self) -> None:
        """Raise if it is this task's turn already."""
        if self._owner is not None and self._owner is asyncio.current_task():
            raise Misuse(
                f"inside a transaction on {self._where} another one was asked for, which would wait for the first; "
                "use the one that is open"
            )

    async def __aenter__(self) -> None:
        self.check()
        await self._lock.acquire()
        self._owner = asyncio.current_task()

    async def __aexit__(self, *_: object) -> None:
        self._owner = None
        self._lock.release()
