"""recordfirst's tables in a record: their version, and the migrations that they lack."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any, Self

import msgspec

from recordfirst.errors import SchemaMismatch
from recordfirst.records.contract import Migration, Record


class SchemaVersion(msgspec.Struct, frozen=True, kw_only=True):
    """How far a record's tables are."""

    found: int
    """Their version; 0: there are none."""
    wanted: int
    """The version that this release works with."""
    missing: list[Migration]
    """What leads from the one to the other, in the order in which it must be run."""


class Schema:
    """The tables of one record: :attr:`App.schema`, or of a record without an app. Its app's rows are not looked at."""

    def __init__(self, record: Record[Any], app: str) -> None:
        self._record, self._app = record, app

    @property
    def where(self) -> str:
        """How an operator names the record: a URL without its password, or a path."""
        return self._record.where

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[Self]:
        """Connect to a record that is not open, whatever its tables, for as long as the block lasts.

        Raises:
            RecordUnavailable: if it cannot be reached.
        """
        await self._record.open(self._app)
        try:
            yield self
        finally:
            await self._record.close()

    async def version(self) -> SchemaVersion:
        """How far the tables are.

        Raises:
            SchemaMismatch: if a newer release has made them.
        """
        found = await self._record.schema_version()
        steps = self._record.migrations
        wanted = steps[-1].version
        if found > wanted:
            raise SchemaMismatch(self.where, found, wanted)
        missing = [step for step in steps if step.version > found]
        return SchemaVersion(found=found, wanted=wanted, missing=missing)

    async def check(self) -> None:
        """Raise ``SchemaMismatch`` unless the tables are the ones that this release works with."""
        version = await self.version()
        if version.missing:
            raise SchemaMismatch(self.where, version.found, version.wanted)

    async def migrate(self, tell: Callable[[str], None] = lambda _: None) -> list[Migration]:
        """Run what is missing, each step in a transaction of its own; return it. Safe to run twice, or by two at once.

        Args:
            tell: is told, in words for an operator, what it waits for.

        Raises:
            MigrationBlocked: if somebody else holds a table for too long. What was run before stays.
        """
        return await self._record.migrate(tell)
