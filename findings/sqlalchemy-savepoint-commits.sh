#!/usr/bin/env bash
# On SQLite, begin_nested() commits what it holds, though the session is rolled back.
#
# Packages: SQLAlchemy 2.1.9, aiosqlite 0.22.1, SQLite of the Python that runs it.
# Expected: rows written in session.begin_nested() go when the session is rolled back, as on Postgres.
# Seen: Python's sqlite3, in its default mode, sends BEGIN before INSERT, UPDATE and DELETE alone. A session that
# began by SAVEPOINT has no BEGIN before it, and releasing the outermost savepoint is a commit. After an earlier
# INSERT, all is as expected, so it depends on what was written before. With autocommit=False, or BEGIN sent by an
# event, it does not.
# Source: SQLAlchemy, docs of the SQLite dialect on transactions; SQLite, SAVEPOINT; Python, sqlite3, transaction
# control.
# Means: half an order stays after a rollback, in the tests and the small deployments that run on SQLite. Connect with
# autocommit=False (and see sqlite-foreign-keys-autocommit.sh).
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
pyenv=${PYENV_ROOT:-$HOME/.pyenv}
for python in "${PYTHON:-python3.13}" python3.12 python3.14 "$pyenv"/versions/3.1[2-4].*/bin/python; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then break; fi
done
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check SQLAlchemy==2.1.9 aiosqlite==0.22.1
"$folder/venv/bin/python" -W ignore - "$folder" <<'PYTHON'
import sys

import sqlalchemy as sa
from sqlalchemy import orm


def rows(name, insert_first, **connect_args):
    """How many rows are left when an order of two parts is written in a savepoint, and the session is rolled back."""
    engine = sa.create_engine(f"sqlite:///{sys.argv[1]}/{name}.db", connect_args=connect_args)
    with engine.begin() as db:
        db.execute(sa.text("CREATE TABLE part (id int)"))
    with orm.Session(engine) as session:
        if insert_first:
            session.execute(sa.text("INSERT INTO part VALUES (1)"))
        with session.begin_nested():
            session.execute(sa.text("INSERT INTO part VALUES (2)"))
        session.rollback()
    with engine.connect() as db:
        return db.execute(sa.text("SELECT count(*) FROM part")).scalar_one()


seen = {
    "savepoint first": rows("a", insert_first=False),
    "after an INSERT": rows("b", insert_first=True),
    "autocommit=False": rows("c", insert_first=False, autocommit=False),
}
print("SQLAlchemy", sa.__version__)
print("expected:", dict.fromkeys(seen, 0))
print("seen:    ", seen)
assert list(seen.values()) == [1, 0, 0]
PYTHON
