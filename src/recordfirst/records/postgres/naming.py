"""Names in Postgres: of the schema, of advisory locks and of sessions; and of a database, without its password."""

from __future__ import annotations

import hashlib
from urllib.parse import quote, urlencode

from psycopg.conninfo import conninfo_to_dict


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


def without_password(dsn: str) -> str:
    """Name the database, so that an operator can find it and a command can take it; secrets are left out."""
    parts = {name: str(value) for name, value in conninfo_to_dict(dsn).items() if value is not None}
    host = parts.get("host", "")
    by_query = host.startswith("/") or "," in host
    user = f"{quote(parts['user'], safe='')}@" if "user" in parts else ""
    address = "" if by_query else host
    port = f":{parts['port']}" if "port" in parts and not by_query else ""
    extra = [(name, parts[name]) for name in ("host", "port") if by_query and name in parts]
    query = f"?{urlencode(extra, safe='/,')}" if extra else ""
    return f"postgresql://{user}{address}{port}/{quote(parts.get('dbname', ''), safe='')}{query}"
