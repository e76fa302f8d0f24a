#!/usr/bin/env bash
# What timed out is done afterwards, and the next commit commits it.
#
# Packages: aiosqlite 0.22.1.
# Expected: a statement whose await is cancelled is interrupted, or is undone by rollback(); a commit that is
# cancelled while it waits for its turn is not carried out.
# Seen: cancelling gives up the answer alone. The statement goes on in the connection's thread, and what was queued
# behind it follows, the commit too: rollback() comes after them, finds nothing to roll back, and says nothing.
# Source: aiosqlite/core.py, Connection._execute (a queue and a future) and the loop of the thread, which never looks
# whether the future was cancelled before it runs the function.
# Means: an HTTP handler that ran into its time limit tells the customer "not booked", and the posting is in the
# books. End with interrupt() and close the connection, or look at what is there; never go on with the same
# connection.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
pyenv=${PYENV_ROOT:-$HOME/.pyenv}
for python in "${PYTHON:-python3.13}" python3.12 python3.14 "$pyenv"/versions/3.1[2-4].*/bin/python; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then break; fi
done
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check aiosqlite==0.22.1
"$folder/venv/bin/python" -W ignore - "$folder" <<'PYTHON'
import asyncio
import importlib.metadata
import sys

import aiosqlite

SLOW = """INSERT INTO posting SELECT 'slow' FROM (WITH RECURSIVE n (i) AS
(SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000000) SELECT count(*) FROM n)"""


async def main():
    async with aiosqlite.connect(f"{sys.argv[1]}/ledger.db") as db:
        await db.execute("CREATE TABLE posting (what TEXT)")
        await db.commit()

        async def rows():
            return [row[0] for row in await db.execute_fetchall("SELECT what FROM posting")]

        try:
            await asyncio.wait_for(db.execute(SLOW), 0.02)
        except TimeoutError:
            pass
        await db.execute("INSERT INTO posting VALUES ('next')")
        await db.commit()
        later = await rows()
        await db.execute("DELETE FROM posting")
        await db.commit()

        try:
            async with asyncio.timeout(0.02):
                await asyncio.gather(db.execute(SLOW), db.execute("INSERT INTO posting VALUES ('queued')"), db.commit())
        except TimeoutError:
            await db.rollback()
        return later, await rows()


seen = asyncio.run(main())
print("aiosqlite", importlib.metadata.version("aiosqlite"))
print("expected:", (["next"], []))
print("seen:    ", seen)
assert seen == (["slow", "next"], ["slow", "queued"])
PYTHON
