"""A carrier that honours no keys: each call ships. Its books are a file of their own, which nobody restores."""

from __future__ import annotations

import sqlite3
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

    def counts(self) -> dict[str, int]:
        """How often each was made."""
        with closing(self._open()) as file:
            return dict(file.execute("SELECT marker, count(*) FROM calls GROUP BY marker").fetchall())
