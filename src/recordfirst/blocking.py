"""A blocking view of an async connection, for sync write functions that run in a thread.

``w.tx.execute(...)`` in a thread runs on the event loop that owns the connection, inside the same transaction, and
only there: a thread cannot be stopped, and what it asks for after its function was given up would be part of whatever
transaction the connection is lent to by then.
"""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

from recordfirst.errors import Misuse


class Lent:
    """Whether a connection is still its borrower's."""

    over = False


class Blocking:
    """Wraps an object so that its async methods block the calling thread until the event loop has run them."""

    def __init__(self, target: Any, loop: asyncio.AbstractEventLoop, lent: Lent | None = None) -> None:
        self._target, self._loop = target, loop
        self._lent = Lent() if lent is None else lent

    def give_back(self) -> None:
        """Let it, and whatever came of it, be used no more. On the event loop."""
        self._lent.over = True

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._target, name)
        if not callable(value):
            return value

        def call(*args: Any, **kwargs: Any) -> Any:
            async def on_loop() -> Any:
                if self._lent.over:
                    raise Misuse(f"the transaction has ended: {name}() would be part of another one")
                result = value(*args, **kwargs)
                return await result if inspect.isawaitable(result) else result

            result = asyncio.run_coroutine_threadsafe(on_loop(), self._loop).result()
            # A cursor comes back async too; rows and numbers do not.
            return Blocking(result, self._loop, self._lent) if hasattr(result, "fetchall") else result

        return call
