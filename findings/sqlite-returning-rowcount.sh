#!/usr/bin/env bash
# An update that changed a row says that it changed none, and refuses to be committed, until its rows are read.
#
# Packages: aiosqlite 0.22.1 on the sqlite3 of Python 3.12 and later.
# Expected: after UPDATE ... RETURNING, cursor.rowcount is the number of rows that were changed; commit() commits.
# Seen: rowcount is 0 until the last row has been fetched. SQLite has made the change before it returns the first row,
# so it is done all the same. With a row unread, commit() raises "SQL statements in progress", the transaction stays
# open, and the write lock is kept; after fetchone() of a single row, all is well.
# Source: Python, sqlite3, Cursor.rowcount (updated when the statement has run to its end); SQLite, RETURNING.
# Means: compare-and-set by "rowcount == 1" takes a change that was made for one that lost the race, and pays twice or
# gives up. Fetch all rows of RETURNING at once, and count those.
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
import sqlite3
import sys

import aiosqlite


async def main():
    async with aiosqlite.connect(f"{sys.argv[1]}/orders.db") as db:
        await db.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY, revision INTEGER)")
        await db.execute("INSERT INTO orders VALUES (1, 1)")
        await db.commit()
        cursor = await db.execute("UPDATE orders SET revision = 2 WHERE revision = 1 RETURNING id")
        before = cursor.rowcount
        try:
            await db.commit()
            committed = "committed"
        except sqlite3.OperationalError as error:
            committed = str(error)
        row = await cursor.fetchone()
        after = cursor.rowcount
        await db.commit()
        return before, committed, row, after


seen = asyncio.run(main())
print("aiosqlite", importlib.metadata.version("aiosqlite"), "Python", sys.version.split()[0])
print("expected:", (1, "committed", (1,), 1))
print("seen:    ", seen)
assert seen == (0, "cannot commit transaction - SQL statements in progress", (1,), 1)
PYTHON
