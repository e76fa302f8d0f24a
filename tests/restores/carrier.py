"""A carrier that honours no keys: each call ships. Its books are a file of their own, which nobody restores."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path


class Books:
    """The file."""

    def __init__(self, path: Path | str) -> None:
        self.path = str(path)
        with closing(self._open()) as file:
            file.execute("PRAGMA journal_mode = WAL")
            file.execute("CREATE TABLE IF NOT EXISTS calls (marker TEXT NOT NULL)")
            file.execute("CREATE INDEX IF NOT EXISTS by_marker ON calls (marker)")
            file.execute("CREATE TABLE IF NOT EXISTS begun (at_ms INTEGER NOT NULL)")
            now = (time.time_ns() // 1_000_000,)
            file.execute("INSERT INTO begun SELECT ? WHERE NOT EXISTS (SELECT 1 FROM begun)", now)

    def _open(self) -> sqlite3.Connection:
        file = sqlite3.connect(self.path, autocommit=True, timeout=30)
        file.execute("PRAGMA synchronous = OFF")  # processes are killed here, machines are not
        return file

    def write(self, marker: str) -> None:
        """A call."""
        with closing(self._open()) as file:
            file.execute("INSERT INTO calls VALUES (?)", [marker])

    def has(self, marker: str) -> bool:
        """Whether there was such a call."""
        with closing(self._open()) as file:
            return file.execute("SELECT 1 FROM calls WHERE marker = ?", [marker]).fetchone() is not None

    def since_ms(self) -> int:
        """When the first was asked for."""
        with closing(self._open()) as file:
            return int(file.execute("SELECT at_ms FROM begun").fetchone()[0])

    def counts(self) -> dict[str, int]:
        """How often each was made."""
        with closing(self._open()) as file:
            return dict(file.execute("SELECT marker, count(*) FROM calls GROUP BY marker").fetchall())
