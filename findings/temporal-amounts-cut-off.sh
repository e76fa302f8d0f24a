#!/usr/bin/env bash
# An amount of 10.5 that is handed to an int parameter arrives as 10.
#
# Packages: temporalio 1.35.0 (its default data converter, without a server).
# Expected: a value that is not of the declared type is an error when it is decoded.
# Seen: where the hint is int, a float is put through int(), which cuts it off: 10.5 is 10 and -0.99 is 0. So it is in
# dataclass fields, lists and dict values. A text of digits raises. Fields that the class does not have are dropped.
# Source: temporalio/converter/_payload_converter.py, value_to_type, the branch for int and float.
# Means: one side sends dollars, or a rounded quotient as 1050.0000001, the other declares cents as int, and the
# difference is gone in silence, in the history as in the code that is called. Validate amounts on arrival, and send
# integers.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
pyenv=${PYENV_ROOT:-$HOME/.pyenv}
for python in "${PYTHON:-python3.13}" python3.12 python3.14 "$pyenv"/versions/3.1[2-4].*/bin/python; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then break; fi
done
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check temporalio==1.35.0
"$folder/venv/bin/python" -W ignore - "$folder" <<'PYTHON'
import importlib.metadata
from dataclasses import dataclass

import temporalio.converter


@dataclass
class Charge:
    amount: int


converter = temporalio.converter.default().payload_converter


def arrives(value, hint):
    try:
        return converter.from_payloads(converter.to_payloads([value]), [hint])[0]
    except TypeError:
        return "TypeError"


seen = [
    arrives(10.5, int),
    arrives(-0.99, int),
    arrives({"amount": 10.5, "fee": 3}, Charge),
    arrives({"EUR": 10.5}, dict[str, int]),
    arrives("10", int),
]
print("temporalio", importlib.metadata.version("temporalio"))
print("expected:", ["TypeError"] * 5)
print("seen:    ", seen)
assert seen == [10, 0, Charge(10), {"EUR": 10}, "TypeError"]
PYTHON
