"""An open app, record or client belongs to one process and one event loop, and says so to everyone else at once.

A connection that two processes share delivers the answers of one to the other, and a future of another loop is never
woken. So each coroutine asks first: one comparison of the process and one of the loop, about 0.1 us.

A forked child inherits the descriptors, and would do harm by merely ending: a ``Terminate`` on the parent's session, or
a lease that outlives its worker because the child still holds the lock. So in a child they are replaced by
``/dev/null`` before any other line runs there. The parent's are untouched.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from typing import Protocol
from weakref import WeakSet

from recordfirst.errors import Misuse

type _Who = tuple[int, asyncio.AbstractEventLoop]


class Owned:
    """Something that one process and one event loop have open at a time; after a clean close, others may."""

    def __init__(self, what: str) -> None:
        """``what``: how an error names it."""
        self._what = what
        self._by: dict[None, _Who] = {}

    def take(self) -> bool:
        """Take it for this process and loop. Whether it was free.

        Raises:
            Misuse: if another process, loop or thread has it.
        """
        us = os.getpid(), asyncio.get_running_loop()
        who = self._by.setdefault(None, us)  # atomic: of two threads one is first
        if who is not us:
            self._compare(who)
        return who is us

    def check(self) -> None:
        """Raise ``Misuse`` if another process, loop or thread has it. What is not open is refused elsewhere."""
        who = self._by.get(None)
        if who is not None:
            self._compare(who)

    def give_back(self) -> None:
        """It is closed."""
        self._by.pop(None, None)

    @property
    def is_inherited(self) -> bool:
        """Whether this process was forked from the one that has it open: then nothing here is ours to close."""
        who = self._by.get(None)
        return who is not None and who[0] != os.getpid()

    @property
    def is_left_over(self) -> bool:
        """Whether its event loop has ended without closing it."""
        who = self._by.get(None)
        return who is not None and who[1].is_closed()

    def _compare(self, who: _Who) -> None:
        pid, loop = who
        if os.getpid() != pid:
            raise Misuse(
                f"{self._what} was opened in process {pid}, and this is process {os.getpid()}, forked from it: fork "
                "first, and make and open one in each process; nothing was done"
            )
        try:
            here: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            here = None
        if here is loop:
            return
        if loop.is_closed():
            raise Misuse(
                f"{self._what} was opened in an event loop that ended without closing it: use `async with`, or close "
                "it, before the loop ends, or make a new one; nothing was done"
            )
        raise Misuse(
            f"{self._what} is open in another event loop, which alone can use it: keep one loop, in a thread of its "
            "own if your code is sync, and call it by asyncio.run_coroutine_threadsafe(...); nothing was done"
        )


class Descriptor(Protocol):
    """Something with a file descriptor."""

    def fileno(self) -> int:
        """The descriptor. Raises if it is closed."""


_kept_from_children: WeakSet[Descriptor] = WeakSet()


def keep_from_children(open: Descriptor) -> None:
    """Let no process that is forked from this one use, end or keep open what this descriptor stands for."""
    _kept_from_children.add(open)


def _let_go() -> None:
    """In a child: what it inherited leads nowhere."""
    inherited = list(_kept_from_children)
    if not inherited:
        return
    nowhere = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for each in inherited:
        with contextlib.suppress(Exception):  # it is closed
            os.dup2(nowhere, each.fileno(), inheritable=False)
    os.close(nowhere)


if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
    os.register_at_fork(after_in_child=_let_go)
