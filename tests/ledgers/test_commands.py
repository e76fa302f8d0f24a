"""P10: the ledger as the command line shows it, by business keys; and a check that finds what is wrong."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import sys

import pytest
from click.testing import CliRunner

from recordfirst.cli import main
from recordfirst.conformance.record import run
from recordfirst.reconcile.passes.ledgers import CODES
from recordfirst.records.open import record_from_url
from tests.ledgers import program
from tests.ledgers.program import Purchase, Till


@pytest.fixture
def till(record_url, monkeypatch) -> Till:
    """A shop that has sold something, held something, and given it back."""
    monkeypatch.setenv("TILL_RECORD", record_url)
    monkeypatch.setattr("recordfirst.reconcile.passes.ledgers._SETTLING_S", 0.01)
    monkeypatch.delitem(sys.modules, "tests.ledgers.till", raising=False)
    till = Till(record_url, "", Purchase("1"))

    async def sell() -> None:
        await till.prepare(funds=10_000)
        async with till.working() as app:
            await (await app.start(program.two_phase, till.purchase, id="purchase:1")).result()

    run(sell())
    return till


def command(*words: str, status: int = 0) -> str:
    """What a command prints."""
    done = CliRunner().invoke(main, ["ledger", *words, "--app", "tests.ledgers.till:app"])
    assert done.exit_code == status, done.output
    return done.output


def listed(*words: str, status: int = 0) -> list[dict]:
    found = json.loads(command(*words, "--json", status=status))
    assert isinstance(found, list)
    return found


def test_it_can_be_looked_at(till):
    """Accounts, transfers of an account and of a key, and one balance by its name."""
    assert "BALANCE" in command("accounts")
    by_id = {account["id"]: account["balance"] for account in listed("accounts")}
    assert by_id[str(till.purchase.account("customer"))] == 10_000 - 1999
    [held] = listed("transfers", "--key", "purchase:1:hold")
    [posted] = listed("transfers", "--key", "purchase:1:settle")
    assert (held["flags"], posted["flags"], posted["pending_id"]) == ("pending", "post_pending_transfer", held["id"])
    assert [found["id"] for found in listed("transfers", "--account", "1:shop")] == [posted["id"], held["id"]]
    assert len(listed("transfers", "--limit", "2")) == 2
    assert "AMOUNT" in command("transfers")
    shown = json.loads(command("balance", "1:shop", "--json"))
    assert (shown["balance"], shown["credits_pending"]) == (1999, 0)
    assert "balance" in command("balance", shown["id"])
    was = listed("history", "1:customer")
    assert [(row["balance"], row["debits_pending"]) for row in was] == [(8001, 0), (10_000, 1999), (10_000, 0)]
    assert "DEBITS HELD" in command("history", "1:customer", "--limit", "1")
    assert "keeps no history: it was opened without AccountFlags.HISTORY" in command("history", "1:shop", status=1)
    assert command("check") == "the ledger is in order\n"
    done = CliRunner().invoke(main, ["reconcile", "--app", "tests.ledgers.till:app", "--pass", "ledger"])
    assert (done.exit_code, done.output) == (0, "0 found, 0 left; looked at: ledger 7\n")


def test_what_was_collected_is_no_finding(till):
    """P10: the ledger keeps everything, so what it has is compared with its receipts for ever."""

    async def collect() -> None:
        async with till.app() as app:
            assert (await app.collect(older_than_s=0)).receipts == 1

    run(collect())
    assert command("check") == "the ledger is in order\n"
    till.purchase = Purchase("2")

    async def sell() -> None:
        await till.prepare(funds=10_000)
        async with till.working() as app:
            await (await app.start(program.two_phase, till.purchase, id="purchase:2")).result()

    run(sell())
    assert command("check") == "the ledger is in order\n"
    run(forget(till))
    assert "transfer without receipt" in command("check", status=1)


async def forget(till: Till) -> None:
    """Somebody deletes a receipt."""
    postgres = till.url.startswith("postgresql")
    record = record_from_url(till.url)
    await record.open("shop")
    async with record.transaction() as tx:
        table = "recordfirst.receipt" if postgres else "recordfirst_receipt"
        await tx.connection.execute(f"DELETE FROM {table} WHERE function = 'settle'")
    await record.close()


def test_what_is_not_there_is_said_in_one_line(till):
    """No account, no such option together, no ledger."""
    assert "has no account 'nobody'" in command("balance", "nobody", status=1)
    assert "has no account 'nobody'" in command("history", "nobody", status=1)
    assert "not both" in command("transfers", "--key", "a", "--account", "b", status=2)
    done = CliRunner().invoke(main, ["ledger", "accounts", "--app", "tests.cli.shop:app"])
    assert done.exit_code == 1


DAMAGE = {
    "balance differs from transfers": "UPDATE {l}account SET credits_posted = 1 + credits_posted WHERE code = 1",
    "debits differ from credits": "UPDATE {l}account SET debits_posted = debits_posted + 1 WHERE debits_posted > 0",
    "receipt without transfer": "UPDATE {r} SET result = replace(CAST(result AS text), '\"id\":', '\"id\":1'){json}"
    " WHERE function = 'hold'",
    "transfer without receipt": "DELETE FROM {r} WHERE function = 'settle'",
    "limit exceeded": "UPDATE {l}account SET flags = 2 WHERE debits_posted > credits_posted",
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_the_check_finds_what_somebody_has_done_by_hand(till, kind):
    """Each kind of damage is found and named, and the exit status says so."""
    postgres = till.url.startswith("postgresql")
    names = {
        "l": "recordfirst.ledger_" if postgres else "recordfirst_ledger_",
        "r": "recordfirst.receipt" if postgres else "recordfirst_receipt",
        "json": "::json" if postgres else "",
    }
    statement = DAMAGE[kind].format(**names)

    async def damage() -> None:
        record = record_from_url(till.url)
        await record.open("shop")
        async with record.transaction() as tx:
            await tx.connection.execute("SET LOCAL session_replication_role = replica")
            for (name,) in await (
                await tx.connection.execute(
                    "SELECT conname FROM pg_constraint WHERE contype = 'c' AND conname LIKE 'ledger_account_check%'"
                )
            ).fetchall():
                await tx.connection.execute(f"ALTER TABLE recordfirst.ledger_account DROP CONSTRAINT {name}")
            await tx.connection.execute(statement)
        await record.close()

    def damage_file() -> None:
        """Somebody opens it with a tool of their own, which may leave checks out; a block of ours does not let them."""
        with contextlib.closing(sqlite3.connect(till.url.removeprefix("sqlite:///"), autocommit=True)) as file:
            file.execute("PRAGMA ignore_check_constraints = ON")
            file.execute(statement)

    if postgres:
        run(damage())
    else:
        damage_file()
    assert kind in {finding["kind"] for finding in listed("check", status=1)}
    assert kind in command("check", status=1)
    code = CODES[kind]
    words = ["reconcile", "--app", "tests.ledgers.till:app"]
    assert code not in CliRunner().invoke(main, words).output
    done = CliRunner().invoke(main, [*words, "--pass", "ledger", "--apply"])
    assert (done.exit_code, code in done.output) == (1, True), done.output
    kept = CliRunner().invoke(main, ["findings", "--app", "tests.ledgers.till:app"])
    assert f"{code}: " in kept.output
