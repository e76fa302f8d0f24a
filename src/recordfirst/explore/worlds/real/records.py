"""The record of a real world: a database on a real Postgres (``on_postgres.py``), or an SQLite file.

There is no proxy between a worker and a file, so on SQLite faults strike only at providers and at a Resonate Server. A
lease is a lock of the kernel there, so it cannot be taken from a process that stalls.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import msgspec

from recordfirst.errors import Misuse
from recordfirst.explore.case import Case
from recordfirst.explore.runs.observed import Observed
from recordfirst.explore.worlds.looking import Looker
from recordfirst.explore.worlds.real.proxies.postgres import PostgresProxy
from recordfirst.explore.worlds.real.proxies.side import Side
from recordfirst.records.contract import Record
from recordfirst.records.sqlite import SqliteRecord
from recordfirst.testing.outside import Asked

RECEIPTS = "SELECT key, attempt, reissue, function, workflow, request FROM {} WHERE kind = 'effect'"
WRITTEN = "SELECT 1 FROM {} WHERE key = {} AND kind = 'write' AND state = 'succeeded'"


class Given(msgspec.Struct, frozen=True):
    """The part of an effect's receipt that identifies its calls."""

    key: str
    attempt: int
    reissue: int
    function: str
    workflow: str
    request: str


class WorldsRecord(Protocol):
    """A record, seen from outside."""

    cannot: frozenset[str]
    """The faults and changes that are not tried on it."""

    @property
    def connection(self) -> Any:
        """A connection that only reads."""

    def make(self) -> Record[Any]:
        """Return the app's record, without tables."""

    def prepared(self) -> None:
        """Remember the content of its tables: each schedule begins with it."""

    def begin_anew(self) -> None:
        """Restore that content. No worker runs meanwhile."""

    def look(self, applied: Callable[[], list[Asked]]) -> Observed:
        """Read everything, at one moment."""

    def receipts(self) -> list[Given]:
        """The receipts of effects."""

    def is_written(self, key: str) -> bool:
        """Whether a write has its receipt."""

    def proxy(self, side: Side) -> PostgresProxy | None:
        """The proxy between it and a worker, not yet open."""

    def url(self, proxy: PostgresProxy | None) -> str:
        """The URL by which a worker reaches it."""

    def lose_engine(self) -> None:
        """Delete all data of an engine in it."""

    def close(self) -> None:
        """Close the connection that reads."""


class OnSqlite:
    """A file in a directory of the world."""

    cannot = frozenset({"stall", "contend"})

    def __init__(self, case: Case, home: Path) -> None:
        self._case = case
        self._file, self._kept = home / "record.db", home / "record.kept"
        self._looker = Looker(case.ignore)
        self._looking: sqlite3.Connection | None = None

    @property
    def connection(self) -> sqlite3.Connection:
        if self._looking is None:
            self._looking = sqlite3.connect(self._file, timeout=30, isolation_level=None)
        return self._looking

    def make(self) -> Record[Any]:
        return SqliteRecord(self._file)

    def prepared(self) -> None:
        try:
            self.connection.executescript(self._case.tables)
        except sqlite3.Error as error:
            raise no_tables(error) from error
        self.close()  # then all data is in one file
        shutil.copyfile(self._file, self._kept)

    def begin_anew(self) -> None:
        self.close()
        for file in self._file.parent.glob(f"{self._file.name}*"):
            file.unlink()
        shutil.copyfile(self._kept, self._file)

    def look(self, applied: Callable[[], list[Asked]]) -> Observed:
        self.connection.execute("BEGIN")
        try:
            return self._looker.look(self.connection, applied)
        finally:
            self.connection.execute("COMMIT")

    def receipts(self) -> list[Given]:
        return [Given(*row) for row in self.connection.execute(RECEIPTS.format("recordfirst_receipt"))]

    def is_written(self, key: str) -> bool:
        query = WRITTEN.format("recordfirst_receipt", "?")
        return self.connection.execute(query, [key]).fetchone() is not None

    def proxy(self, side: Side) -> PostgresProxy | None:
        del side
        return None

    def url(self, proxy: PostgresProxy | None) -> str:
        del proxy
        return f"sqlite:///{self._file}"

    def lose_engine(self) -> None:
        """Do nothing: it contains no engine."""

    def close(self) -> None:
        if self._looking is not None:
            self._looking.close()
            self._looking = None


def no_tables(error: Exception) -> Misuse:
    """The error of a case whose tables cannot be created."""
    return Misuse(f"tables= of the case cannot be created: {error}")
