"""P2: the database itself keeps the books, against whoever comes by another way; and what a dead cluster costs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import pytest

from recordfirst import Account, AccountFlags, LedgerUnavailable, Misuse, SqlLedger, Transfer, TransferFlags
from recordfirst.conformance.ledger import TwoAccounts, opened
from recordfirst.conformance.record import run
from recordfirst.ledgers.tigerbeetle import TigerBeetle
from recordfirst.process.group_commit import GroupCommit
from tests.ledgers.conftest import sql_ledger

ADD = "INSERT INTO {t}transfer SELECT app, '77', debit_account_id, "
FORBIDDEN = {
    "UPDATE {t}transfer SET amount = amount + 1": "never changed",
    "DELETE FROM {t}transfer": "never changed",
    "UPDATE {t}pending SET status = 'pending' WHERE status = 'posted'": "settled once",
    "UPDATE {t}account SET flags = flags | 2 WHERE debits_posted > credits_posted": "(?i)check constraint",
    "UPDATE {t}account SET debits_posted = -1": "(?i)check constraint|transfers alone",
    ADD
    + "credit_account_id, 10, NULL, '0', '0', 0, 0, 1, 1, 0, 7 FROM {t}transfer WHERE amount = 3": "(?i)check constr",
    ADD + "'78', 1, NULL, '0', '0', 0, 0, 1, 1, 0, 7 FROM {t}transfer WHERE amount = 3": "(?i)foreign key",
    ADD
    + "credit_account_id, 1, id, '0', '0', 0, 0, 1, 1, 4, 7 FROM {t}transfer WHERE amount = 3": "what is not pending",
    ADD + "credit_account_id, 1, pending_id, '0', '0', 0, 0, 1, 1, 8, 7 FROM {t}transfer WHERE flags = 4": (
        "(?i)unique|what is not pending"
    ),
}


async def in_use(ledger: SqlLedger) -> TwoAccounts:
    """TwoAccounts with a transfer of each kind: the customer has 3 left."""
    books = await opened(ledger)
    spend = {"debit_account_id": books.customer, "credit_account_id": books.shop}
    assert (
        await books.make(
            books.move(1, 10),
            books.move(2, 4, flags=TransferFlags.PENDING, **spend),
            books.settle(3, 2, TransferFlags.POST_PENDING_TRANSFER, 4),
            books.move(4, 3, **spend),
        )
        == ["created"] * 4
    )
    return books


@pytest.mark.parametrize("statement", FORBIDDEN, ids=range(len(FORBIDDEN)))
async def test_what_the_database_refuses(record_url, statement):
    """No statement breaks double entry, overdraws, settles twice or changes what was transferred."""
    async with sql_ledger(record_url) as ledger:
        books = await in_use(ledger)
        before = await ledger.lookup_accounts([books.bank, books.customer, books.shop])
        table = "recordfirst.ledger_" if record_url.startswith("postgresql") else "recordfirst_ledger_"
        with pytest.raises(Exception, match=FORBIDDEN[statement]):
            async with ledger._record.transaction() as tx:
                await tx.connection.execute(statement.replace("{t}", table))
        assert await ledger.lookup_accounts([books.bank, books.customer, books.shop]) == before


async def test_a_transfer_by_hand_moves_both_sides(record_url):
    """Also who inserts a row by SQL can only make double entry."""
    async with sql_ledger(record_url) as ledger:
        books = await in_use(ledger)
        table = "recordfirst.ledger_" if record_url.startswith("postgresql") else "recordfirst_ledger_"
        async with ledger._record.transaction() as tx:
            await tx.connection.execute(
                f"INSERT INTO {table}transfer SELECT app, '77', debit_account_id, credit_account_id, 2, NULL, '0', '0',"
                f" 0, 0, 1, 1, 0, 7 FROM {table}transfer WHERE amount = 3"
            )
        assert await books.balances(books.customer) == (0, 9, 0, 10)
        assert await books.balances(books.shop) == (0, 0, 0, 9)


async def test_sqlite_says_how_large_an_amount_may_be(sqlite_path):
    """A balance that SQLite could not hold exactly overflows, as it does in TigerBeetle at 128 bits."""
    async with sql_ledger(f"sqlite:///{sqlite_path}") as ledger:
        books = await opened(ledger)
        most = ledger.capabilities.amount_max
        assert most == (1 << 63) - 1
        results = await books.make(books.move(1, most + 1), books.move(2, most), books.move(3, 1))
        assert results == ["overflows_debits_posted", "created", "overflows_debits_posted"]
        assert await books.balances(books.customer) == (0, 0, 0, most)


async def test_apps_have_ledgers_of_their_own(record_url):
    """Two apps in one record use the same ids without meeting."""
    async with sql_ledger(record_url) as ledger, sql_ledger(record_url, app="other") as other:
        for one in (ledger, other):
            created = await one.create_accounts([Account(id=7, ledger=1, code=1, flags=AccountFlags(0))])
            assert [result.status for result in created] == ["created"]


async def test_a_record_that_is_gone_is_a_ledger_that_does_not_answer(record_url):
    """P9: plumbing is unavailability, with an unknown outcome, and never a result."""
    async with sql_ledger(record_url) as ledger:
        books = await opened(ledger)
    with pytest.raises(LedgerUnavailable, match="no answer from the ledger"):
        await books.make(books.move(1, 1))
    with pytest.raises(LedgerUnavailable):
        await books.balances(books.bank)
    assert LedgerUnavailable.fate == "unknown"


# ── TigerBeetle, where none is ──────────────────────────────────────────────


async def test_trap_29_a_dead_cluster_holds_nobody(unused_port):
    """The official client waits for ever; we do not, and what else was in flight is told at once."""
    async with TigerBeetle(f"127.0.0.1:{unused_port}", deadline_s=0.2) as ledger:
        began = time.monotonic()
        asked = [ledger.lookup_accounts([1]), ledger.create_transfers([Transfer(id=1)]), ledger.lookup_transfers([1])]
        for found in await asyncio.gather(*asked, return_exceptions=True):
            assert isinstance(found, LedgerUnavailable)
        assert time.monotonic() - began < 5
        with pytest.raises(LedgerUnavailable, match=r"nothing came within 0\.2 s"):
            await ledger.lookup_accounts([1])


async def test_who_gives_up_leaves_the_client_whole(unused_port):
    """A caller that is cancelled takes nothing from the client that still works for it."""
    async with TigerBeetle(f"127.0.0.1:{unused_port}", deadline_s=0.5) as ledger:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await ledger.lookup_accounts([1])
        with pytest.raises(LedgerUnavailable):
            await ledger.lookup_accounts([1])


def test_addresses_that_cannot_be_read():
    """One line that says how they are written."""
    with pytest.raises(Misuse, match="write addresses as '3000'"):
        run(TigerBeetle("nowhere at all").lookup_accounts([1]))
    with pytest.raises(Misuse, match="deadline_s"):
        TigerBeetle("3000", deadline_s=0)


# ── requests that go together ───────────────────────────────────────────────


async def test_what_comes_meanwhile_goes_together():
    """Alone, a request goes at once; while one is under way the others gather, up to the most; none is cut."""
    sent: list[Sequence[int]] = []

    async def work(items: Sequence[int]) -> list[int]:
        sent.append(items)
        await asyncio.sleep(0)
        return [-item for item in items]

    batches = GroupCommit(work, most=4)
    requests = [[1], [2, 3], [4, 5], [6], [7], [8, 9, 10]]
    answers = await asyncio.gather(*(batches.add_all(items, alone=items == [6]) for items in requests))
    assert answers == [[-item for item in items] for items in requests]
    assert sent == [[1, 2, 3], [4, 5, 6], [7, 8, 9, 10]]


async def test_one_that_cannot_be_taken_fails_alone():
    """Who is sent with a request that its ledger cannot take is sent again without it."""

    async def work(items: Sequence[int]) -> Sequence[int]:
        if 13 in items:
            raise ValueError("13")
        return items

    batches = GroupCommit(work, most=10)
    answers = await asyncio.gather(*(batches.add_all([n]) for n in (12, 13, 14)), return_exceptions=True)
    assert [answers[0], answers[2]] == [[12], [14]]
    assert isinstance(answers[1], ValueError)
