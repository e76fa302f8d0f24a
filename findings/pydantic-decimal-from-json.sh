#!/usr/bin/env bash
# An amount that is declared a Decimal has been a float on its way in.
#
# Packages: pydantic 2.14.4, msgspec 0.23.0.
# Expected: a field of type Decimal takes the digits of a JSON number as they stand, as msgspec does.
# Seen: pydantic's JSON parser makes a float of every number with a point, and the Decimal is made of the float's
# shortest text. 12345678901234567.89 arrives as 12345678901234568, 19.990000000000000001 as 19.99, and 0.10 as 0.1.
# No error, in strict mode neither. The same digits within quotes are kept, trailing zeros too.
# Source: pydantic-core, validation of Decimal from JSON input (a float is turned into text first); jiter's number
# parser.
# Means: large amounts, and amounts of 18 decimals, lose their last digits at the door; and a signature or a
# fingerprint computed again from the model differs from the one over the body. Ask providers for strings or minor
# units.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
pyenv=${PYENV_ROOT:-$HOME/.pyenv}
for python in "${PYTHON:-python3.13}" python3.12 python3.14 "$pyenv"/versions/3.1[2-4].*/bin/python; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then break; fi
done
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check pydantic==2.14.4 msgspec==0.23.0
"$folder/venv/bin/python" -W ignore - "$folder" <<'PYTHON'
from decimal import Decimal

import msgspec
import pydantic

NUMBERS = ["12345678901234567.89", "19.990000000000000001", "0.10"]


def read(text, strict=False):
    return str(pydantic.TypeAdapter(Decimal).validate_json(text, strict=strict))


seen = [read(text) for text in NUMBERS]
print("pydantic", pydantic.VERSION, "msgspec", msgspec.__version__)
print("expected:", NUMBERS)
print("seen:    ", seen)
assert seen == ["12345678901234568", "19.99", "0.1"]
assert [read(text, strict=True) for text in NUMBERS] == seen
assert [read(f'"{text}"') for text in NUMBERS] == NUMBERS
assert [str(msgspec.json.decode(text, type=Decimal)) for text in NUMBERS] == NUMBERS
PYTHON
