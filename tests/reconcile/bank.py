"""A bank that honours no keys: each call is a charge. Its books are a file of their own, which nobody restores."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path


class Books:
    """The file."""

    def __init__(self, path: Path | str) -> None:
        self.path = str(path)
        with closing(self._open()) as file:
            file.execute("CREATE TABLE IF NOT EXISTS charges (marker TEXT NOT NULL)")

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, autocommit=True, timeout=30)

    def charge(self, marker: str) -> None:
        with closing(self._open()) as file:
            file.execute("INSERT INTO charges VALUES (?)", [marker])

    def has(self, marker: str) -> bool:
        with closing(self._open()) as file:
            return file.execute("SELECT 1 FROM charges WHERE marker = ?", [marker]).fetchone() is not None

    def counts(self) -> dict[str, int]:
        """How often each was charged."""
        with closing(self._open()) as file:
            return dict(file.execute("SELECT marker, count(*) FROM charges GROUP BY marker").fetchall())
