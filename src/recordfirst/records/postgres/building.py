"""Builds indexes beside the work, before the step that needs them: no writer waits, and no transaction can do this.

If a build is interrupted, it leaves an unusable index, which blocks a complete one: the next build drops it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from recordfirst.process.seams import Sleeper
from recordfirst.records.contract import Session

_AGAIN_S = 0.2
"""Between two looks whether another process has built them."""


async def build(indexes: Mapping[str, str], place: str, lock: int, session: Session[Any], sleeper: Sleeper) -> None:
    """Build the missing indexes with their statements, one process at a time."""
    # Not waited for in the server: who builds waits for all statements under way, also for one that waits.
    while not (await session.run(f"SELECT pg_try_advisory_lock({lock})"))[0][0]:
        await sleeper(_AGAIN_S)
    try:
        for name in await session.missing_indexes(sorted(indexes)):
            await session.run(f"DROP INDEX CONCURRENTLY IF EXISTS {place}{name}")
            await session.run(indexes[name].replace(" INDEX ", " INDEX CONCURRENTLY ", 1))
    finally:
        await session.run(f"SELECT pg_advisory_unlock({lock})")
