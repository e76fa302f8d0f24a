"""What a real world's record is: a database on a real Postgres (``on_postgres.py``), or an SQLite file.

Nothing lies between a worker and a file, so on SQLite faults strike at providers and at a Resonate Server alone; and a
lease, being a lock of the kernel's, cannot be taken from a process that stalls.
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
    """What a receipt of an effect says of its calls."""

    key: str
    attempt: int
    reissue: int
    function: str
    workflow: str
    request: str


class WorldsRecord(Protocol):
    """A record, from outside."""

    cannot: frozenset[str]
    """What is not tried on it."""

    @property
    def connection(self) -> Any:
        """One that only looks."""

    def make(self) -> Record[Any]:
        """Return it as the app has it, without tables."""

    def prepared(self) -> None:
        """It has its tables: whatever is in them now is where each schedule begins."""

    def begin_anew(self) -> None:
        """Put it back to that; nobody works."""

    def look(self, applied: Callable[[], list[Asked]]) -> Observed:
        """See all of it, at one moment."""

    def receipts(self) -> list[Given]:
        """Those of effects."""

    def is_written(self, key: str) -> bool:
        """Whether a write has its receipt."""

    def proxy(self, side: Side) -> PostgresProxy | None:
        """What lies between it and a worker, not open."""

    def url(self, proxy: PostgresProxy | None) -> str:
        """How a worker reaches it."""

    def lose_engine(self) -> None:
        """Let an engine in it forget everything."""

    def close(self) -> None:
        """Look no more."""


class OnSqlite:
    """A file in a directory of the world's."""

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
        self.close()  # so that all of it is in the one file
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
        """It has none in it."""

    def close(self) -> None:
        if self._looking is not None:
            self._looking.close()
            self._looking = None


def no_tables(error: Exception) -> Misuse:
    """What is wrong with a case whose tables cannot be made."""
    return Misuse(f"tables= of the case cannot be made: {error}")
