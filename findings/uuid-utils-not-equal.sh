#!/usr/bin/env bash
# The same id, made by one library and read back by another, is not equal to itself.
#
# Packages: uuid_utils 1.2.0, psycopg 3.3.9, msgspec 0.23.0.
# Expected: uuid_utils, which is offered in the place of uuid, makes values that are equal to uuid.UUID's.
# Seen: they have the same text and the same hash and are never equal, so that a dict and a set look in the right
# place and find nothing; isinstance(value, uuid.UUID) is false, and drivers do not adapt it. uuid_utils.compat makes
# real ones.
# Source: uuid_utils, README, on compat; its UUID class is a type of its own that compares with its own kind.
# Means: "have I seen this id?" answers no for an id that was written an hour ago and read back as uuid.UUID, and the
# payment is made again. Use uuid_utils.compat, or compare texts.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
pyenv=${PYENV_ROOT:-$HOME/.pyenv}
for python in "${PYTHON:-python3.13}" python3.12 python3.14 "$pyenv"/versions/3.1[2-4].*/bin/python; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then break; fi
done
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check \
    uuid_utils==1.2.0 'psycopg[binary]==3.3.9' msgspec==0.23.0
"$folder/venv/bin/python" -W ignore - "$folder" <<'PYTHON'
import importlib.metadata
import uuid

import msgspec
import psycopg
import uuid_utils
import uuid_utils.compat

made = uuid_utils.uuid7()
read = uuid.UUID(str(made))
done = {made}


def refused(write):
    try:
        write()
    except (psycopg.ProgrammingError, TypeError) as error:
        return type(error).__name__
    return None


seen = {
    "same text": str(made) == str(read),
    "same hash": hash(made) == hash(read),
    "equal": made == read,
    "in the set": read in done,
    "psycopg": refused(lambda: psycopg.adapt.Transformer().as_literal(made)),
    "msgspec": refused(lambda: msgspec.json.encode(made)),
}
print("uuid_utils", importlib.metadata.version("uuid_utils"))
print("expected: the same text and hash, equal, in the set, and refused by none")
print("seen:    ", seen)
assert list(seen.values()) == [True, True, False, False, "ProgrammingError", "TypeError"]
assert type(uuid_utils.compat.uuid7()) is uuid.UUID
PYTHON
