#!/usr/bin/env bash
# after_commit is called for a savepoint, before anything is committed.
#
# Packages: SQLAlchemy 2.1.9, SQLite of the Python that runs it.
# Expected: the session's event after_commit comes once, when the transaction has been committed; begin_nested() makes
# a savepoint, whose end is no commit.
# Seen: it comes at the end of each begin_nested() block as well, and the outer transaction can still be rolled back.
# Both calls look alike: only session.in_nested_transaction(), or a look at the database, tells them apart.
# Source: sqlalchemy/orm/session.py, SessionTransaction.commit: dispatched for the outermost and for nested ones.
# Means: a mail, a charge or a message that is sent from after_commit is sent for rows that are then taken back.
# Register on the outermost transaction, or keep what is to be sent as rows of the same transaction.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
pyenv=${PYENV_ROOT:-$HOME/.pyenv}
for python in "${PYTHON:-python3.13}" python3.12 python3.14 "$pyenv"/versions/3.1[2-4].*/bin/python; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then break; fi
done
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check SQLAlchemy==2.1.9
"$folder/venv/bin/python" -W ignore - "$folder" <<'PYTHON'
import sys

import sqlalchemy as sa
from sqlalchemy import event, orm

engine = sa.create_engine(f"sqlite:///{sys.argv[1]}/orders.db")
calls = []
with orm.Session(engine) as session:
    session.execute(sa.text("CREATE TABLE orders (id int)"))
    session.commit()
    event.listen(session, "after_commit", lambda session: calls.append(session.in_nested_transaction()))
    session.execute(sa.text("INSERT INTO orders VALUES (1)"))
    with session.begin_nested():
        session.execute(sa.text("INSERT INTO orders VALUES (2)"))
    session.rollback()
    rows = session.execute(sa.text("SELECT count(*) FROM orders")).scalar_one()

print("SQLAlchemy", sa.__version__)
print("expected: 0 calls of after_commit, 0 rows")
print("seen:    ", len(calls), "call of after_commit,", rows, "rows; in_nested_transaction():", calls)
assert (calls, rows) == ([True], 0)
PYTHON
