"""P10: each query that a page shows runs on the record that it is for."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import psycopg

from recordfirst.conformance.record import opened, run
from recordfirst.records.sqlite import SqliteRecord

DOCS = Path(__file__).parents[1] / "docs"


def queries() -> Iterator[str]:
    for page in sorted(DOCS.rglob("*.md")):
        for block in re.findall(r"^```sql\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL):
            yield from (each for each in block.split(";") if each.strip().startswith("SELECT"))


def test_those_for_postgres_run(postgres_dsn: str) -> None:
    """They name the schema."""
    own = [query for query in queries() if "recordfirst_" not in query]
    assert len(own) >= 7
    with psycopg.connect(postgres_dsn) as connection:
        for query in own:
            connection.execute(query.encode())


async def migrated(path: Path) -> None:
    async with opened(lambda: SqliteRecord(path)):
        pass


def test_those_for_sqlite_run(sqlite_path: Path) -> None:
    """They name the table."""
    own = [query for query in queries() if "recordfirst_" in query]
    assert own
    run(migrated(sqlite_path))
    with contextlib.closing(sqlite3.connect(sqlite_path)) as connection:
        for query in own:
            connection.execute(query)
