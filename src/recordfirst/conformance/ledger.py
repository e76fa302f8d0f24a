"""What a ledger must do, as tests. Inherit, and say how your ledger is opened::

    from recordfirst.conformance.ledger import LedgerConformance

    class TestMyLedger(LedgerConformance):
        @pytest.fixture
        def open_ledger(self, tmp_path):
            return functools.partial(my_ledger, tmp_path)

``open_ledger`` gives a function without arguments: whenever it is called, it returns an async context manager that
opens one and the same ledger. It need not be empty, and it may keep everything for ever: every test takes new ids.

Needs pytest and hypothesis. Results are compared with :mod:`recordfirst.ledgers.model`, which is TigerBeetle's meaning.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recordfirst.conformance.ledger_histories import History, compare
from recordfirst.conformance.record import run
from recordfirst.errors import Misuse
from recordfirst.ledgers.contract import (
    AMOUNT_MAX,
    U128_MAX,
    Account,
    AccountFilter,
    AccountFlags,
    Ledger,
    QueryFilter,
    Transfer,
    TransferFlags,
)

type OpenLedger = Callable[[], AbstractAsyncContextManager[Ledger]]

PENDING = TransferFlags.PENDING
POST = TransferFlags.POST_PENDING_TRANSFER
VOID = TransferFlags.VOID_PENDING_TRANSFER
LINKED = TransferFlags.LINKED
NO_OVERDRAFT = AccountFlags.DEBITS_MUST_NOT_EXCEED_CREDITS

_chance = random.SystemRandom()
_TIMEOUTS = (0, 0, 0, 1_000_000)
"""Seconds; a pending transfer that expires in the middle of a history would make what is compared a matter of when."""


class TwoAccounts:
    """Two accounts with new ids, ``bank`` and ``customer`` (who must not overdraw), and shorthands to use them."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.first = _chance.randrange(1, 1 << 100) << 20
        self.bank, self.customer, self.shop = self.first, self.first + 1, self.first + 2

    async def open(self, *, flags: AccountFlags = NO_OVERDRAFT) -> None:
        """Create the accounts."""
        accounts = [
            Account(id=self.bank, ledger=1, code=1),
            Account(id=self.customer, ledger=1, code=1, flags=flags),
            Account(id=self.shop, ledger=1, code=1),
        ]
        assert await statuses(self.ledger.create_accounts(accounts)) == ["created"] * 3

    def move(self, number: int, amount: int, **what: Any) -> Transfer:
        """From the bank to the customer, unless something else is said."""
        given = {"debit_account_id": self.bank, "credit_account_id": self.customer, "ledger": 1, "code": 1}
        return Transfer(**(given | {"id": self.first + 1000 + number, "amount": amount} | what))

    def settle(self, number: int, pending: int, flags: TransferFlags, amount: int = 0, **what: Any) -> Transfer:
        """Post or void the pending transfer of that number."""
        return Transfer(
            id=self.first + 1000 + number,
            pending_id=self.first + 1000 + pending,
            flags=flags,
            amount=amount,
            **what,
        )

    async def make(self, *transfers: Transfer) -> list[str]:
        """Create transfers in one request."""
        return await statuses(self.ledger.create_transfers(list(transfers)))

    async def balances(self, account: int) -> tuple[int, int, int, int]:
        """Debits pending and posted, credits pending and posted."""
        [found] = await self.ledger.lookup_accounts([account])
        return found.debits_pending, found.debits_posted, found.credits_pending, found.credits_posted


def _history(seed: int) -> History:
    chances = random.Random(seed)  # noqa: S311 - it is to be repeatable
    return History(chances, seed, timeouts=_TIMEOUTS)


async def statuses(work: Any) -> list[str]:
    """The names alone of what came of a request."""
    return [result.status for result in await work]


async def opened(ledger: Ledger, **what: Any) -> TwoAccounts:
    """New accounts on a ledger."""
    books = TwoAccounts(ledger)
    await books.open(**what)
    return books


class LedgerConformance:
    """Results and balances as TigerBeetle gives them."""

    def test_trap_26_what_exists_already_is_said_to_exist(self, open_ledger: OpenLedger) -> None:
        """The same transfer again is ``exists``, with the time of the first; other fields are named."""

        async def go() -> None:
            async with open_ledger() as ledger:
                books = await opened(ledger)
                [first] = await ledger.create_transfers([books.move(1, 5)])
                [again] = await ledger.create_transfers([books.move(1, 5)])
                assert (first.status, again.status, again.timestamp) == ("created", "exists", first.timestamp)
                different: dict[str, dict[str, int]] = {
                    "flags": {"flags": PENDING},
                    "debit_account_id": {"debit_account_id": books.shop},
                    "credit_account_id": {"credit_account_id": books.shop},
                    "amount": {"amount": 6},
                    "user_data_128": {"user_data_128": 1},
                    "user_data_64": {"user_data_64": 1},
                    "user_data_32": {"user_data_32": 1},
                    "ledger": {"ledger": 2},
                    "code": {"code": 2},
                }
                asked = [books.move(1, what.pop("amount", 5), **what) for what in different.values()]
                assert await books.make(*asked) == [f"exists_with_different_{name}" for name in different]
                assert await books.balances(books.customer) == (0, 0, 0, 5)

        run(go())

    def test_trap_27_an_id_that_failed_stays_failed(self, open_ledger: OpenLedger) -> None:
        """A refusal is final for its id, also when the reason is gone; another id is another try."""

        async def go() -> None:
            async with open_ledger() as ledger:
                books = await opened(ledger)
                sides = {"debit_account_id": books.customer, "credit_account_id": books.shop}
                assert await books.make(books.move(1, 7, **sides)) == ["exceeds_credits"]
                assert await books.make(books.move(2, 10)) == ["created"]
                assert await books.make(books.move(1, 7, **sides)) == ["id_already_failed"]
                assert await books.make(books.move(3, 7, **sides)) == ["created"]
                assert await books.balances(books.customer) == (0, 7, 0, 10)
                known = await ledger.refusals([books.move(1, 7).id, books.move(2, 7).id])
                if ledger.capabilities.remembers_refusals:
                    assert known == {books.move(1, 7).id: "exceeds_credits"}
                else:
                    assert known == {}

        run(go())

    def test_trap_28_what_was_really_moved_can_be_read(self, open_ledger: OpenLedger) -> None:
        """A balancing transfer and a partial post hold the amount that they moved, not the one asked for."""

        async def go() -> None:
            async with open_ledger() as ledger:
                books = await opened(ledger)
                sides = {"debit_account_id": books.customer, "credit_account_id": books.shop}
                balancing = books.move(2, AMOUNT_MAX, flags=TransferFlags.BALANCING_DEBIT, **sides)
                assert await books.make(books.move(1, 10), balancing, balancing) == ["created", "created", "exists"]
                held, part = books.move(3, 9, flags=PENDING), books.settle(4, 3, POST, 4)
                assert await books.make(held, part, part) == ["created", "created", "exists"]
                found = await ledger.lookup_transfers([balancing.id, part.id])
                assert [transfer.amount for transfer in found] == [10, 4]
                assert (found[1].debit_account_id, found[1].credit_account_id) == (books.bank, books.customer)

        run(go())

    def test_reserve_then_post_or_void(self, open_ledger: OpenLedger) -> None:
        """What is pending counts against a limit, and is settled once."""

        async def go() -> None:
            async with open_ledger() as ledger:
                books = await opened(ledger)
                sides = {"debit_account_id": books.customer, "credit_account_id": books.shop, "flags": PENDING}
                assert await books.make(books.move(1, 10), books.move(2, 6, **sides)) == ["created"] * 2
                assert await books.balances(books.customer) == (6, 0, 0, 10)
                assert await books.make(books.move(3, 5, **sides)) == ["exceeds_credits"]
                everything = books.settle(4, 2, POST, AMOUNT_MAX)
                assert await books.make(everything, everything) == ["created", "exists"]
                late = [books.settle(5, 2, VOID), books.settle(6, 2, POST, AMOUNT_MAX), books.settle(7, 1, VOID)]
                assert await books.make(*late) == [
                    "pending_transfer_already_posted",
                    "pending_transfer_already_posted",
                    "pending_transfer_not_pending",
                ]
                assert await books.make(books.move(8, 4, **sides), books.settle(9, 8, VOID)) == ["created"] * 2
                assert await books.make(books.settle(10, 8, POST, AMOUNT_MAX)) == ["pending_transfer_already_voided"]
                assert await books.balances(books.customer) == (0, 6, 0, 10)
                assert await books.balances(books.shop) == (0, 0, 0, 6)

        run(go())

    def test_what_is_pending_expires(self, open_ledger: OpenLedger) -> None:
        """After its timeout a pending transfer no longer holds anything, and cannot be posted."""

        async def go() -> None:
            async with open_ledger() as ledger:
                books = await opened(ledger)
                sides = {"debit_account_id": books.customer, "credit_account_id": books.shop}
                held = books.move(2, 10, flags=PENDING, timeout=1, **sides)
                assert await books.make(books.move(1, 10), held) == ["created"] * 2
                while await books.balances(books.customer) != (0, 0, 0, 10):  # noqa: ASYNC110 - nobody else tells
                    await asyncio.sleep(0.05)
                assert await books.make(books.settle(3, 2, POST, AMOUNT_MAX)) == ["pending_transfer_expired"]
                assert await books.make(held, books.move(4, 10, **sides)) == ["exists", "created"]

        run(go())

    def test_a_chain_is_all_or_nothing(self, open_ledger: OpenLedger) -> None:
        """One that fails takes the others of its chain with it, and nobody else; sent again, all of it exists."""

        async def go() -> None:
            async with open_ledger() as ledger:
                books = await opened(ledger)
                spend = {"debit_account_id": books.customer, "credit_account_id": books.shop}
                chain = [books.move(1, 5, flags=LINKED), books.move(2, 9, **spend)]
                alone = books.move(3, 1)
                assert await books.make(*chain, alone) == ["linked_event_failed", "exceeds_credits", "created"]
                good = [books.move(4, 5, flags=LINKED), books.move(5, 6, **spend)]
                assert await books.make(*good) == ["created", "created"]
                assert await books.make(*good) == ["exists", "linked_event_failed"]
                open = books.move(6, 1, flags=LINKED)
                assert await books.make(open) == ["linked_event_chain_open"]
                assert await books.balances(books.customer) == (0, 6, 0, 6)

        run(go())

    def test_requests_that_come_together_keep_apart(self, open_ledger: OpenLedger) -> None:
        """Each gets its own results, in its order; one whose chain is left open takes nothing of the next."""

        async def go() -> None:
            async with open_ledger() as ledger:
                books = await opened(ledger)
                requests = [[books.move(10 * n + k, k + 1) for k in range(n % 4 + 1)] for n in range(30)]
                requests[7] = [books.move(700, 1), books.move(701, 1, flags=LINKED)]
                results = await asyncio.gather(*(books.make(*request) for request in requests))
                expected = [["created"] * len(request) for request in requests]
                expected[7] = ["created", "linked_event_chain_open"]
                assert results == expected
                assert await ledger.create_transfers([]) == []

        run(go())

    def test_p9_one_hot_account_from_everywhere(self, open_ledger: OpenLedger) -> None:
        """Many at once, in both directions and from two clients: no deadlock, and the balance is their sum."""

        async def go() -> None:
            async with open_ledger() as one, open_ledger() as other:
                books = await opened(one, flags=AccountFlags(0))
                back = {"debit_account_id": books.customer, "credit_account_id": books.bank}

                async def make(number: int) -> list[str]:
                    what = back if number % 2 else {}
                    ledger = (one, other)[number // 2 % 2]
                    return await statuses(ledger.create_transfers([books.move(number, 1 + number % 2, **what)]))

                assert await asyncio.gather(*(make(number) for number in range(120))) == [["created"]] * 120
                assert await books.balances(books.customer) == (0, 120, 0, 60)
                assert await books.balances(books.bank) == (0, 60, 0, 120)

        run(go())

    def test_p3_two_who_send_the_same(self, open_ledger: OpenLedger) -> None:
        """A worker and its successor send one transfer at the same time: it is moved once, and both are told so."""

        async def go() -> None:
            async with open_ledger() as one, open_ledger() as other:
                books = await opened(one)
                sent = [ledger.create_transfers([books.move(n, 1)]) for n in range(20) for ledger in (one, other)]
                found = sorted([result.status for [result] in await asyncio.gather(*sent)])
                assert found == ["created"] * 20 + ["exists"] * 20
                assert await books.balances(books.customer) == (0, 0, 0, 20)

        run(go())

    def test_closing(self, open_ledger: OpenLedger) -> None:
        """A pending transfer closes an account; voiding it opens the account again."""

        async def go() -> None:
            async with open_ledger() as ledger:
                books = await opened(ledger)
                closing = books.move(1, 0, flags=PENDING | TransferFlags.CLOSING_CREDIT)
                assert await books.make(closing, books.move(2, 1)) == ["created", "credit_account_already_closed"]
                [account] = await ledger.lookup_accounts([books.customer])
                assert account.flags & AccountFlags.CLOSED
                assert await books.make(books.settle(3, 1, VOID), books.move(4, 1)) == ["created", "created"]

        run(go())

    def test_p10_everything_can_be_listed(self, open_ledger: OpenLedger) -> None:
        """Page by page in the order of time, by account, and by what they carry."""

        async def go() -> None:
            async with open_ledger() as ledger:
                books = await opened(ledger)
                mark = books.first & ((1 << 60) - 1) | 1
                made = [books.move(n, n + 1, user_data_128=books.first, user_data_64=mark) for n in range(7)]
                assert await books.make(*made, books.move(9, 1)) == ["created"] * 8
                found: list[Transfer] = []
                while page := await ledger.query_transfers(
                    QueryFilter(
                        user_data_128=books.first,
                        timestamp_min=found[-1].timestamp + 1 if found else 0,
                        limit=3,
                    )
                ):
                    found += page
                assert [transfer.id for transfer in found] == [transfer.id for transfer in made]
                newest = QueryFilter(user_data_64=mark, code=1, ledger=1, limit=1, reversed=True)
                assert [t.id for t in await ledger.query_transfers(newest)] == [made[-1].id]
                mine = AccountFilter(account_id=books.customer, limit=100)
                assert [t.amount for t in await ledger.get_account_transfers(mine)] == [1, 2, 3, 4, 5, 6, 7, 1]
                assert await ledger.get_account_transfers(AccountFilter(account_id=books.customer, credits=False)) == []
                accounts = await ledger.query_accounts(QueryFilter(timestamp_min=found[0].timestamp - 10_000_000_000))
                assert {books.bank, books.customer} <= {account.id for account in accounts}
                ids = [made[0].id, 12345, made[1].id]
                assert [t.id for t in await ledger.lookup_transfers(ids)] == [made[0].id, made[1].id]

        run(go())

    def test_p10_what_a_balance_was(self, open_ledger: OpenLedger) -> None:
        """After each transfer of an account with history, of the sides asked for; of one without, nothing."""

        async def go() -> None:
            async with open_ledger() as ledger:
                books = await opened(ledger, flags=NO_OVERDRAFT | AccountFlags.HISTORY)
                back = {"debit_account_id": books.customer, "credit_account_id": books.bank}
                assert await books.make(books.move(0, 5)) == ["created"]
                assert await books.make(
                    books.move(1, 3, flags=PENDING, **back),
                    books.move(2, 9, **back),
                    books.settle(3, 1, POST, amount=2),
                ) == ["created", "exceeds_credits", "created"]
                assert await books.make(
                    books.move(4, 1, flags=LINKED, **back), books.move(5, 9, **back), books.move(6, 1, **back)
                ) == ["linked_event_failed", "exceeds_credits", "created"]

                async def was(**what: Any) -> list[tuple[int, int, int, int]]:
                    filter = AccountFilter(**({"account_id": books.customer, "limit": 100} | what))
                    found = await ledger.get_account_balances(filter)
                    return [(b.debits_pending, b.debits_posted, b.credits_pending, b.credits_posted) for b in found]

                whole = [(0, 0, 0, 5), (3, 0, 0, 5), (0, 2, 0, 5), (0, 3, 0, 5)]
                assert await was() == whole
                assert await was(debits=False) == whole[:1]
                assert await was(credits=False) == whole[1:]
                assert await was(reversed=True, limit=3) == whole[:0:-1]
                made = await ledger.get_account_transfers(AccountFilter(account_id=books.customer))
                kept = await ledger.get_account_balances(AccountFilter(account_id=books.customer))
                assert [balance.timestamp for balance in kept] == [transfer.timestamp for transfer in made]
                assert await was(timestamp_min=made[1].timestamp, timestamp_max=made[2].timestamp) == whole[1:3]
                assert await was(account_id=books.bank) == []

        run(go())

    def test_what_does_not_fit_is_refused_before_it_is_sent(self, open_ledger: OpenLedger) -> None:
        """Money that is no whole number, or an id that is too long, never leaves."""

        async def go() -> None:
            async with open_ledger() as ledger:
                books = TwoAccounts(ledger)
                for wrong in (
                    {"amount": 19.99},
                    {"amount": -1},
                    {"code": 1 << 16},
                    {"amount": True},
                    {"flags": 1 << 12},
                ):
                    with pytest.raises(Misuse, match=next(iter(wrong))):
                        await books.make(Transfer(**({"id": 1} | wrong)))
                with pytest.raises(Misuse, match="at most 128 bits"):
                    await ledger.lookup_accounts([U128_MAX + 1])
                with pytest.raises(Misuse, match="in one request"):
                    await ledger.create_transfers([books.move(1, 1)] * (ledger.capabilities.batch_max + 1))

        run(go())

    def test_many_random_operations(self, open_ledger: OpenLedger) -> None:
        """As many as asked for by RECORDFIRST_TEST_LEDGER_OPERATIONS, after a seed that a failure shows."""
        wanted = int(os.environ.get("RECORDFIRST_TEST_LEDGER_OPERATIONS", "400"))

        async def go() -> None:
            done = 0
            async with open_ledger() as ledger:
                while done < wanted:
                    seed = _chance.randrange(1, 1 << 90)
                    try:
                        done += await compare(ledger, _history(seed), 40)
                    except AssertionError as error:
                        raise AssertionError(f"after History(Random({seed}), {seed}): {error}") from error

        with asyncio.Runner() as runner:
            runner.run(go())

    @settings(
        max_examples=12,
        deadline=None,
        database=None,
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.too_slow,
            HealthCheck.differing_executors,
        ],
    )
    @given(chances=st.randoms(use_true_random=False), requests=st.integers(1, 25))
    def test_any_history_comes_to_what_the_model_says(
        self, open_ledger: OpenLedger, chances: random.Random, requests: int
    ) -> None:
        """Random requests: every result, balance, transfer and time is the model's."""

        async def go() -> None:
            async with open_ledger() as ledger:
                await compare(ledger, History(chances, _chance.randrange(1, 1 << 90)), requests)

        run(go())
