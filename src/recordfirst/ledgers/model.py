"""TigerBeetle's rules as a pure state machine: no I/O, no clock. One meaning for every ledger.

It is the reference that ledgers are compared with, item by item, and it is what the SQL ledger decides with: that one
loads what a request touches into a model, asks it, and stores what has changed. Checks stand in TigerBeetle's order,
which is part of the contract: of several reasons to refuse, the first is the answer.

Left out, as in the contract: imported events.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from recordfirst.ledgers.contract import (
    AMOUNT_MAX,
    NS_PER_S,
    TRANSIENT,
    U63_MAX,
    U128_MAX,
    Account,
    AccountBalance,
    AccountFlags,
    AccountStatus,
    Created,
    Transfer,
    TransferFlags,
    TransferStatus,
)

type PendingStatus = Literal["pending", "posted", "voided", "expired"]
"""What became of a pending transfer."""

_POST, _VOID = TransferFlags.POST_PENDING_TRANSFER, TransferFlags.VOID_PENDING_TRANSFER
_PENDING = TransferFlags.PENDING
_CLOSING = TransferFlags.CLOSING_DEBIT | TransferFlags.CLOSING_CREDIT
_NOT_WITH_POST = _PENDING | TransferFlags.BALANCING_DEBIT | TransferFlags.BALANCING_CREDIT | _CLOSING
_LIMITS = AccountFlags.DEBITS_MUST_NOT_EXCEED_CREDITS | AccountFlags.CREDITS_MUST_NOT_EXCEED_DEBITS

_replace = msgspec.structs.replace


class Model:
    """A ledger's whole state, or as much of it as a request touches."""

    def __init__(self, *, amount_max: int = U128_MAX) -> None:
        self.accounts: dict[int, Account] = {}
        self.transfers: dict[int, Transfer] = {}
        self.pending: dict[int, PendingStatus] = {}
        """By the pending transfer's id."""
        self.failed: dict[int, TransferStatus] = {}
        """Ids that answer ``id_already_failed``, and why they failed at first."""
        self.balances: dict[tuple[int, int], AccountBalance] = {}
        """Of accounts with history: by account and the time of a transfer, what they were right after it."""
        self._amount_max = amount_max
        self._undo: list[tuple[dict[Any, Any], Any, Any]] | None = None
        """While a chain is open: what to put back if it breaks."""

    # ── requests ────────────────────────────────────────────────────────────

    def create_accounts(self, accounts: Sequence[Account], timestamp: int) -> list[Created[AccountStatus]]:
        """Create accounts; the last one at ``timestamp``, each before it a nanosecond earlier."""
        return self._create(accounts, timestamp, self._create_account, AccountFlags.LINKED)

    def create_transfers(self, transfers: Sequence[Transfer], timestamp: int) -> list[Created[TransferStatus]]:
        """Create transfers; the last one at ``timestamp``, each before it a nanosecond earlier."""
        return self._create(transfers, timestamp, self._create_transfer, TransferFlags.LINKED)

    def expire(self, timestamp: int) -> list[int]:
        """Release what is pending and has come to its timeout; return the ids. Runs before each request."""
        due = [
            id
            for id, status in self.pending.items()
            if status == "pending" and (self.transfers[id].expires_at or timestamp + 1) <= timestamp
        ]
        for id in due:
            pending = self.transfers[id]
            self._put(self.pending, id, "expired")
            self._release(pending)
        return due

    def _create(self, events: Sequence[Any], timestamp: int, create: Any, linked: int) -> list[Any]:
        results: list[Any] = []
        chain: int | None = None
        broken = False
        for index, event in enumerate(events):
            at = timestamp - len(events) + index + 1
            is_linked, is_last = bool(event.flags & linked), index == len(events) - 1
            if is_linked and chain is None:
                chain, self._undo = index, []
            status, when = self._one(event, at, create, broken=broken, chain_open=is_linked and is_last)
            if status != "created" and chain is not None and not broken:
                broken = True
                self._roll_back()
                results[chain:] = [Created("linked_event_failed", result.timestamp) for result in results[chain:]]
            results.append(Created(status, when))
            # Not through the chain's memory: its end does not take back that an id has failed.
            if status in TRANSIENT:
                self.failed.setdefault(event.id, status)
            if chain is not None and (not is_linked or status == "linked_event_chain_open"):
                chain, broken, self._undo = None, False, None
        return results

    @staticmethod
    def _one(event: Any, at: int, create: Any, *, broken: bool, chain_open: bool) -> tuple[str, int]:
        if chain_open:
            return "linked_event_chain_open", at
        if broken:
            return "linked_event_failed", at
        if event.timestamp:
            return "timestamp_must_be_zero", at
        status, existing = create(event, at)
        return status, existing or at

    def _put(self, table: dict[Any, Any], id: Any, value: Any) -> None:
        if self._undo is not None:
            self._undo.append((table, id, table.get(id)))
        table[id] = value

    def _roll_back(self) -> None:
        for table, id, before in reversed(self._undo or []):
            if before is None:
                del table[id]
            else:
                table[id] = before
        self._undo = None

    # ── accounts ────────────────────────────────────────────────────────────

    def _create_account(self, a: Account, at: int) -> tuple[AccountStatus, int]:
        if a.id == 0:
            return "id_must_not_be_zero", 0
        if a.id == U128_MAX:
            return "id_must_not_be_int_max", 0
        existing = self.accounts.get(a.id)
        if existing is not None:
            status = _account_exists(a, existing)
            return status, existing.timestamp if status == "exists" else 0
        refusal = _account_refusal(a)
        if refusal is not None:
            return refusal, 0
        self._put(self.accounts, a.id, _replace(a, timestamp=at))
        return "created", at

    # ── transfers ───────────────────────────────────────────────────────────

    def _create_transfer(self, t: Transfer, at: int) -> tuple[TransferStatus, int]:
        if t.id == 0:
            return "id_must_not_be_zero", 0
        if t.id == U128_MAX:
            return "id_must_not_be_int_max", 0
        existing = self.transfers.get(t.id)
        if existing is not None:
            status = self._transfer_exists(t, existing)
            return status, existing.timestamp if status == "exists" else 0
        if t.id in self.failed:
            return "id_already_failed", 0
        status = self._post_or_void(t, at) if t.flags & (_POST | _VOID) else self._move(t, at)
        return status, at if status == "created" else 0

    def _move(self, t: Transfer, at: int) -> TransferStatus:  # noqa: PLR0911 - one line per check, in their order
        refusal = _transfer_refusal(t)
        if refusal is not None:
            return refusal
        debit, credit = self.accounts.get(t.debit_account_id), self.accounts.get(t.credit_account_id)
        if debit is None:
            return "debit_account_not_found"
        if credit is None:
            return "credit_account_not_found"
        if debit.ledger != credit.ledger:
            return "accounts_must_have_the_same_ledger"
        if t.ledger != debit.ledger:
            return "transfer_must_have_the_same_ledger_as_accounts"
        if debit.flags & AccountFlags.CLOSED:
            return "debit_account_already_closed"
        if credit.flags & AccountFlags.CLOSED:
            return "credit_account_already_closed"
        amount = _balanced(t, debit, credit)
        over = self._overflow(t, amount, debit, credit, at) or _exceeded(amount, debit, credit)
        if over is not None:
            return over
        self._put(self.transfers, t.id, _replace(t, amount=amount, timestamp=at))
        if t.flags & _PENDING:
            self._put(self.pending, t.id, "pending")
            self._add(debit, debits_pending=amount, closes=t.flags & TransferFlags.CLOSING_DEBIT)
            self._add(credit, credits_pending=amount, closes=t.flags & TransferFlags.CLOSING_CREDIT)
        else:
            self._add(debit, debits_posted=amount)
            self._add(credit, credits_posted=amount)
        self._remember(debit.id, credit.id, at)
        return "created"

    def _overflow(self, t: Transfer, amount: int, debit: Account, credit: Account, at: int) -> TransferStatus | None:
        most = self._amount_max
        checks: list[tuple[bool, TransferStatus]] = [
            (bool(t.flags & _PENDING) and amount + debit.debits_pending > most, "overflows_debits_pending"),
            (bool(t.flags & _PENDING) and amount + credit.credits_pending > most, "overflows_credits_pending"),
            (amount + debit.debits_posted > most, "overflows_debits_posted"),
            (amount + credit.credits_posted > most, "overflows_credits_posted"),
            (amount + debit.debits_pending + debit.debits_posted > most, "overflows_debits"),
            (amount + credit.credits_pending + credit.credits_posted > most, "overflows_credits"),
            (at + t.timeout * NS_PER_S > U63_MAX, "overflows_timeout"),
        ]
        return next((status for over, status in checks if over), None)

    def _post_or_void(self, t: Transfer, at: int) -> TransferStatus:
        refusal = _settling_refusal(t)
        if refusal is not None:
            return refusal
        p = self.transfers.get(t.pending_id)
        if p is None:
            return "pending_transfer_not_found"
        amount = _settled(t, p)
        refusal = _differs_from_pending(t, p, amount) or self._not_pending_any_more(p, at)
        if refusal is not None:
            return refusal
        if t.flags & _POST and self.accounts[p.debit_account_id].flags & AccountFlags.CLOSED:
            return "debit_account_already_closed"
        if t.flags & _POST and self.accounts[p.credit_account_id].flags & AccountFlags.CLOSED:
            return "credit_account_already_closed"
        kept = _replace(
            p,
            id=t.id,
            amount=amount,
            pending_id=p.id,
            user_data_128=t.user_data_128 or p.user_data_128,
            user_data_64=t.user_data_64 or p.user_data_64,
            user_data_32=t.user_data_32 or p.user_data_32,
            timeout=0,
            flags=t.flags,
            timestamp=at,
        )
        self._put(self.transfers, t.id, kept)
        self._put(self.pending, p.id, "posted" if t.flags & _POST else "voided")
        self._release(p)
        if t.flags & _POST:
            self._add(self.accounts[p.debit_account_id], debits_posted=amount)
            self._add(self.accounts[p.credit_account_id], credits_posted=amount)
        self._remember(p.debit_account_id, p.credit_account_id, at)
        return "created"

    def _not_pending_any_more(self, p: Transfer, at: int) -> TransferStatus | None:
        status = self.pending[p.id]
        if status == "posted":
            return "pending_transfer_already_posted"
        if status == "voided":
            return "pending_transfer_already_voided"
        due = p.expires_at is not None and p.expires_at <= at
        return "pending_transfer_expired" if status == "expired" or due else None

    def _transfer_exists(self, t: Transfer, e: Transfer) -> TransferStatus:  # noqa: PLR0911 - one line per check
        if t.flags != e.flags:
            return "exists_with_different_flags"
        if t.pending_id != e.pending_id:
            return "exists_with_different_pending_id"
        if t.timeout != e.timeout:
            return "exists_with_different_timeout"
        # What posts or voids has taken from the pending transfer what it left open, so that is what it stands for.
        p = self.transfers[t.pending_id] if t.flags & (_POST | _VOID) else None
        asked = t if p is None else _as_settled(t, p)
        if asked.debit_account_id != e.debit_account_id:
            return "exists_with_different_debit_account_id"
        if asked.credit_account_id != e.credit_account_id:
            return "exists_with_different_credit_account_id"
        if t.flags & (TransferFlags.BALANCING_DEBIT | TransferFlags.BALANCING_CREDIT):
            # The amount asked for is the most that may be moved; what was moved is at most that.
            same = t.amount >= e.amount
        else:
            same = asked.amount == e.amount
        if not same:
            return "exists_with_different_amount"
        for name, status in _COMPARED:
            if getattr(asked, name) != getattr(e, name):
                return status
        return "exists"

    # ── balances ────────────────────────────────────────────────────────────

    def _add(
        self,
        account: Account,
        *,
        debits_pending: int = 0,
        debits_posted: int = 0,
        credits_pending: int = 0,
        credits_posted: int = 0,
        closes: int = 0,
    ) -> None:
        changed = _replace(
            account,
            debits_pending=account.debits_pending + debits_pending,
            debits_posted=account.debits_posted + debits_posted,
            credits_pending=account.credits_pending + credits_pending,
            credits_posted=account.credits_posted + credits_posted,
            flags=account.flags | AccountFlags.CLOSED if closes else account.flags,
        )
        self._put(self.accounts, account.id, changed)

    def _remember(self, debit: int, credit: int, at: int) -> None:
        """Keep both sides' balances as they are after a transfer, where that is asked for."""
        for account in (self.accounts[debit], self.accounts[credit]):
            if account.flags & AccountFlags.HISTORY:
                names = ("debits_pending", "debits_posted", "credits_pending", "credits_posted")
                kept = AccountBalance(timestamp=at, **{name: getattr(account, name) for name in names})
                self._put(self.balances, (account.id, at), kept)

    def _release(self, p: Transfer) -> None:
        """Take back what ``p`` holds, and the closing of accounts that it stands for (which is never posted)."""
        for id, held, closing in (
            (p.debit_account_id, "debits_pending", TransferFlags.CLOSING_DEBIT),
            (p.credit_account_id, "credits_pending", TransferFlags.CLOSING_CREDIT),
        ):
            account = self.accounts[id]
            flags = account.flags & ~AccountFlags.CLOSED if p.flags & closing else account.flags
            self._put(self.accounts, id, _replace(account, flags=flags, **{held: getattr(account, held) - p.amount}))


_COMPARED: tuple[tuple[str, TransferStatus], ...] = (
    ("user_data_128", "exists_with_different_user_data_128"),
    ("user_data_64", "exists_with_different_user_data_64"),
    ("user_data_32", "exists_with_different_user_data_32"),
    ("ledger", "exists_with_different_ledger"),
    ("code", "exists_with_different_code"),
)


def _account_exists(a: Account, e: Account) -> AccountStatus:
    if a.flags != e.flags:
        return "exists_with_different_flags"
    different: list[tuple[bool, AccountStatus]] = [
        (a.user_data_128 != e.user_data_128, "exists_with_different_user_data_128"),
        (a.user_data_64 != e.user_data_64, "exists_with_different_user_data_64"),
        (a.user_data_32 != e.user_data_32, "exists_with_different_user_data_32"),
        (a.ledger != e.ledger, "exists_with_different_ledger"),
        (a.code != e.code, "exists_with_different_code"),
    ]
    return next((status for differs, status in different if differs), "exists")


def _account_refusal(a: Account) -> AccountStatus | None:
    checks: list[tuple[bool, AccountStatus]] = [
        (a.flags & _LIMITS == _LIMITS, "flags_are_mutually_exclusive"),
        (a.debits_pending != 0, "debits_pending_must_be_zero"),
        (a.debits_posted != 0, "debits_posted_must_be_zero"),
        (a.credits_pending != 0, "credits_pending_must_be_zero"),
        (a.credits_posted != 0, "credits_posted_must_be_zero"),
        (a.ledger == 0, "ledger_must_not_be_zero"),
        (a.code == 0, "code_must_not_be_zero"),
    ]
    return next((status for wrong, status in checks if wrong), None)


def _transfer_refusal(t: Transfer) -> TransferStatus | None:
    """What is wrong with a transfer whatever the ledger holds."""
    checks: list[tuple[bool, TransferStatus]] = [
        (t.debit_account_id == 0, "debit_account_id_must_not_be_zero"),
        (t.debit_account_id == U128_MAX, "debit_account_id_must_not_be_int_max"),
        (t.credit_account_id == 0, "credit_account_id_must_not_be_zero"),
        (t.credit_account_id == U128_MAX, "credit_account_id_must_not_be_int_max"),
        (t.credit_account_id == t.debit_account_id, "accounts_must_be_different"),
        (t.pending_id != 0, "pending_id_must_be_zero"),
        (not t.flags & _PENDING and t.timeout != 0, "timeout_reserved_for_pending_transfer"),
        (not t.flags & _PENDING and bool(t.flags & _CLOSING), "closing_transfer_must_be_pending"),
        (t.ledger == 0, "ledger_must_not_be_zero"),
        (t.code == 0, "code_must_not_be_zero"),
    ]
    return next((status for wrong, status in checks if wrong), None)


def _settling_refusal(t: Transfer) -> TransferStatus | None:
    """What is wrong with a posting or voiding whatever the ledger holds."""
    both = _POST | _VOID
    checks: list[tuple[bool, TransferStatus]] = [
        (t.flags & both == both or bool(t.flags & _NOT_WITH_POST), "flags_are_mutually_exclusive"),
        (t.pending_id == 0, "pending_id_must_not_be_zero"),
        (t.pending_id == U128_MAX, "pending_id_must_not_be_int_max"),
        (t.pending_id == t.id, "pending_id_must_be_different"),
        (t.timeout != 0, "timeout_reserved_for_pending_transfer"),
    ]
    return next((status for wrong, status in checks if wrong), None)


def _differs_from_pending(t: Transfer, p: Transfer, amount: int) -> TransferStatus | None:
    checks: list[tuple[bool, TransferStatus]] = [
        (not p.flags & _PENDING, "pending_transfer_not_pending"),
        (t.debit_account_id not in (0, p.debit_account_id), "pending_transfer_has_different_debit_account_id"),
        (t.credit_account_id not in (0, p.credit_account_id), "pending_transfer_has_different_credit_account_id"),
        (t.ledger not in (0, p.ledger), "pending_transfer_has_different_ledger"),
        (t.code not in (0, p.code), "pending_transfer_has_different_code"),
        (amount > p.amount, "exceeds_pending_transfer_amount"),
        (bool(t.flags & _VOID) and amount < p.amount, "pending_transfer_has_different_amount"),
    ]
    return next((status for differs, status in checks if differs), None)


def _settled(t: Transfer, p: Transfer) -> int:
    """The amount that a posting or voiding stands for: what leaves it open takes all."""
    everything = t.amount == 0 if t.flags & _VOID else t.amount == AMOUNT_MAX
    return p.amount if everything else t.amount


def _as_settled(t: Transfer, p: Transfer) -> Transfer:
    return _replace(
        t,
        debit_account_id=t.debit_account_id or p.debit_account_id,
        credit_account_id=t.credit_account_id or p.credit_account_id,
        amount=_settled(t, p),
        user_data_128=t.user_data_128 or p.user_data_128,
        user_data_64=t.user_data_64 or p.user_data_64,
        user_data_32=t.user_data_32 or p.user_data_32,
        ledger=t.ledger or p.ledger,
        code=t.code or p.code,
    )


def _balanced(t: Transfer, debit: Account, credit: Account) -> int:
    amount = t.amount
    if t.flags & TransferFlags.BALANCING_DEBIT:
        amount = min(amount, max(0, debit.credits_posted - debit.debits_posted - debit.debits_pending))
    if t.flags & TransferFlags.BALANCING_CREDIT:
        amount = min(amount, max(0, credit.debits_posted - credit.credits_posted - credit.credits_pending))
    return amount


def _exceeded(amount: int, debit: Account, credit: Account) -> TransferStatus | None:
    if (
        debit.flags & AccountFlags.DEBITS_MUST_NOT_EXCEED_CREDITS
        and debit.debits_pending + debit.debits_posted + amount > debit.credits_posted
    ):
        return "exceeds_credits"
    if (
        credit.flags & AccountFlags.CREDITS_MUST_NOT_EXCEED_DEBITS
        and credit.credits_pending + credit.credits_posted + amount > credit.debits_posted
    ):
        return "exceeds_debits"
    return None
