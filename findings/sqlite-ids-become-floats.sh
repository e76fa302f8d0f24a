#!/usr/bin/env bash
# Two ids of a provider become one, because SQLite turns what is too big for an integer into a float.
#
# Packages: aiosqlite 0.22.1, SQLite of the Python that runs it.
# Expected: a text that does not fit into an INTEGER column is kept as text, or refused.
# Seen: a text of digits beyond 63 bits is stored as a float in a column of affinity INTEGER or NUMERIC. Ids that
# differ in the last digit are equal, so that UNIQUE refuses the second, and ON CONFLICT DO NOTHING drops it in
# silence. Sums behave as well: 9223372036854775807 + 1 is a float. The same number as a Python int raises
# OverflowError, and a STRICT table refuses it.
# Source: SQLite, Datatypes, Type Affinity; its arithmetic operators.
# Means: ids of 64 bits without sign (as of chats, of chains, of TigerBeetle), and amounts in wei, are lost as
# "already there". Store them as TEXT, and make tables STRICT.
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

INSERT = "INSERT INTO {} VALUES (?) ON CONFLICT DO NOTHING"


async def main():
    async with aiosqlite.connect(f"{sys.argv[1]}/payments.db") as db:
        await db.execute("CREATE TABLE payment (provider_id INTEGER UNIQUE)")
        await db.execute("CREATE TABLE stricter (provider_id INTEGER UNIQUE) STRICT")
        stored = [
            (await db.execute(INSERT.format("payment"), (id,))).rowcount
            for id in ("18446744073709551601", "18446744073709551602")
        ]
        rows = await (await db.execute("SELECT provider_id, typeof(provider_id) FROM payment")).fetchall()
        try:
            await db.execute(INSERT.format("stricter"), ("18446744073709551601",))
            strict = "stored"
        except sqlite3.IntegrityError as error:
            strict = type(error).__name__
        total = (await (await db.execute("SELECT 9223372036854775807 + 1")).fetchone())[0]
        return stored, rows, strict, total


seen = asyncio.run(main())
print("aiosqlite", importlib.metadata.version("aiosqlite"), "SQLite", sqlite3.sqlite_version)
print("expected: [1, 1] rows inserted, two rows with the texts that were given")
print("seen:    ", seen)
assert seen == ([1, 0], [(18446744073709552000.0, "real")], "IntegrityError", 9223372036854775808.0)
assert [type(number) for number in (seen[1][0][0], seen[3])] == [float, float]
PYTHON
