#!/usr/bin/env bash
# "1,23" is read as 123.
#
# Packages: Babel 2.19.0.
# Expected: parse_decimal raises for a text that is no number of the locale it is given.
# Seen: group separators are dropped wherever they stand, so "1,23" is 123 and "1234,56" is 123456 for en_US, and
# "1.23" is 123 for de_DE. strict=True raises and proposes the number that was meant; it is not the default.
# Source: babel/numbers.py, parse_decimal.
# Means: a customer with another keyboard pays, or is paid, a hundred times what was typed. Give strict=True always,
# and show the amount as it was understood before money moves.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
pyenv=${PYENV_ROOT:-$HOME/.pyenv}
for python in "${PYTHON:-python3.13}" python3.12 python3.14 "$pyenv"/versions/3.1[2-4].*/bin/python; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then break; fi
done
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check Babel==2.19.0
"$folder/venv/bin/python" -W ignore - "$folder" <<'PYTHON'
from decimal import Decimal
from importlib.metadata import version

from babel.numbers import NumberFormatError, parse_decimal

TEXTS = [("1,23", "en_US"), ("1234,56", "en_US"), ("1.23", "de_DE"), ("0,5", "en_IN")]


def parsed(text, locale, **how):
    try:
        return str(parse_decimal(text, locale=locale, **how))
    except NumberFormatError:
        return "NumberFormatError"


seen = [parsed(*each) for each in TEXTS]
print("Babel", version("Babel"))
print("expected:", ["NumberFormatError"] * 4)
print("seen:    ", seen)
assert seen == ["123", "123456", "123", "5"]
assert [parsed(*each, strict=True) for each in TEXTS] == ["NumberFormatError"] * 4
assert parse_decimal("1,234.56", locale="en_US", strict=True) == Decimal("1234.56")
PYTHON
