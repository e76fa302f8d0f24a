"""A blocking view of an async connection, for sync functions that run in a thread.

``w.tx.execute(...)`` in the thread runs on the event loop that owns the connection, inside the same transaction. What
the driver awaits blocks the thread; what it enters with ``async with``, or iterates with ``async for``, is entered and
iterated without ``async``; an attribute that is set is set on the driver's own object.

It is the function's thread that may use it, for as long as the function is waited for: a thread cannot be stopped, and
what it asks for later would be part of whatever transaction the connection is used for by then.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

from recordfirst.errors import Misuse

_ASYNC = ("__aenter__", "__aiter__", "__anext__")
_END = object()


class LentToOneThread:
    """Which thread may use a connection, and whether it still may."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._thread: int | None = None
        self._is_over = False
        self._running: set[asyncio.Task[Any]] = set()

    def take(self) -> None:
        """Say that it is this thread that uses it."""
        self._thread = threading.get_ident()

    def give_back(self) -> None:
        """Let it, and whatever came of it, be used no more; stop what is on its way. On the event loop."""
        self._is_over = True
        for task in self._running:
            task.cancel()

    def check(self, name: str) -> None:
        """Raise if this thread may not use it, or may no longer."""
        if self._is_over:
            raise Misuse(f"the transaction has ended: {name} would be part of another one")
        if threading.get_ident() != self._thread:
            raise Misuse(
                f"{name} was used outside the thread of its function: the connection of a sync function belongs to "
                "that thread; pass what you read to other threads, or make the function async"
            )

    def run(self, name: str, do: Callable[[], Any]) -> Any:
        """Do it on the event loop, and wait for what it returns."""
        self.check(name)

        async def on_loop() -> Any:
            if self._is_over:
                raise Misuse(f"the transaction has ended: {name} would be part of another one")
            task = asyncio.current_task()
            assert task is not None
            self._running.add(task)
            try:
                result = do()
                return await result if inspect.isawaitable(result) else result
            finally:
                self._running.discard(task)

        try:
            return asyncio.run_coroutine_threadsafe(on_loop(), self._loop).result()
        except concurrent.futures.CancelledError:
            raise Misuse(f"{name} was given up, together with its function") from None


class Blocking:
    """An object of the driver's, for a thread: see the module."""

    _target: Any
    _loop: asyncio.AbstractEventLoop
    _lent: LentToOneThread

    def __init__(self, target: Any, loop: asyncio.AbstractEventLoop, lent: LentToOneThread | None = None) -> None:
        vars(self).update(_target=target, _loop=loop, _lent=LentToOneThread(loop) if lent is None else lent)

    def __repr__(self) -> str:
        return f"<blocking view of {self._target!r}>"

    def __getattr__(self, name: str) -> Any:
        self._lent.check(name)
        value = getattr(self._target, name)
        # Its methods alone: a class or a function may be a value, such as a row factory.
        if getattr(value, "__self__", None) is not self._target:
            return self._seen(value)
        return lambda *args, **kwargs: self._run(f"{name}()", lambda: value(*args, **kwargs))

    def __setattr__(self, name: str, value: Any) -> None:
        self._run(name, lambda: setattr(self._target, name, value))

    def __enter__(self) -> Any:
        return self._run("__enter__", lambda: self._target.__aenter__())  # noqa: PLW0108 - not before the check

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Any:
        for name, value in vars(error).items() if error is not None else ():
            if isinstance(value, Blocking):  # such as the transaction that psycopg.Rollback names
                setattr(error, name, value._target)  # noqa: SLF001
        return self._run("__exit__", lambda: self._target.__aexit__(kind, error, trace))

    def __iter__(self) -> Iterator[Any]:
        return self._run("__iter__", lambda: self._target.__aiter__())  # type: ignore[no-any-return]  # noqa: PLW0108 - as above

    def __next__(self) -> Any:
        value = self._run("__next__", lambda: anext(self._target, _END))
        if value is _END:
            raise StopIteration
        return value

    def _run(self, name: str, do: Callable[[], Any]) -> Any:
        return self._seen(self._lent.run(name, do))

    def _seen(self, value: Any) -> Any:
        """As the thread sees it: what can only be used on the event loop, through a view of its own."""
        if value is self._target:
            return self
        is_async = any(hasattr(type(value), name) for name in _ASYNC)
        return Blocking(value, self._loop, self._lent) if is_async else value


def lent_with(first: Any) -> LentToOneThread | None:
    """How the connection of a step's first argument is lent, if that is one for a sync function."""
    tx = getattr(first, "tx", None)
    return tx._lent if isinstance(tx, Blocking) else None  # noqa: SLF001 - of this module
