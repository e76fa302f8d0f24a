#!/usr/bin/env bash
# A payment that came in is read as one that went out, and dollars as euros, if the bank took a charge.
#
# Packages: pycamt 1.1.1.
# Expected: an entry of camt.053 that credits 90.00 EUR is read as a credit of 90.00 EUR, whatever its details say of
# how it came about: 105.00 USD were instructed, 95.00 EUR arrived, 5.00 EUR of charges were taken.
# Seen: a debit of 105.00 EUR. Details without an amount of their own give up the first one inside them, in another
# currency, beside the entry's currency; and the direction of the charge becomes that of the payment.
# Source: pycamt/parser.py, _extract_transaction and _extract_transaction_details, which search TxDtls at any depth
# (".//Amt", ".//CdtDbtInd"). In camt.053.001.02 TxDtls has neither of its own, and Chrgs may have both.
# Means: an invoice that was paid is booked as money spent. Take amount and direction from the entry, and check that
# each statement's entries lead from its opening balance to its closing one.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
pyenv=${PYENV_ROOT:-$HOME/.pyenv}
for python in "${PYTHON:-python3.13}" python3.12 python3.14 "$pyenv"/versions/3.1[2-4].*/bin/python; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then break; fi
done
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check pycamt==1.1.1
"$folder/venv/bin/python" -W ignore - "$folder" <<'PYTHON'
import importlib.metadata

from pycamt.parser import Camt053Parser

STATEMENT = """<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.02"><BkToCstmrStmt>
<GrpHdr><MsgId>M1</MsgId><CreDtTm>2026-01-02T20:00:00</CreDtTm></GrpHdr>
<Stmt><Id>S1</Id><CreDtTm>2026-01-02T20:00:00</CreDtTm>
<Acct><Id><IBAN>NL91ABNA0417164300</IBAN></Id><Ccy>EUR</Ccy></Acct>
<Bal><Tp><CdOrPrtry><Cd>OPBD</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">1000.00</Amt><CdtDbtInd>CRDT</CdtDbtInd>
<Dt><Dt>2026-01-01</Dt></Dt></Bal>
<Bal><Tp><CdOrPrtry><Cd>CLBD</Cd></CdOrPrtry></Tp><Amt Ccy="EUR">1090.00</Amt><CdtDbtInd>CRDT</CdtDbtInd>
<Dt><Dt>2026-01-02</Dt></Dt></Bal>
<Ntry><Amt Ccy="EUR">90.00</Amt><CdtDbtInd>CRDT</CdtDbtInd><Sts>BOOK</Sts><BookgDt><Dt>2026-01-02</Dt></BookgDt>
<BkTxCd><Domn><Cd>PMNT</Cd><Fmly><Cd>RCDT</Cd><SubFmlyCd>XBCT</SubFmlyCd></Fmly></Domn></BkTxCd>
<NtryDtls><TxDtls><Refs><EndToEndId>INVOICE-1</EndToEndId></Refs>{details}</TxDtls></NtryDtls></Ntry>
</Stmt></BkToCstmrStmt></Document>"""
AMOUNTS = """<AmtDtls><InstdAmt><Amt Ccy="USD">105.00</Amt></InstdAmt>
<TxAmt><Amt Ccy="EUR">95.00</Amt></TxAmt></AmtDtls>"""
CHARGES = """<Chrgs><Amt Ccy="EUR">5.00</Amt><CdtDbtInd>DBIT</CdtDbtInd></Chrgs>"""


def read(details):
    (payment,) = Camt053Parser(STATEMENT.format(details=details)).get_transactions()
    return payment["CreditDebitIndicator"], payment["Amount"], payment["Currency"]


seen = {"alone": read(""), "charged": read(CHARGES), "from dollars": read(AMOUNTS), "both": read(AMOUNTS + CHARGES)}
print("pycamt", importlib.metadata.version("pycamt"))
print("expected:", ("CRDT", "90.00", "EUR"), "each time")
print("seen:    ", seen)
assert seen == {
    "alone": ("CRDT", "90.00", "EUR"),
    "charged": ("DBIT", "5.00", "EUR"),
    "from dollars": ("CRDT", "105.00", "EUR"),
    "both": ("DBIT", "105.00", "EUR"),
}
PYTHON
