"""Random requests, and the comparison of a ledger with the model, result by result and balance by balance.

One generator for all: hypothesis gives it a ``Random`` whose choices it can shrink, a long run one with a seed. Every
history has ids of its own, so that it can be run on a ledger that keeps everything for ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import msgspec

from recordfirst.ledgers.contract import (
    AMOUNT_MAX,
    U32_MAX,
    U128_MAX,
    Account,
    AccountFilter,
    AccountFlags,
    Created,
    Ledger,
    Transfer,
    TransferFlags,
)
from recordfirst.ledgers.model import Model

_ACCOUNTS, _TRANSFERS = 12, 400
_ROOM = 1 << 16


class History:
    """One history of random requests, among few accounts and ids, so that they meet again and again."""

    def __init__(self, random: Random, number: int, *, timeouts: Sequence[int] = (0, 0, 0, 1_000_000)) -> None:
        self._random, self._timeouts = random, timeouts
        base = (number + 1) * _ROOM
        self.accounts = range(base + 1, base + 1 + _ACCOUNTS)
        self.transfers = range(base + 1000, base + 1000 + _TRANSFERS)
        self._pairs = [(one, other) for one in self.accounts[:6] for other in self.accounts[:6] if one != other]
        self._made: list[Transfer] = []
        self._pending: list[Transfer] = []

    def next(self) -> list[Account] | list[Transfer]:
        """Draw the next request."""
        size = self._random.choice((1, 1, 2, 3, 5, 9))
        if self._random.randrange(10) == 9:  # noqa: PLR2004 - one in ten
            return [self._account() for _ in range(size)]
        return [self._transfer() for _ in range(size)]

    def opening(self) -> list[Account]:
        """Accounts to begin with: of every kind, most of them in one ledger."""
        kept = AccountFlags.HISTORY
        limits = (AccountFlags.DEBITS_MUST_NOT_EXCEED_CREDITS, AccountFlags.CREDITS_MUST_NOT_EXCEED_DEBITS | kept)
        kinds = zip(self.accounts, (0, 0, kept, *limits, 0, 0), strict=False)
        opened = [Account(id=id, ledger=1, code=1, flags=AccountFlags(flags)) for id, flags in kinds]
        return [*opened[:-1], msgspec.structs.replace(opened[-1], ledger=2)]

    def _rarely(self, value: Any, otherwise: Any, *, one_in: int = 150) -> Any:
        return value if self._random.randrange(one_in) == one_in - 1 else otherwise

    def _account(self) -> Account:
        flags = AccountFlags(0)
        for flag in AccountFlags:
            flags |= self._rarely(flag, 0, one_in=5)
        wrong = {name: self._rarely(1, 0, one_in=40) for name in ("debits_pending", "debits_posted", "timestamp")}
        return Account(
            id=self._rarely(self._random.choice((0, U128_MAX)), self._random.choice(self.accounts), one_in=20),
            ledger=self._rarely(0, self._random.choice((1, 1, 2)), one_in=20),
            code=self._rarely(0, 1, one_in=20),
            flags=flags,
            user_data_128=self._rarely(U128_MAX, 0, one_in=10),
            user_data_64=self._rarely(1, 0, one_in=10),
            user_data_32=self._rarely(1, 0, one_in=10),
            credits_pending=self._rarely(1, 0, one_in=40),
            credits_posted=self._rarely(1, 0, one_in=40),
            **wrong,
        )

    def _transfer(self) -> Transfer:
        """Mostly a new one that makes sense; else one sent before, as it was or with a field changed."""
        if self._made and self._random.randrange(4) == 3:  # noqa: PLR2004 - one in four
            again = self._random.choice(self._made)
            return again if self._random.randrange(2) else self._changed(again)
        kind = self._random.choice(("move", "move", "pend", "pend", "post", "void", "balance"))
        settled = self._random.choice(self._pending) if self._pending and kind in ("post", "void") else None
        transfer = self._new(kind) if settled is None else self._settling(kind, settled)
        if self._random.randrange(8) == 7:  # noqa: PLR2004 - one in eight
            transfer = self._changed(transfer)
        self._made.append(transfer)
        if transfer.flags & TransferFlags.PENDING:
            self._pending.append(transfer)
        return transfer

    def _new(self, kind: str) -> Transfer:
        debit, credit = self._random.choice(self._pairs)
        flags = self._rarely(TransferFlags.LINKED, 0, one_in=8)
        timeout = 0
        if kind == "pend":
            flags |= TransferFlags.PENDING | self._rarely(TransferFlags.CLOSING_DEBIT, 0, one_in=20)
            flags |= self._rarely(TransferFlags.CLOSING_CREDIT, 0, one_in=20)
            timeout = self._random.choice(self._timeouts)
        if kind == "balance" or self._rarely(1, 0, one_in=10):
            flags |= self._random.choice((TransferFlags.BALANCING_DEBIT, TransferFlags.BALANCING_CREDIT))
        return Transfer(
            id=self._id(),
            debit_account_id=debit,
            credit_account_id=credit,
            amount=AMOUNT_MAX if kind == "balance" and self._random.randrange(2) else self._amount(),
            user_data_64=self._rarely(7, 0, one_in=10),
            timeout=timeout,
            ledger=1,
            code=1,
            flags=TransferFlags(flags),
        )

    def _settling(self, kind: str, held: Transfer) -> Transfer:
        flags = TransferFlags.POST_PENDING_TRANSFER if kind == "post" else TransferFlags.VOID_PENDING_TRANSFER
        everything = AMOUNT_MAX if kind == "post" else 0
        named = self._random.randrange(2)
        return Transfer(
            id=self._id(),
            debit_account_id=named * held.debit_account_id,
            credit_account_id=named * held.credit_account_id,
            amount=self._random.choice(
                (everything, everything, held.amount, held.amount // 2, min(held.amount + 1, AMOUNT_MAX))
            ),
            pending_id=self._rarely(self._random.choice(self._made).id, held.id, one_in=10),
            user_data_128=self._rarely(9, 0, one_in=5),
            ledger=named * held.ledger,
            code=named * held.code,
            flags=TransferFlags(flags | self._rarely(TransferFlags.LINKED, 0, one_in=8)),
        )

    def _changed(self, transfer: Transfer) -> Transfer:
        """With one field set to something else, right or wrong."""
        values: dict[str, Sequence[Any]] = {
            "id": (0, U128_MAX, self._random.choice(self.transfers)),
            "debit_account_id": (0, U128_MAX, 77, *self.accounts),
            "credit_account_id": (0, U128_MAX, 77, *self.accounts),
            "amount": (0, 2, transfer.amount // 2, AMOUNT_MAX, AMOUNT_MAX // 2),
            "pending_id": (0, U128_MAX, transfer.id, self._random.choice(self.transfers)),
            "user_data_128": (0, 9, U128_MAX),
            "user_data_64": (0, 7),
            "user_data_32": (0, 7),
            "timeout": (0, 1_000_000, U32_MAX),
            "ledger": (0, 1, 2),
            "code": (0, 1, 2),
            "flags": [TransferFlags(transfer.flags ^ flag) for flag in TransferFlags],
            "timestamp": (1,),
        }
        name = self._random.choice(list(values))
        return msgspec.structs.replace(transfer, **{name: self._random.choice(values[name])})

    def _id(self) -> int:
        return int(self._random.choice(self.transfers))

    def _amount(self) -> int:
        return int(self._rarely(AMOUNT_MAX // 3, self._random.choice((0, 1, 3, 5, 8, 13)), one_in=100))


async def compare(ledger: Ledger, history: History, requests: int) -> int:
    """Run a history on a ledger and on the model side by side; return how many accounts and transfers were asked for.

    Raises:
        AssertionError: naming the first result or balance in which they differ.
    """
    model = Model(amount_max=ledger.capabilities.amount_max)
    asked = await _both(ledger, model, history.opening())
    for _ in range(requests):
        request = history.next()
        asked += await _both(ledger, model, request)
        # Nothing else moves these accounts, so what the ledger holds is what the model holds.
        accounts = await ledger.lookup_accounts(history.accounts)
        _same("accounts", accounts, [model.accounts[id] for id in history.accounts if id in model.accounts], request)
    transfers = await ledger.lookup_transfers(history.transfers)
    _same("transfers", transfers, [model.transfers[id] for id in history.transfers if id in model.transfers], "all")
    for id in history.accounts:
        kept = [balance for (account, _), balance in sorted(model.balances.items()) if account == id]
        _same("history", await ledger.get_account_balances(AccountFilter(account_id=id, limit=8189)), kept, id)
    known = await ledger.refusals(history.transfers)
    if ledger.capabilities.remembers_refusals:
        assert known == {id: status for id, status in model.failed.items() if id in history.transfers}
    return asked


async def _both(ledger: Ledger, model: Model, request: list[Any]) -> int:
    results: list[Created[Any]]
    if isinstance(request[0], Account):
        results = list(await ledger.create_accounts(request))
        timestamp = _timestamp(results, model)
        model.expire(timestamp)
        expected: list[Created[Any]] = list(model.create_accounts(request, timestamp))
    else:
        results = list(await ledger.create_transfers(request))
        timestamp = _timestamp(results, model)
        model.expire(timestamp)
        expected = list(model.create_transfers(request, timestamp))
    _same("results", results, expected, request)
    return len(request)


def _timestamp(results: list[Created[Any]], model: Model) -> int:
    """The time of the request's last item, as the ledger has set it; the model has no clock of its own."""
    for behind, result in enumerate(reversed(results)):
        if result.status != "exists":
            return int(result.timestamp) + behind
    known = [*(a.timestamp for a in model.accounts.values()), *(t.timestamp for t in model.transfers.values())]
    return max(known) + len(results)


def _same(what: str, found: Sequence[Any], expected: Sequence[Any], request: object) -> None:
    assert len(found) == len(expected), f"{what}: {len(found)} and not {len(expected)}, after {request}"
    for one, other in zip(found, expected, strict=True):
        assert one == other, f"{what} differ after {request}:\n  ledger {one}\n  model  {other}"
