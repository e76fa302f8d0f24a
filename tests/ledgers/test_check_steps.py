"""P10: what a check compares a ledger with: the receipts of whatever has sent to it, also of steps that are gone."""

from __future__ import annotations

import importlib
import sys
from typing import Any

import pytest
from click.testing import CliRunner

from recordfirst import App, Ledger, SqlLedger
from recordfirst.cli import main
from recordfirst.conformance.record import run
from recordfirst.records.open import record_from_url
from tests.ledgers import program
from tests.ledgers.program import Purchase, Till


@pytest.fixture
def till(record_url: str) -> Till:
    return Till(record_url, "", Purchase("1"))


async def test_a_step_that_the_app_has_no_more(till):
    """Its transfers were sent by receipts, which are kept for ever: no finding. Without them, each is one."""
    await till.prepare()
    async with till.working() as app:
        await (await app.start(program.paying, till.purchase, id="1")).result()
    record = record_from_url(till.url)
    later = App("shop", record=record, workflows=[program.with_fee])
    later.provide(SqlLedger(record), as_=Ledger)
    async with later:
        assert (await later.reconcile(only=["ledger"])).found == []
        async with record.transaction() as tx:
            table = "recordfirst_receipt" if till.url.startswith("sqlite") else "recordfirst.receipt"
            await tx.connection.execute(f"DELETE FROM {table} WHERE function = 'pay'")
        [found] = (await later.reconcile(only=["ledger"])).left
        assert found.code == "RF-TRANSFER-ORPHAN"


def test_each_ledger_with_its_own(till, tmp_path, monkeypatch):
    """What was sent to another ledger is no loss of this one, for the command line nor for a reconcile."""
    elsewhere = Till(f"sqlite:///{tmp_path / 'elsewhere.db'}", "", till.purchase)
    monkeypatch.setenv("TILL_RECORD", till.url)
    monkeypatch.setenv("TILL_SAVINGS", elsewhere.url)
    monkeypatch.delitem(sys.modules, "tests.ledgers.savings", raising=False)
    shop: Any = importlib.import_module("tests.ledgers.savings")

    async def go() -> None:
        await till.prepare()
        await elsewhere.prepare()
        async with shop.app, shop.app.worker():
            await (await shop.app.start(program.paying, till.purchase, id="1")).result()
            await (await shop.app.start(shop.saving, till.purchase, id="2")).result()
            assert (await shop.app.reconcile(only=["ledger"])).found == []

    run(go())
    done = CliRunner().invoke(main, ["ledger", "check", "--app", "tests.ledgers.savings:app"])
    assert (done.exit_code, done.output) == (0, "the ledger is in order\n")
