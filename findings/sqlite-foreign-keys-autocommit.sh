#!/usr/bin/env bash
# PRAGMA foreign_keys = ON does nothing, and says nothing, on a connection with autocommit=False.
#
# Packages: aiosqlite 0.22.1 on the sqlite3 of Python 3.12 and later.
# Expected: the mode that Python's documentation recommends takes the pragma that everyone sends first; or raises.
# Seen: with autocommit=False a transaction is open from the first moment on, always, and SQLite ignores this pragma
# in a transaction. PRAGMA journal_mode = WAL raises there, so one notices; foreign_keys reads 0, and a posting to an
# account that does not exist is committed.
# Source: SQLite, PRAGMA foreign_keys ("a no-op within a transaction"); Python, sqlite3, Connection.autocommit.
# Means: changing a connection to the newer mode drops the ledger's constraints without an error. Send the pragma
# while autocommit is True, set it to False after that, and read the pragma back.
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

TABLES = """CREATE TABLE account (id INTEGER PRIMARY KEY);
CREATE TABLE posting (account INTEGER NOT NULL REFERENCES account (id), amount INTEGER NOT NULL);"""


async def post(name, autocommit):
    """Switch foreign keys on, post to an account that is not there; return the pragma and what came of the posting."""
    async with aiosqlite.connect(f"{sys.argv[1]}/{name}.db", autocommit=autocommit) as db:
        await db.execute("PRAGMA foreign_keys = ON")
        (on,) = await (await db.execute("PRAGMA foreign_keys")).fetchone()
        await db.executescript(TABLES)
        try:
            await db.execute("INSERT INTO posting VALUES (99, 100)")
            await db.commit()
        except sqlite3.IntegrityError as error:
            return on, str(error)
        return on, "committed"


async def main():
    return {
        "legacy": await post("a", sqlite3.LEGACY_TRANSACTION_CONTROL),
        "True": await post("b", True),
        "False": await post("c", False),
    }


seen = asyncio.run(main())
print("aiosqlite", importlib.metadata.version("aiosqlite"), "Python", sys.version.split()[0])
print("expected:", dict.fromkeys(seen, (1, "FOREIGN KEY constraint failed")))
print("seen:    ", seen)
refused = (1, "FOREIGN KEY constraint failed")
assert seen == {"legacy": refused, "True": refused, "False": (0, "committed")}
PYTHON
