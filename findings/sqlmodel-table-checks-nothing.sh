#!/usr/bin/env bash
# A model with amount: int = Field(gt=0) stores -5, and 12.7.
#
# Packages: sqlmodel 0.0.50.
# Expected: a SQLModel is a pydantic model, so that Payment(amount=-5) and Payment(amount="12.7") raise ValidationError.
# Seen: with table=True nothing is validated when an object is made, neither types nor limits. Both are stored; SQLite
# keeps 12.7 in the INTEGER column. Payment.model_validate(...) refuses them, as does the same class without table=True.
# Source: sqlmodel/_compat.py, sqlmodel_init: the values of a table model are set without pydantic's validator.
# Means: the checks that one reads in the class hold at the border of a web framework alone, and not for the program's
# own rows. Make rows with model_validate, and put the limits into the database as CHECK.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
pyenv=${PYENV_ROOT:-$HOME/.pyenv}
for python in "${PYTHON:-python3.13}" python3.12 python3.14 "$pyenv"/versions/3.1[2-4].*/bin/python; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then break; fi
done
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check sqlmodel==0.0.50
"$folder/venv/bin/python" -W ignore - "$folder" <<'PYTHON'
import importlib.metadata

from pydantic import ValidationError
from sqlmodel import Field, Session, SQLModel, create_engine


class Amount(SQLModel):
    amount: int = Field(gt=0)
    currency: str = Field(max_length=3)


class Payment(Amount, table=True):
    id: int | None = Field(default=None, primary_key=True)


engine = create_engine("sqlite://")
SQLModel.metadata.create_all(engine)
GIVEN = ({"amount": -5, "currency": "EUR"}, {"amount": "12.7", "currency": "EURO"})


def stored(make, values):
    try:
        payment = make(values)
    except ValidationError:
        return "refused"
    with Session(engine) as session:
        session.add(payment)
        session.commit()
        session.refresh(payment)
        return payment.amount, payment.currency


def by_init(values):
    return Payment(**values)


def without_table(values):
    return Payment(**Amount(**values).model_dump())


MAKE = {"Payment()": by_init, "model_validate": Payment.model_validate, "Amount()": without_table}
seen = {name: [stored(make, values) for values in GIVEN] for name, make in MAKE.items()}
print("sqlmodel", importlib.metadata.version("sqlmodel"))
print("expected:", dict.fromkeys(MAKE, ["refused", "refused"]))
print("seen:    ", seen)
assert seen.pop("Payment()") == [(-5, "EUR"), (12.7, "EURO")]
assert seen == {"model_validate": ["refused"] * 2, "Amount()": ["refused"] * 2}
PYTHON
