#!/usr/bin/env bash
# A bank's line in euros is read as dollars, and one of January as one of February.
#
# Packages: ofxparse 0.21.
# Expected: a transaction with a CURRENCY of its own says so, or is refused; a time with its offset is an aware
# datetime, or stays on the day that the bank wrote.
# Seen: CURRENCY and its rate are dropped, so that the amount stands in the account's currency. DTPOSTED of 23:00 at
# -5 is shifted to UTC and then has no zone: 2026-02-01 04:00. A transaction of the date alone stays on its day. Two
# lines with one FITID are both given.
# Source: ofxparse/ofxparse.py, parseTransaction and parseOfxDateTime; OFX 1.6, CURRENCY ("the amount is in that
# currency") beside ORIGCURRENCY ("it was converted").
# Means: reconciliation books 10 euros as 10 dollars, and moves the last evening of a month into the next, for those
# banks alone that send a time. Read the raw file for CURRENCY, and compare by FITID and not by day.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
pyenv=${PYENV_ROOT:-$HOME/.pyenv}
for python in "${PYTHON:-python3.13}" python3.12 python3.14 "$pyenv"/versions/3.1[2-4].*/bin/python; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then break; fi
done
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check ofxparse==0.21
"$folder/venv/bin/python" -W ignore - "$folder" <<'PYTHON'
import io
from importlib.metadata import version

import ofxparse


def line(posted, amount, id, more=""):
    kept = f"<TRNTYPE>CREDIT<DTPOSTED>{posted}<TRNAMT>{amount}<FITID>{id}<NAME>customer{more}"
    return f"<STMTTRN>{kept}</STMTTRN>"


LINES = [
    line("20260131230000[-5:EST]", "20.00", "a"),
    line("20260131", "30.00", "b"),
    line("20260131", "10.00", "c", "<CURRENCY><CURRATE>1.10<CURSYM>EUR</CURRENCY>"),
    line("20260131", "10.00", "c"),
]
FILE = f"""OFXHEADER:100
DATA:OFXSGML
VERSION:160
SECURITY:NONE
ENCODING:USASCII
CHARSET:1252
COMPRESSION:NONE
OLDFILEUID:NONE
NEWFILEUID:NONE

<OFX><SIGNONMSGSRSV1><SONRS><STATUS><CODE>0<SEVERITY>INFO</STATUS><DTSERVER>20260201<LANGUAGE>ENG</SONRS>
</SIGNONMSGSRSV1><BANKMSGSRSV1><STMTTRNRS><TRNUID>1<STATUS><CODE>0<SEVERITY>INFO</STATUS><STMTRS><CURDEF>USD
<BANKACCTFROM><BANKID>1<ACCTID>2<ACCTTYPE>CHECKING</BANKACCTFROM><BANKTRANLIST><DTSTART>20260101<DTEND>20260131
{"".join(LINES)}</BANKTRANLIST><LEDGERBAL><BALAMT>70.00<DTASOF>20260131</LEDGERBAL>
</STMTRS></STMTTRNRS></BANKMSGSRSV1></OFX>"""

statement = ofxparse.OfxParser.parse(io.BytesIO(FILE.encode())).account.statement
seen = [(each.id, str(each.date), str(each.amount)) for each in statement.transactions]
kept = [str(value).lower() for each in statement.transactions for value in vars(each).values()]
anywhere = [value for value in kept if "eur" in value]
print("ofxparse", version("ofxparse"))
print("expected: a on 2026-01-31 or with its offset, c in EUR, c once")
print("seen:    ", seen, statement.currency, "and EUR in", anywhere)
assert seen == [
    ("a", "2026-02-01 04:00:00", "20.00"), ("b", "2026-01-31 00:00:00", "30.00"),
    ("c", "2026-01-31 00:00:00", "10.00"), ("c", "2026-01-31 00:00:00", "10.00"),
]
assert (statement.currency, anywhere) == ("usd", [])
PYTHON
