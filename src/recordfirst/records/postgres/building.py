"""Indexes that are built beside the work: nobody who writes waits for them. No transaction can do that: a step finds them.

Interrupted, it leaves an index that nobody can use and that stands in the way of a whole one: whoever comes next drops it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

_AGAIN_S = 0.2
"""Between two looks whether another process has built them."""


async def build(
    indexes: Mapping[str, str],
    schema: str,
    lock: int,
    ask: Callable[[str], Awaitable[Sequence[Sequence[Any]]]],
    missing: Callable[[Sequence[str]], Awaitable[list[str]]],
) -> None:
    """Build those that are missing, by what makes each, one process at a time."""
    # The lock is not waited for in the server: who builds waits for every statement under way, and so for one that waits.
    while not (await ask(f"SELECT pg_try_advisory_lock({lock})"))[0][0]:
        await asyncio.sleep(_AGAIN_S)
    try:
        for name in await missing(sorted(indexes)):
            await ask(f"DROP INDEX CONCURRENTLY IF EXISTS {schema}.{name}")
            await ask(indexes[name].replace(" INDEX ", " INDEX CONCURRENTLY ", 1))
    finally:
        await ask(f"SELECT pg_advisory_unlock({lock})")
