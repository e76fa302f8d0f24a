#!/usr/bin/env bash
# A durable sleep ends early, and the function that slept goes on as if its time had come.
#
# Packages: resonate-sdk 0.8.1 (its local engine, in memory).
# Expected: a sleep that is longer than its function may take ends in an error, or the function is not run any
# further.
# Seen: the sleep's deadline is cut to that of the function that sleeps, and a sleep that reaches its deadline has
# succeeded. So the function wakes too early and goes on, though its own promise has just timed out: it charges after
# one second in place of five, and its caller gets an ApplicationError whose text is "unknown error: null".
# Source: resonate/context.py, Context.sleep and _child_timeout; a child that is given no timeout has a day.
# Means: "sleep for 30 days, then charge", in a function called by ctx.run without a timeout, charges after a day, and
# the workflow that called it takes the charge for a failure. Give each function a timeout beyond all its sleeps, and
# read the clock after a sleep.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
pyenv=${PYENV_ROOT:-$HOME/.pyenv}
for python in "${PYTHON:-python3.13}" python3.12 python3.14 "$pyenv"/versions/3.1[2-4].*/bin/python; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then break; fi
done
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check resonate-sdk==0.8.1
"$folder/venv/bin/python" -W ignore - "$folder" <<'PYTHON'
import asyncio
import importlib.metadata
import logging
import time
from datetime import timedelta

from resonate.resonate import Resonate

logging.disable(logging.CRITICAL)
charges = []


async def trial(ctx, begun):
    await ctx.sleep(timedelta(seconds=5))
    charges.append(time.monotonic() - begun)
    return "charged"


async def signup(ctx):
    try:
        return await ctx.options(timeout=timedelta(seconds=1)).run(trial, begun)
    except Exception as error:
        return f"{type(error).__name__}: {error}"


async def main():
    resonate = Resonate()
    resonate.register(signup)
    handle = resonate.run("signup", signup)
    came = await asyncio.wait_for(handle.result(), 10)
    await resonate.stop()
    return came


begun = time.monotonic()
came = asyncio.run(main())
print("resonate-sdk", importlib.metadata.version("resonate-sdk"))
print("expected: an error and no charge, or a charge after 5 seconds")
print("seen:    ", repr(came), "and a charge after", [round(seconds) for seconds in charges], "seconds")
assert came == "ApplicationError: unknown error: null"
assert len(charges) == 1 and 0.9 < charges[0] < 4
PYTHON
