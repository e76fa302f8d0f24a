#!/usr/bin/env bash
# An id of 128 bits is read as a float, without an error, by the library that refuses to write it.
#
# Packages: orjson 3.13.0, tigerbeetle 0.17.9 (for its ids).
# Expected: orjson.dumps raises for integers of more than 64 bits, so orjson.loads raises for them too.
# Seen: loads makes them floats. Ids that follow each other are the same float, and the id that is read is not the one
# that was written. Python's json reads them as they are. A float compares equal to an int now and then (2**64), so a
# test with a round number passes.
# Source: orjson, README, "Int" (for dumps); its parser of numbers, which falls back to f64 beyond u64.
# Means: the ids of TigerBeetle, and any u128 in a webhook or a message, look up the wrong transfer or none. Write
# such ids as strings.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
pyenv=${PYENV_ROOT:-$HOME/.pyenv}
for python in "${PYTHON:-python3.13}" python3.12 python3.14 "$pyenv"/versions/3.1[2-4].*/bin/python; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then break; fi
done
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check orjson==3.13.0 tigerbeetle==0.17.9
"$folder/venv/bin/python" -W ignore - "$folder" <<'PYTHON'
import json

import orjson
import tigerbeetle

id = tigerbeetle.id()
text = json.dumps({"id": id, "next": id + 1})
read = orjson.loads(text)
try:
    orjson.dumps({"id": id})
    written = "written"
except TypeError as error:
    written = str(error)

print("orjson", orjson.__version__)
print("expected: an error when read, as when written:", written)
print("seen:    ", {name: type(value).__name__ for name, value in read.items()}, "equal:", read["id"] == read["next"])
assert written == "Integer exceeds 64-bit range"
assert [type(value) for value in read.values()] == [float, float]
assert read["id"] == read["next"] and int(read["id"]) != id
assert json.loads(text)["id"] == id
assert orjson.loads(str(2**64)) == 2**64 and type(orjson.loads(str(2**64))) is float
PYTHON
