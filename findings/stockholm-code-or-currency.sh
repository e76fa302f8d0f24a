#!/usr/bin/env bash
# The same amount of yen has 1000 sub-units or 100000, by how its currency was written.
#
# Packages: stockholm 0.5.7.
# Expected: Money(1000, "JPY") and Money(1000, JPY), which are equal, have the same sub-units: 1000, as a yen has none.
# Seen: a currency given as a code has two decimals, whatever it is; the classes of stockholm.currency know theirs. So
# from_sub_units(1000, "JPY") is 10.00 JPY, and 1000 fils of Kuwait are 10.00 KWD instead of 1.000. A Money that has
# been to JSON or a string and back has a code.
# Source: stockholm/money.py, the property sub_units and from_sub_units, which ask the currency for decimal_digits, and
# take 2 where it is a string.
# Means: what is sent to a provider in minor units is a hundred times too much, or a tenth, after a trip through a
# queue, though == says that nothing changed. Look the class up (stockholm.currency) wherever a code comes in.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
pyenv=${PYENV_ROOT:-$HOME/.pyenv}
for python in "${PYTHON:-python3.13}" python3.12 python3.14 "$pyenv"/versions/3.1[2-4].*/bin/python; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then break; fi
done
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check stockholm==0.5.7
"$folder/venv/bin/python" -W ignore - "$folder" <<'PYTHON'
import importlib.metadata

from stockholm import Money
from stockholm.currency import JPY, KWD

amount = Money(1000, JPY)
again = Money(amount.json())
seen = {
    "equal": (Money(1000, "JPY") == amount, again == amount),
    "sub-units": (int(amount.sub_units), int(Money(1000, "JPY").sub_units), int(again.sub_units)),
    "1000 JPY": (str(Money.from_sub_units(1000, JPY)), str(Money.from_sub_units(1000, "JPY"))),
    "1000 KWD": (str(Money.from_sub_units(1000, KWD)), str(Money.from_sub_units(1000, "KWD"))),
}
print("stockholm", importlib.metadata.version("stockholm"))
print("expected:", {"equal": (True, True), "sub-units": (1000, 1000, 1000)}, "and the same from a code as from a class")
print("seen:    ", seen)
assert seen == {
    "equal": (True, True),
    "sub-units": (1000, 100000, 100000),
    "1000 JPY": ("1000 JPY", "10.00 JPY"),
    "1000 KWD": ("1.000 KWD", "10.00 KWD"),
}
PYTHON
