"""The record in SQLite. Needs ``pip install 'recordfirst[sqlite]'``."""

try:
    from recordfirst.records.sqlite.client import SqliteRecord
except ImportError as missing:
    if missing.name != "aiosqlite":
        raise
    raise ImportError(
        f"SqliteRecord needs aiosqlite, which cannot be imported ({missing}); run: pip install 'recordfirst[sqlite]'"
    ) from missing

__all__ = ["SqliteRecord"]
