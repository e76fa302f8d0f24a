"""The app that the commands are given: ``--app tests.ledgers.till:app``, on the record that ``TILL_RECORD`` names."""

from __future__ import annotations

import os

from recordfirst import App, Ledger, SqlLedger
from recordfirst.records.open import record_from_url
from tests.ledgers import program

_record = record_from_url(os.environ.get("TILL_RECORD", "sqlite:///till.db"))
app = App("shop", record=_record, workflows=program.WORKFLOWS)
app.provide(SqlLedger(_record), as_=Ledger)
