"""Names in Postgres: of the schema, of advisory locks and of sessions. Nothing of the driver."""

from __future__ import annotations

import hashlib


def put_in_schema(sql: str, schema: str) -> str:
    """A statement for tables in this schema."""
    if schema == "recordfirst":
        return sql
    quoted = f'"{schema}"'
    return sql.replace("recordfirst.", f"{quoted}.").replace("EXISTS recordfirst;", f"EXISTS {quoted};")


def lock_number(*names: str) -> int:
    """A number for names, as advisory locks want it: signed, 64 bits."""
    return int.from_bytes(hashlib.sha256("\0".join(names).encode()).digest()[:8], signed=True)


def label(app: str, role: str = "") -> str:
    """What ``pg_stat_activity`` shows of us; the server cuts it at 63 bytes."""
    return f"recordfirst {app} {role}".strip()
