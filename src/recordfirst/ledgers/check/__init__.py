"""Is a ledger in order, and does the record say the same? Reads everything there is, page by page; changes nothing.

Balances are worked out anew from the transfers, so this finds what no single statement could. Run it when the ledger is
at rest, or look twice: what is made meanwhile can show as a finding that is none.
"""

from __future__ import annotations

import contextlib
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from recordfirst.core import codec, identity
from recordfirst.errors import Unencodable
from recordfirst.ledgers.contract import Account, AccountFlags, Ledger, QueryFilter, Transfer, TransferFlags
from recordfirst.records.contract import Record

_PAGE = 1000
_SETTLES = TransferFlags.POST_PENDING_TRANSFER | TransferFlags.VOID_PENDING_TRANSFER

type MismatchKind = Literal[
    "debits differ from credits",
    "balance differs from transfers",
    "limit exceeded",
    "held past its timeout",
    "receipt without transfer",
    "transfer without receipt",
]


class LedgerFinding(msgspec.Struct, frozen=True):
    """A disagreement, and where."""

    kind: MismatchKind
    what: str
    subject: str
    """What it is about: ``account 7``, ``transfer 9``, ``ledger 1``, or a step's key."""


class Checked(NamedTuple):
    """What came of a check."""

    findings: list[LedgerFinding]
    looked: int
    """Accounts and transfers that were read."""


class Receipts:
    """The receipts of an app's transfers to one ledger, as its record has them."""

    def __init__(
        self,
        record: Record[Any],
        app: str,
        functions: Sequence[str],
        unseal: Callable[[str], str],
        *,
        others: Sequence[str] = (),
    ) -> None:
        """``functions``: the transfers' names; ``others``: those of all else that the app has."""
        self._record, self.app, self._functions, self._unseal = record, app, functions, unseal
        self._others = others
        self._sql = record.statements_of(__name__)

    async def __aiter__(self) -> AsyncIterator[tuple[str, int, str, list[Transfer]]]:
        """Key, attempt, state, and what was or is to be sent."""
        async for key, attempt, state, items in self._read("receipts", self._functions):
            yield key, attempt, state, codec.shape(items, list[Transfer], f"what {key!r} sends")

    async def retired(self) -> AsyncIterator[Transfer]:
        """What was or is to be sent by steps that the app has no more, under whatever name."""
        # One name at least, for a statement that takes many; a function's is never empty.
        async for _, _, _, items in self._read("retired", ["", *self._functions, *self._others]):
            with contextlib.suppress(Unencodable):  # what another kind of step has stored
                for transfer in codec.shape(items, list[Transfer], "what was sent"):
                    yield transfer

    async def _read(self, statement: str, functions: Sequence[str]) -> AsyncIterator[tuple[str, int, str, list[Any]]]:
        key, attempt = "", 0
        while True:
            async with self._record.session() as session:
                names = [{"function": name} for name in functions]
                rows = await session.run_many(self._sql[statement], names, key=key, attempt=attempt, limit=_PAGE)
            for key, attempt, state, frozen, result in rows:
                # What was found after a restore of the record has another id than what would have been sent.
                text = result if state == "succeeded" and result is not None else frozen
                said = codec.decode(self._unseal(text)) if text is not None else []
                yield key, attempt, state, said if isinstance(said, list) else [said]
            if len(rows) < _PAGE:
                return


async def check(ledger: Ledger, receipts: Receipts | None, now_ms: int) -> Checked:
    """Return what is not in order; ``receipts`` of the app whose transfers are to be compared with them."""
    accounts = {account.id: account async for account in _accounts(ledger)}
    transfers = {transfer.id: transfer async for transfer in _transfers(ledger)}
    found = [*_totals(accounts.values()), *_limits(accounts.values())]
    found += _balances(accounts, transfers, now_ms)
    if receipts is not None:
        found += await _compare(receipts, transfers)
    return Checked(found, len(accounts) + len(transfers))


def _totals(accounts: Any) -> list[LedgerFinding]:
    sums: Counter[tuple[int, str]] = Counter()
    for account in accounts:
        sums[account.ledger, "posted"] += account.debits_posted - account.credits_posted
        sums[account.ledger, "pending"] += account.debits_pending - account.credits_pending
    return [
        LedgerFinding(
            "debits differ from credits",
            f"ledger {ledger}: {what} debits are {excess:+} against the credits",
            f"ledger {ledger}, {what}",
        )
        for (ledger, what), excess in sums.items()
        if excess
    ]


def _limits(accounts: Any) -> list[LedgerFinding]:
    def over(account: Account) -> bool:
        debits = account.debits_posted + account.debits_pending
        credits = account.credits_posted + account.credits_pending
        limited = account.flags & AccountFlags.DEBITS_MUST_NOT_EXCEED_CREDITS and debits > account.credits_posted
        return bool(
            limited or (account.flags & AccountFlags.CREDITS_MUST_NOT_EXCEED_DEBITS and credits > account.debits_posted)
        )

    return [
        LedgerFinding("limit exceeded", f"account {account.id}", f"account {account.id}")
        for account in accounts
        if over(account)
    ]


def _balances(accounts: dict[int, Account], transfers: dict[int, Transfer], now_ms: int) -> list[LedgerFinding]:
    settled = {t.pending_id for t in transfers.values() if t.flags & _SETTLES}
    sums: dict[int, Counter[str]] = defaultdict(Counter)
    overdue: dict[int, Counter[str]] = defaultdict(Counter)
    late: list[Transfer] = []
    for t in transfers.values():
        if t.flags & TransferFlags.VOID_PENDING_TRANSFER:
            continue
        if not t.flags & TransferFlags.PENDING:
            sums[t.debit_account_id]["debits_posted"] += t.amount
            sums[t.credit_account_id]["credits_posted"] += t.amount
        elif t.id not in settled:
            expired = t.expires_at is not None and t.expires_at <= now_ms * 1_000_000
            late += [t] if expired else []
            into = overdue if expired else sums
            into[t.debit_account_id]["debits_pending"] += t.amount
            into[t.credit_account_id]["credits_pending"] += t.amount
    found = []
    for account in accounts.values():
        for side in ("debits_posted", "credits_posted", "debits_pending", "credits_pending"):
            has, must = getattr(account, side), sums[account.id][side]
            if has == must:
                continue
            if has == must + overdue[account.id][side]:
                ids = ", ".join(str(t.id) for t in late if account.id in (t.debit_account_id, t.credit_account_id))
                found.append(
                    LedgerFinding("held past its timeout", f"account {account.id}: {ids}", f"account {account.id}")
                )
            else:
                what = f"account {account.id}: {side} is {has}, its transfers come to {must}"
                found.append(LedgerFinding("balance differs from transfers", what, f"account {account.id}, {side}"))
    return found


async def _compare(receipts: Receipts, transfers: dict[int, Transfer]) -> list[LedgerFinding]:
    found, known = [], set[int]()
    async for key, attempt, state, sent in receipts:
        there = [transfer for transfer in sent if transfer.id in transfers]
        known |= {transfer.id for transfer in sent}
        name = f"{key!r}" + (f" (attempt {attempt})" if attempt > 1 else "")
        released = all(transfer.flags & TransferFlags.VOID_PENDING_TRANSFER for transfer in sent)
        if state == "succeeded" and len(there) < len(sent) and not released:
            found.append(LedgerFinding("receipt without transfer", f"{name} succeeded, and the ledger has it not", key))
        if state == "declined" and there:
            found.append(
                LedgerFinding("transfer without receipt", f"{name} is declined, and the ledger has {there[0].id}", key)
            )
    ours = identity.app_mark(receipts.app)
    orphans = {t.id for t in transfers.values() if t.user_data_128 >> 80 == ours and t.id not in known}
    if orphans:
        orphans -= {transfer.id async for transfer in receipts.retired()}
    told = "is marked as this app's; no receipt has sent it"
    found += [
        LedgerFinding("transfer without receipt", f"transfer {id} {told}", f"transfer {id}")
        for id in transfers
        if id in orphans
    ]
    return found


async def _accounts(ledger: Ledger) -> AsyncIterator[Account]:
    after = 0
    while page := await ledger.query_accounts(QueryFilter(timestamp_min=after, limit=_PAGE)):
        for account in page:
            yield account
        after = page[-1].timestamp + 1


async def _transfers(ledger: Ledger) -> AsyncIterator[Transfer]:
    after = 0
    while page := await ledger.query_transfers(QueryFilter(timestamp_min=after, limit=_PAGE)):
        for transfer in page:
            yield transfer
        after = page[-1].timestamp + 1
