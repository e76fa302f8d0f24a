#!/usr/bin/env bash
# A payment file that is exported a second time pays everybody twice.
#
# Packages: sepaxml 2.7.0.
# Expected: export() writes what add_payment was given, so that calling it again (a preview and then the upload, or a
# retry after the upload failed) gives the same payments.
# Seen: each call adds the batches to the document once more, under a new PmtInfId. The second file holds the payment
# twice, both with its EndToEndId, under the first file's MsgId. The header counts 3 transactions over 30.36, with two
# of 10.12 in the file. It passes the schema's validation, which export() runs.
# Source: sepaxml/shared.py, export(): _finalize_batch() appends to the tree that it keeps, and the totals sum every
# NbOfTxs and CtrlSum, the header's own of the last time among them.
# Means: call export() once, keep its bytes, and send those again; a bank that compares the header's sum refuses the
# second file, and one that looks for EndToEndId twice may not.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
pyenv=${PYENV_ROOT:-$HOME/.pyenv}
for python in "${PYTHON:-python3.13}" python3.12 python3.14 "$pyenv"/versions/3.1[2-4].*/bin/python; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then break; fi
done
"$python" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check sepaxml==2.7.0
"$folder/venv/bin/python" -W ignore - "$folder" <<'PYTHON'
import datetime
import importlib.metadata
import re

from sepaxml import SepaTransfer


def payments(file):
    text = file.decode()

    def found(tag):
        return re.findall(rf"<{tag}[^>]*>(.*?)</", text)

    return found("InstdAmt"), found("EndToEndId"), (found("NbOfTxs")[0], found("CtrlSum")[0]), found("MsgId")[0]


transfer = SepaTransfer(
    {"name": "Shop", "IBAN": "NL50BANK1234567890", "BIC": "BANKNL2A", "batch": True, "currency": "EUR"}, clean=True
)
transfer.add_payment({
    "name": "Supplier",
    "IBAN": "NL50BANK1234567890",
    "BIC": "BANKNL2A",
    "amount": 1012,
    "execution_date": datetime.date(2026, 1, 2),
    "description": "Invoice 1",
    "endtoend_id": "INVOICE-1",
})
first, second = payments(transfer.export(validate=True)), payments(transfer.export(validate=True))
print("sepaxml", importlib.metadata.version("sepaxml"))
print("expected:", first[:3], "both times")
print("seen:    ", first[:3], "then", second[:3])
assert first[:3] == (["10.12"], ["INVOICE-1"], ("1", "10.12"))
assert second == (["10.12"] * 2, ["INVOICE-1"] * 2, ("3", "30.36"), first[3])
PYTHON
