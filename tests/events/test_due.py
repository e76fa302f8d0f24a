"""P9: no worker takes up more events at once than it says, or those at the end outlive their claim."""

from __future__ import annotations

import contextlib
import sqlite3

import psycopg

from recordfirst.events.store import EventStore
from tests.starts.harness import Shop

_POSTGRES = """INSERT INTO recordfirst.event (app, hash, provider, id, type, names, state, received_at, next_at)
SELECT 'shop', 'h' || n, 'bank', 'e' || n, 't', '{}', 'open', clock_timestamp(), clock_timestamp() - interval '1 s'
FROM generate_series(%s::int, %s::int) AS n"""
_SQLITE = """WITH RECURSIVE n (n) AS (SELECT :first UNION ALL SELECT n + 1 FROM n WHERE n < :last)
INSERT INTO recordfirst_event (app, hash, provider, id, type, names, state, received_at_ms, next_at_ms)
SELECT 'shop', 'h' || n, 'bank', 'e' || n, 't', '{}', 'open', 0, 0 FROM n"""


def came(url: str, first: int, last: int, *, analyze: bool = False) -> None:
    """Events of these numbers have come, and are due."""
    if url.startswith("postgresql"):
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("ALTER TABLE recordfirst.event SET (autovacuum_enabled = false)")
            connection.execute(_POSTGRES, (first, last))
            if analyze:
                connection.execute("ANALYZE recordfirst.event")
        return
    with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as connection:
        connection.execute(_SQLITE, {"first": first, "last": last})


async def test_as_many_as_are_asked_for(shop: Shop) -> None:
    """Also when the table has grown since the server looked at it, so that its plan is one for a few rows."""
    async with shop.app() as app:
        store, seen = EventStore(app.runtime.record, app.runtime.sealing), list[str]()
        came(shop.url, 1, 1, analyze=True)
        came(shop.url, 2, 41)
        while True:
            async with app.runtime.record.transaction() as tx:
                events = await store.due(tx, claim_ms=60_000, limit=4)
            if not events:
                break
            assert len(events) <= 4
            seen += [str(event.id) for event in events]
        assert sorted(seen) == sorted(f"e{n}" for n in range(1, 42))
