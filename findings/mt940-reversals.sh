#!/usr/bin/env bash
# A reversed credit is read as money that came in.
#
# Packages: mt-940 5.1.1.
# Expected: an MT940 line marked RC (a credit taken back) lowers the balance as D does, and RD raises it.
# Seen: the sign is given to D alone. RC is positive, so the bank's closing balance and the sum of the lines differ by
# twice the reversal. The mark itself is kept, in data["status"].
# Source: mt940/models.py, class Amount: negative only where the status is "D". Marks: SWIFT's field 61, subfield 3.
# Means: code that adds up amounts credits a customer for a payment that bounced. Read the mark, and check each
# statement against its opening and closing balances before anything is booked.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
pyenv=${PYENV_ROOT:-$HOME/.pyenv}
for python in "${PYTHON:-python3.13}" python3.12 python3.14 "$pyenv"/versions/3.1[2-4].*/bin/python; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then break; fi
done
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check mt-940==5.1.1
"$folder/venv/bin/python" -W ignore - "$folder" <<'PYTHON'
import importlib.metadata
from decimal import Decimal

import mt940

STATEMENT = """:20:STMT1
:25:NL91ABNA0417164300
:28C:1/1
:60F:C260101EUR1000,00
:61:2601020102C100,00NTRFPAID//1
:61:2601020102RC100,00NTRFBOUNCED//2
:61:2601020102D30,00NTRFFEE//3
:61:2601020102RD30,00NTRFFEE BACK//4
:62F:C260102EUR1000,00
"""

statement = mt940.parse(STATEMENT)
seen = {line.data["status"]: line.data["amount"].amount for line in statement}
opening, closing = (statement.data[f"final_{end}_balance"].amount.amount for end in ("opening", "closing"))
expected = {"C": Decimal("100.00"), "RC": Decimal("-100.00"), "D": Decimal("-30.00"), "RD": Decimal("30.00")}
print("mt-940", importlib.metadata.version("mt-940"))
print("expected:", {mark: str(amount) for mark, amount in expected.items()}, "closing at", closing)
print("seen:    ", {mark: str(amount) for mark, amount in seen.items()}, "closing at", opening + sum(seen.values()))
assert seen == expected | {"RC": Decimal("100.00")}
assert (closing, opening + sum(seen.values())) == (1000, 1200)
PYTHON
