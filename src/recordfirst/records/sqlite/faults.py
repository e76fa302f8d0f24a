"""What SQLite's codes mean for the record (https://sqlite.org/rescode.html)."""

from __future__ import annotations

import sqlite3

CLOSED = frozenset({"Connection closed", "no active connection"})
CONTENTION = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
UNREACHABLE = frozenset({
    sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOLFS,
    sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_PROTOCOL,
})  # fmt: skip


def code_of(error: sqlite3.Error) -> int | None:
    """SQLite's primary result code; the extended one has more bits."""
    code = getattr(error, "sqlite_errorcode", None)
    return code & 0xFF if code is not None else None
