"""A step that waits for a table blocks every session behind it, so it waits briefly, lets them pass, and tries again.

Nothing is left half done: each step is one transaction. A session that does not let go is named, for an operator.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from recordfirst.errors import MigrationBlocked
from recordfirst.process.seams import Sleeper
from recordfirst.records.contract import Migration

LOCK_TIMEOUT_S = 3.0
"""How long a step waits for a table, and all other sessions for the step."""
PAUSES_S = (1.0, 2.0, 4.0, 8.0)
"""Between two tries: for those who have queued up. With five tries that comes to half a minute."""
_LOOK_AFTER_S = 0.5
"""A step that has taken longer may wait for another session: only while it waits can the server say for which."""


async def in_turn[T](
    step: Migration,
    where: str,
    attempt: Callable[[], Awaitable[T]],
    blockers: Callable[[], Awaitable[Sequence[str]]],
    is_blocked: Callable[[Exception], bool],
    tell: Callable[[str], None],
    sleeper: Sleeper,
) -> T:
    """Run ``attempt``, again if somebody else holds what it needs; at last raise ``MigrationBlocked``, naming them."""
    held_by: list[str] = []
    for pause_s in (*PAUSES_S, None):
        looking = asyncio.create_task(_look(blockers, held_by, sleeper))
        try:
            return await attempt()
        except Exception as error:
            if not is_blocked(error):
                raise
            holders = "; ".join(held_by) or "a session that has ended by now"
            if pause_s is None:
                raise MigrationBlocked(where, f"{step.version} ({step.name})", holders) from error
            tell(f"step {step.version} ({step.name}) waits for {holders}; trying again in {pause_s:g} s")
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
        await sleeper(pause_s)
    raise AssertionError("unreachable")


async def _look(blockers: Callable[[], Awaitable[Sequence[str]]], held_by: list[str], sleeper: Sleeper) -> None:
    """Keep the latest answer that names anybody, for as long as the step waits."""
    while True:
        await sleeper(_LOOK_AFTER_S)
        held_by[:] = await blockers() or held_by


def name_of(
    pid: int | None, application: str, user: str | None, address: str | None, state: str | None, since_s: int | None
) -> str:
    """A session, as an operator finds it. What it runs is not said: that may hold anything."""
    if not pid:
        return "a prepared transaction (see pg_prepared_xacts)"
    what = [
        f"{application!r}" if application else "",
        f"user {user}" if user else "",
        f"from {address}" if address else "",
    ]
    what += [state or "", f"its transaction {since_s:,} s old" if since_s is not None else ""]
    return f"session {pid} ({', '.join(each for each in what if each)})"
