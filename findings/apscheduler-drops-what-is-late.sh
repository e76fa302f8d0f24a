#!/usr/bin/env bash
# A payout that was due while the scheduler was restarted is deleted from the durable store, and not run.
#
# Packages: APScheduler 3.11.3, SQLAlchemy 2.1.9 (its job store, on SQLite).
# Expected: jobs are stored so that they survive a restart: a job whose date passed meanwhile runs at the next start.
# Seen: a job that is more than one second late is not run, and one with a single date is removed, too: nothing of it
# is left but a warning in the log. With misfire_grace_time=None it runs.
# Source: apscheduler/schedulers/base.py, misfire_grace_time 1 by default, and _process_jobs, which removes a job that
# has no next time; apscheduler/executors/base.py, run_job, which skips what is later than the grace.
# Means: a deploy of two seconds at the wrong time loses a payout. Set misfire_grace_time=None for what must happen,
# in job_defaults, and keep what is due in a table of one's own.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
pyenv=${PYENV_ROOT:-$HOME/.pyenv}
for python in "${PYTHON:-python3.13}" python3.12 python3.14 "$pyenv"/versions/3.1[2-4].*/bin/python; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then break; fi
done
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check APScheduler==3.11.3 SQLAlchemy==2.1.9
"$folder/venv/bin/python" -W ignore - "$folder" <<'PYTHON'
import datetime
import importlib.metadata
import logging
import sys
import time

from apscheduler.jobstores.sqlalchemy import SQLAlchemyJobStore
from apscheduler.schedulers.background import BackgroundScheduler

PROGRAM = "ran = []\n\n\ndef payout(to):\n    ran.append(to)\n"
with open(f"{sys.argv[1]}/payouts.py", "w") as file:
    file.write(PROGRAM)
sys.path.insert(0, sys.argv[1])
import payouts  # noqa: E402  the job store needs a function that it can import

logging.disable(logging.CRITICAL)


def started():
    store = SQLAlchemyJobStore(url=f"sqlite:///{sys.argv[1]}/jobs.db")
    scheduler = BackgroundScheduler(jobstores={"default": store}, timezone="UTC")
    scheduler.start()
    return scheduler


scheduler = started()
due = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=3)
scheduler.add_job(payouts.payout, "date", run_date=due, args=["by default"])
scheduler.add_job(payouts.payout, "date", run_date=due, args=["with any grace"], misfire_grace_time=None)
stored = len(scheduler.get_jobs())
scheduler.shutdown()
time.sleep(5)
scheduler = started()
while scheduler.get_jobs():
    time.sleep(0.1)
scheduler.shutdown(wait=True)
print("APScheduler", importlib.metadata.version("APScheduler"))
print("expected:", stored, "jobs stored, and run:", ["by default", "with any grace"])
print("seen:    ", stored, "jobs stored, and run:", payouts.ran, "- none is left in the store")
assert (stored, payouts.ran) == (2, ["with any grace"])
PYTHON
