#!/usr/bin/env bash
# How many digits a currency has depends on the library that is asked, for 15 of those in use.
#
# Packages: Babel 2.19.0, py-moneyed 3.0, iso4217 1.16.20260101 (the list of ISO 4217 of January 2026).
# Expected: ISO's digits from all of them, or at least from those that format amounts.
# Seen: Babel has CLDR's, which are those that people use: none for HUF, COP, IDR, IQD, MGA and ten others, where ISO
# has two or three. py-moneyed and iso4217 have ISO's. Babel formats an amount that has digits without them, rounded
# half to even. Stripe's API has a third opinion: MGA without digits, ISK with two that are always zero.
# Source: babel/numbers.py get_currency_precision (CLDR's supplemental data); moneyed's Currency.sub_unit; iso4217's
# Currency.exponent; Stripe's documentation, Supported currencies, zero-decimal currencies and special cases.
# Means: a factor of 100 or 1,000 between two services that agree on "minor units", and a receipt that shows another
# sum than was charged. Keep one table in the code, by provider, and take an exponent from no formatter.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
pyenv=${PYENV_ROOT:-$HOME/.pyenv}
for python in "${PYTHON:-python3.13}" python3.12 python3.14 "$pyenv"/versions/3.1[2-4].*/bin/python; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then break; fi
done
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check Babel==2.19.0 py-moneyed==3.0 iso4217==1.16.20260101
"$folder/venv/bin/python" -W ignore - "$folder" <<'PYTHON'
from decimal import Decimal
from importlib.metadata import version

import iso4217
import moneyed
from babel.numbers import format_currency, get_currency_precision

DIGITS = {1: 0, 10: 1, 100: 2, 1000: 3, 10000: 4}


def digits(code):
    """By ISO, by py-moneyed, by Babel."""
    return iso4217.Currency(code).exponent, DIGITS[moneyed.get_currency(code).sub_unit], get_currency_precision(code)


seen = {code: digits(code) for code in ("EUR", "JPY", "ISK", "UGX", "BHD", "HUF", "COP", "IDR", "IQD", "MGA")}
apart = []
for currency in moneyed.list_all_currencies():
    try:
        iso, _, babel = digits(currency.code)
    except (ValueError, KeyError):  # no longer a currency, or one of moneyed's own
        continue
    if iso not in (None, babel):
        apart.append(currency.code)
print("Babel", version("Babel"), "py-moneyed", version("py-moneyed"), "iso4217", version("iso4217"))
print("expected:", {code: (iso, iso, iso) for code, (iso, _, _) in seen.items()})
print("seen:    ", seen, "and Babel differs for", *apart)
assert seen == {
    "EUR": (2, 2, 2), "JPY": (0, 0, 0), "ISK": (0, 0, 0), "UGX": (0, 0, 0), "BHD": (3, 3, 3),
    "HUF": (2, 2, 0), "COP": (2, 2, 0), "IDR": (2, 2, 0), "IQD": (3, 3, 0), "MGA": (2, 2, 0),
}
assert " ".join(apart) == "AFN ALL COP HUF IDR IQD IRR KPW LAK LBP MGA MMK SOS SYP YER"
assert format_currency(Decimal("1234.50"), "HUF", locale="en_US").endswith("1,234")
PYTHON
