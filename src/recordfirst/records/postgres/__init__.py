"""The record in PostgreSQL. Needs ``pip install 'recordfirst[postgres]'``."""

try:
    from recordfirst.records.postgres.client import PostgresRecord
except ImportError as missing:
    if missing.name is not None and not missing.name.startswith("psycopg"):
        raise
    raise ImportError(
        f"PostgresRecord needs psycopg, which cannot be imported ({missing}); run: pip install 'recordfirst[postgres]'"
    ) from missing

__all__ = ["PostgresRecord"]
