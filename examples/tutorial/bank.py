"""A pretend bank. Its books are in bank.db, apart from the shop's, and it honours idempotency keys as real ones do."""

import contextlib
import os
import sqlite3

LIMIT_MINOR = 1_000_00


class Refused(Exception):  # noqa: N818 - the bank's own word
    """The bank says no, for good."""


def charge(key: str, amount_minor: int) -> str:
    """Take the money, once per key, and return the charge's id."""
    if amount_minor > LIMIT_MINOR:
        raise Refused("limit exceeded")
    with contextlib.closing(sqlite3.connect("bank.db", autocommit=True)) as books:
        books.execute("CREATE TABLE IF NOT EXISTS charges (id INTEGER PRIMARY KEY, key TEXT UNIQUE, minor INTEGER)")
        books.execute("INSERT OR IGNORE INTO charges (key, minor) VALUES (?, ?)", (key, amount_minor))
        (number,) = books.execute("SELECT id FROM charges WHERE key = ?", (key,)).fetchone()
    if os.environ.get("PULL_THE_PLUG"):
        os._exit(137)  # The money is taken, and the shop never hears of it.
    return f"charge {number}"
