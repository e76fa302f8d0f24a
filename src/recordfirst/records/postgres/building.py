"""Indexes that are built beside the work: nobody who writes waits for them. No transaction can, so a step finds them.

Interrupted, it leaves an index that nobody can use, and that stands in the way of a whole one: the next one drops it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recordfirst.process.seams import Sleeper
from recordfirst.records.contract import Session

_AGAIN_S = 0.2
"""Between two looks whether another process has built them."""


async def build(indexes: Mapping[str, str], place: str, lock: int, session: Session[Any], sleeper: Sleeper) -> None:
    """Build those that are missing, by what makes each, one process at a time."""
    # Not waited for in the server: who builds waits for all statements under way, also for one that waits.
    while not (await session.run(f"SELECT pg_try_advisory_lock({lock})"))[0][0]:
        await sleeper(_AGAIN_S)
    try:
        for name in await session.missing_indexes(sorted(indexes)):
            await session.run(f"DROP INDEX CONCURRENTLY IF EXISTS {place}{name}")
            await session.run(indexes[name].replace(" INDEX ", " INDEX CONCURRENTLY ", 1))
    finally:
        await session.run(f"SELECT pg_advisory_unlock({lock})")
