#!/usr/bin/env bash
# Two charges of the same amount are one, if a charge is not to be repeated when the flow is retried.
#
# Packages: prefect 3.9.1.
# Expected: a task runs once for each call, as it does by default; with persist_result=True its result is kept for that
# call, so that a retried flow takes it instead of calling again.
# Seen: without persist_result a flow that is retried charges again. With it, it does not; but the second of two calls
# with the same arguments in one run does not run either, and returns the first one's reference. A parameter that
# differs (a number of the call) makes them two.
# Source: prefect/cache_policies.py: DEFAULT is INPUTS + TASK_SOURCE + RUN_ID, so that a result belongs to the task, its
# arguments and the flow's run, not to a call; it counts wherever results are persisted.
# Means: two equal instalments or tips of one customer are charged once, and both are on record with one reference.
# Give each effect a key of its own as an argument.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
pyenv=${PYENV_ROOT:-$HOME/.pyenv}
for python in "${PYTHON:-python3.13}" python3.12 python3.14 "$pyenv"/versions/3.1[2-4].*/bin/python; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then break; fi
done
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check prefect==3.9.1
"$folder/venv/bin/python" -W ignore - "$folder" <<'PYTHON'
import importlib.metadata
import os
import sys

os.environ.update(
    PREFECT_HOME=sys.argv[1],
    PREFECT_API_DATABASE_CONNECTION_URL=f"sqlite+aiosqlite:///{sys.argv[1]}/prefect.db",
    PREFECT_LOGGING_LEVEL="CRITICAL",
    PREFECT_SERVER_ANALYTICS_ENABLED="false",
    DO_NOT_TRACK="1",
)
from prefect import flow, task  # noqa: E402  it reads its settings when it is imported

charges, attempts = [], []


def charge(customer, amount, number=1):
    charges.append(amount)
    return f"reference {len(charges)}"


passing = task(charge)
kept = task(charge, persist_result=True)


@flow
def twice(call):
    return [call("c1", 10), call("c1", 10)]


@flow
def numbered(call):
    return [call("c1", 10, 1), call("c1", 10, 2)]


@flow(retries=1)
def retried(call):
    reference = call("c1", 10)
    attempts.append(reference)
    if len(attempts) == 1:
        raise ConnectionError("something else fails")
    return [reference]


seen = {}
for name, call in (("by default", passing), ("persist_result", kept)):
    for run in (twice, numbered, retried):
        charges.clear()
        attempts.clear()
        references = run(call)
        seen[name, run.name] = (len(charges), references)
print("prefect", importlib.metadata.version("prefect"))
print("expected: charges, with persist_result:", {"twice": 2, "numbered": 2, "retried": 1})
for case, what in seen.items():
    print("seen:     charges,", case, what)
two, one = (2, ["reference 1", "reference 2"]), (1, ["reference 1"])
assert [seen["by default", run] for run in ("twice", "numbered", "retried")] == [two, two, (2, ["reference 2"])]
assert seen["persist_result", "twice"] == (1, ["reference 1", "reference 1"])
assert [seen["persist_result", run] for run in ("numbered", "retried")] == [two, one]
PYTHON
