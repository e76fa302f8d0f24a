"""Apps on one record, with the tables that the tests write to."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import AsyncIterator, Mapping
from typing import Any

from recordfirst import App
from recordfirst.records.contract import Record
from recordfirst.records.open import record_from_url
from tests.engines import engine_for

TABLES = ["orders (id TEXT PRIMARY KEY, amount INTEGER NOT NULL)", "visits (who TEXT NOT NULL)"]


class Shop:
    """Makes apps on one record, and looks at its rows from outside them."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.events: list[Any] = []
        """What the apps' observers were told."""

    @contextlib.asynccontextmanager
    async def app(
        self,
        *workflows: Any,
        record: Record[Any] | None = None,
        provide: Mapping[Any, Any] | None = None,
        **options: Any,
    ) -> AsyncIterator[App]:
        """An app, open, whose record has all tables."""
        await migrated(self.url)
        store = record or record_from_url(self.url)
        options = {"observer": self.events.append, "engine": engine_for(self.url)} | options
        app = App("shop", record=store, workflows=workflows, **options)
        for key, value in (provide or {}).items():
            if inspect.isfunction(value):
                app.provide_factory(key, value)
            else:
                app.provide(value, as_=key)
        async with app:
            yield app

    @contextlib.asynccontextmanager
    async def working(self, *workflows: Any, **options: Any) -> AsyncIterator[App]:
        """An app with a worker that works."""
        # A loop that blocks is shown by the test's own time-out; the watchdog would end the process, and hide where.
        async with self.app(*workflows, **options) as app, app.worker(blocked_s=None) as worker:
            await worker.working.wait()
            yield app

    async def rows(self, app: App, query: str) -> list[tuple[Any, ...]]:
        """What a query finds."""
        async with app.record.read() as connection:
            return [tuple(row) for row in await (await connection.execute(query)).fetchall()]

    def seen(self, kind: type) -> list[Any]:
        """The events of one kind."""
        return [event for event in self.events if isinstance(event, kind)]


async def migrated(url: str) -> None:
    """Make all tables."""
    store = record_from_url(url)
    await store.open("shop")
    try:
        await store.migrate()
        async with store.transaction() as tx:
            for table in TABLES:
                await tx.connection.execute(f"CREATE TABLE IF NOT EXISTS {table}")
    finally:
        await store.close()
