#!/usr/bin/env bash
# A thousand entries are off by half a cent each, and every one of them balances.
#
# Packages: beancount 3.2.3.
# Expected: an entry whose postings do not sum to zero is refused, and so is a balance assertion that is not met.
# Seen: an entry may be off by half of the last digit of its coarsest posting. -10.00 and 10.005 EUR balance, and a
# thousand of them make 5.00 EUR from nothing; 1000.0 and -1000.05 balance, too. A balance assertion allows twice as
# much: 10.01 EUR holds for an account that has 10.00.
# Source: beancount/core/interpolate.py, infer_tolerances, and beancount/ops/balance.py, get_balance_tolerance (times
# two); beancount docs, "Precision & Tolerances".
# Means: the digits that a file happens to be written with decide how wrong it may be, and nothing adds the rests up.
# Set option "tolerance_multiplier" "0" where entries come from a program: it makes both strict.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
pyenv=${PYENV_ROOT:-$HOME/.pyenv}
for python in "${PYTHON:-python3.13}" python3.12 python3.14 "$pyenv"/versions/3.1[2-4].*/bin/python; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then break; fi
done
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check beancount==3.2.3
"$folder/venv/bin/python" -W ignore - "$folder" <<'PYTHON'
import importlib.metadata

from beancount import loader
from beancount.core import data, inventory

ACCOUNTS = "2026-01-01 open Assets:Bank\n2026-01-01 open Income:Sales\n"


def entry(bank, sales):
    return f'2026-01-02 * "sale"\n  Assets:Bank  {bank} EUR\n  Income:Sales  {sales} EUR\n'


def loaded(text, options=""):
    entries, errors, _ = loader.load_string(options + ACCOUNTS + text)
    total = inventory.Inventory()
    for each in data.filter_txns(entries):
        for posting in each.postings:
            total.add_position(posting)
    return len(errors), total.to_string(parens=False)


STRICT = 'option "tolerance_multiplier" "0"\n'
CENT_OFF = entry("10.00", "-10.00") + "2026-01-03 balance Assets:Bank  10.01 EUR\n"
seen = {
    "cent off": loaded(entry("10.00", "-10.01"))[0],
    "half a cent off, 1000 times": loaded(entry("-10.00", "10.005") * 1000),
    "five cents off": loaded(entry("1000.0", "-1000.05")),
    "10.01 asserted of 10.00": loaded(CENT_OFF)[0],
    "both, with the option": [loaded(text, STRICT)[0] for text in (entry("-10.00", "10.005"), CENT_OFF)],
}
print("beancount", importlib.metadata.version("beancount"))
print("expected: at least one error, each time, or a total of 0")
print("seen:    ", seen)
assert seen == {
    "cent off": 1,
    "half a cent off, 1000 times": (0, "5.000 EUR"),
    "five cents off": (0, "-0.05 EUR"),
    "10.01 asserted of 10.00": 0,
    "both, with the option": [1, 1],
}
PYTHON
