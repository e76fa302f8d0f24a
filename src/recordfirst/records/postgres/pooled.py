"""Whether a pooler between us lends a session of the server for a transaction alone: nothing of a session is ours then.

A lock of the session would stay with the next one who is lent it, and a lease be held by nobody, or by two. So would
what LISTEN asks for, and prepared statements. What is found here is certain: two connections that are open side by side
never have one session, and one connection never has two. What is not found may be there all the same, if others take
the sessions in between; so it is looked at several times.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

type ServerSession = tuple[int, object]
"""A session of the server: its number, and since when."""

_ROUNDS = 8
LOOK_S = 2.0
"""For all rounds: a pooler in session mode that has nothing to spare lets the second connection wait."""


async def by_transaction(
    one: Callable[[], Awaitable[ServerSession]], other: Callable[[], Awaitable[ServerSession]]
) -> bool:
    """Ask on two open connections by turns, outside any transaction, which session answers."""
    before = await one()
    for _ in range(_ROUNDS):
        beside, now = await other(), await one()
        if beside in (before, now) or now != before:
            return True
    return False


async def within[T](seconds: float, asking: Coroutine[Any, Any, T], sockets: Sequence[int]) -> T:
    """Wait this time, and then end the connections: to cancel a statement would be another request that has to wait."""
    task = asyncio.ensure_future(asking)
    try:
        await asyncio.wait({task}, timeout=seconds)
        if not task.done():
            for number in sockets:
                with socket.socket(fileno=os.dup(number)) as line, contextlib.suppress(OSError):
                    line.shutdown(socket.SHUT_RDWR)
        return await task
    finally:
        task.cancel()


def refusal(where: str) -> str:
    """For an operator."""
    return (
        f"between us and {where} is a pooler that pools by transaction, or by statement: leases, notifications and "
        "prepared statements need a session; connect to the server itself, or let the pooler pool by session "
        "(PgBouncer: pool_mode=session)"
    )
