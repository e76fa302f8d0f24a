"""A record from its URL, as the command line is given it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recordfirst.core.text import shown
from recordfirst.errors import Misuse
from recordfirst.records.contract import Record

_HOW = "write postgresql://user@host:5432/database, sqlite:///path/to/file.db, or a path that ends in .db or .sqlite"


def record_from_url(url: str) -> Record[Any]:
    """Return the record, not yet open."""
    scheme, separator, rest = url.partition("://")
    if separator and scheme in {"postgresql", "postgres"}:
        from recordfirst.records.postgres import PostgresRecord  # noqa: PLC0415 - drivers are extras

        return PostgresRecord(url)
    if separator and scheme == "sqlite":
        if not rest.startswith("/") or rest == "/":
            raise Misuse(f"{shown(url)} names no file; {_HOW}")
        # As SQLAlchemy writes it: three slashes for a relative path, four for an absolute one.
        return _sqlite(rest[1:])
    if not separator and (url.endswith((".db", ".sqlite", ".sqlite3")) or Path(url).is_file()):
        return _sqlite(url)
    raise Misuse(f"{scheme + '://...' if separator else shown(url)} names no record; {_HOW}")


def _sqlite(path: str) -> Record[Any]:
    from recordfirst.records.sqlite import SqliteRecord  # noqa: PLC0415 - drivers are extras

    return SqliteRecord(path)
