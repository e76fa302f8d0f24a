"""A blocking view of an async connection, for sync write functions that run in a thread.

``w.tx.execute(...)`` in a thread runs on the event loop that owns the connection, inside the same transaction.
"""

from __future__ import annotations

import asyncio
import inspect
from typing import Any


class Blocking:
    """Wraps an object so that its async methods block the calling thread until the event loop has run them."""

    def __init__(self, target: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._target, self._loop = target, loop

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._target, name)
        if not callable(value):
            return value

        def call(*args: Any, **kwargs: Any) -> Any:
            async def on_loop() -> Any:
                result = value(*args, **kwargs)
                return await result if inspect.isawaitable(result) else result

            result = asyncio.run_coroutine_threadsafe(on_loop(), self._loop).result()
            # A cursor comes back async too; rows and numbers do not.
            return Blocking(result, self._loop) if hasattr(result, "fetchall") else result

        return call
