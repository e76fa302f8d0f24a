"""The demo's engine: embedded in a worker, or shared by all workers."""

from __future__ import annotations

import asyncio
from pathlib import Path

from recordfirst.errors import Misuse

IN_THE_RECORD = "resonate-pg"


async def engine_for(given: str | None, resonate_sql: str | None, record_url: str) -> str | None:
    """Return the value for ``App(engine=...)``; if ``resonate_sql`` is given, apply it to the record's database.

    Raises:
        Misuse: if the options contradict each other.
    """
    if resonate_sql is not None and given != IN_THE_RECORD:
        raise Misuse(f"--resonate-sql is for --engine {IN_THE_RECORD}")
    if given != IN_THE_RECORD:
        return given
    if not record_url.startswith(("postgresql://", "postgres://")):
        raise Misuse(f"--engine {IN_THE_RECORD} needs a record in Postgres, such as --record postgres")
    if resonate_sql is not None:
        await asyncio.to_thread(_apply, Path(resonate_sql), record_url)
    return record_url


def _apply(file: Path, url: str) -> None:
    import psycopg  # noqa: PLC0415 - an extra

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(file.read_bytes())
