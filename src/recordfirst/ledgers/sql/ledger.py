"""Double entry in the record's own database, with TigerBeetle's meaning.

Promised: what was answered is committed, all of a linked chain or nothing of it. The rules are the model's; the
database holds the rest by itself: both sides of a transfer, limits, and that a pending transfer is settled once. May be
lost: the answer, as with any ledger.

One request at a time makes accounts or transfers in an app's ledger, as in TigerBeetle: it locks the ledger's clock
first, so requests queue and never deadlock, and time goes up in the order of commits. What comes meanwhile goes
together in the next one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, cast

from recordfirst.core.text import safe_text
from recordfirst.errors import LedgerUnavailable
from recordfirst.ledgers import fields
from recordfirst.ledgers.contract import (
    U63_MAX,
    Account,
    AccountBalance,
    AccountFilter,
    AccountFlags,
    AccountStatus,
    Capabilities,
    Created,
    Ledger,
    QueryFilter,
    Transfer,
    TransferFlags,
    TransferStatus,
)
from recordfirst.ledgers.model import Model, PendingStatus
from recordfirst.process.group_commit import GroupCommit
from recordfirst.process.seams import Sleeper
from recordfirst.records.contract import Record, Session

_BATCH_MAX = 8189
"""Items in one request; as many as TigerBeetle takes, so that a chain that fits one fits the other."""

_TRIES, _PAUSE_S = 5, 0.02
"""After a deadlock or serialization failure, with another process that writes these tables."""


class SqlLedger(Ledger):
    """A ledger in a Postgres or SQLite record, beside its receipts; the record must be open when it is used.

    Each app has a ledger of its own in a record. On SQLite, amounts and balances have 63 bits.

    Args:
        record: the one that the app is given.
        sleeper: waits a number of seconds between two tries. An argument for tests.
    """

    def __init__(self, record: Record[Any], *, sleeper: Sleeper = asyncio.sleep) -> None:
        self.where, self._sleeper = record.where, sleeper
        self._record = record
        self._sql = record.statements_of(__package__ or "")
        self.capabilities = Capabilities(
            amount_max=record.whole_number_max, batch_max=_BATCH_MAX, remembers_refusals=True
        )
        self._accounts: GroupCommit[Account, Created[AccountStatus]] = GroupCommit(
            self._create_accounts, most=_BATCH_MAX, of_all=(LedgerUnavailable,)
        )
        self._transfers: GroupCommit[Transfer, Created[TransferStatus]] = GroupCommit(
            self._create_transfers, most=_BATCH_MAX, of_all=(LedgerUnavailable,)
        )

    def __repr__(self) -> str:
        return f"<SqlLedger in {self.where}>"

    # ── creating ────────────────────────────────────────────────────────────

    async def create_accounts(self, accounts: Sequence[Account]) -> list[Created[AccountStatus]]:
        fields.check(accounts, Account, _BATCH_MAX)
        if not accounts:
            return []
        return await self._accounts.add_all(accounts, alone=bool(accounts[-1].flags & AccountFlags.LINKED))

    async def create_transfers(self, transfers: Sequence[Transfer]) -> list[Created[TransferStatus]]:
        fields.check(transfers, Transfer, _BATCH_MAX)
        if not transfers:
            return []
        return await self._transfers.add_all(transfers, alone=bool(transfers[-1].flags & TransferFlags.LINKED))

    async def _create_accounts(self, accounts: Sequence[Account]) -> list[Created[AccountStatus]]:
        async def work(tx: Session[Any]) -> list[Created[AccountStatus]]:
            timestamp = await self._tick(tx, len(accounts))
            work = _Work(await self._due(tx, timestamp), timestamp, self.capabilities.amount_max)
            await self._load(tx, work, transfers=work.due, accounts=[account.id for account in accounts])
            results = work.model.create_accounts(accounts, timestamp)
            await self._store(tx, work)
            return results

        return await self._patiently(work)

    async def _create_transfers(self, transfers: Sequence[Transfer]) -> list[Created[TransferStatus]]:
        async def work(tx: Session[Any]) -> list[Created[TransferStatus]]:
            timestamp = await self._tick(tx, len(transfers))
            work = _Work(await self._due(tx, timestamp), timestamp, self.capabilities.amount_max)
            ids = [id for given in transfers for id in (given.id, given.pending_id)]
            sides = [id for given in transfers for id in (given.debit_account_id, given.credit_account_id)]
            await self._load(tx, work, transfers=[*ids, *work.due], accounts=sides)
            results = work.model.create_transfers(transfers, timestamp)
            await self._store(tx, work)
            return results

        return await self._patiently(work)

    # ── looking ─────────────────────────────────────────────────────────────

    async def lookup_accounts(self, ids: Sequence[int]) -> list[Account]:
        fields.check_ids(ids, _BATCH_MAX)
        await self._expire()
        rows = await self._look(lambda s: s.run_many(self._sql["find_accounts"], _ids(ids)))
        found = {account.id: account for account in map(_account, rows)}
        return [found[id] for id in ids if id in found]

    async def lookup_transfers(self, ids: Sequence[int]) -> list[Transfer]:
        fields.check_ids(ids, _BATCH_MAX)
        rows = await self._look(lambda s: s.run_many(self._sql["find_transfers"], _ids(ids)))
        found = {transfer.id: transfer for transfer in map(_transfer, rows)}
        return [found[id] for id in ids if id in found]

    async def query_accounts(self, filter: QueryFilter) -> list[Account]:
        await self._expire()
        return [_account(row) for row in await self._query("query_accounts", filter)]

    async def query_transfers(self, filter: QueryFilter) -> list[Transfer]:
        name = "transfers_by_user_data" if filter.user_data_128 else "query_transfers"
        return [_transfer(row) for row in await self._query(name, filter)]

    async def get_account_transfers(self, filter: AccountFilter) -> list[Transfer]:
        return [_transfer(row) for row in await self._of_account("account_transfers", filter)]

    async def get_account_balances(self, filter: AccountFilter) -> list[AccountBalance]:
        rows = await self._of_account("account_balances", filter)
        return [
            AccountBalance(**dict(zip(AccountBalance.__struct_fields__, map(int, row), strict=True))) for row in rows
        ]

    async def _of_account(self, name: str, filter: AccountFilter) -> list[Any]:
        sql = _ordered(self._sql[name], filter)
        params = _page(filter) | {
            "id": str(filter.account_id),
            "debits": int(filter.debits),
            "credits": int(filter.credits),
        }
        return await self._look(lambda s: s.run(sql, **params))

    async def close(self) -> None:
        """Nothing: the record is its owner's to close."""

    async def refusals(self, ids: Sequence[int]) -> dict[int, TransferStatus]:
        fields.check_ids(ids, _BATCH_MAX)
        rows = await self._look(lambda s: s.run_many(self._sql["find_refusals"], _ids(ids)))
        return {int(id): status for id, status in rows}

    async def _query(self, name: str, filter: QueryFilter) -> list[Any]:
        params = _page(filter) | {
            "user_data_128": str(filter.user_data_128),
            "user_data_64": str(filter.user_data_64),
            "user_data_32": filter.user_data_32,
            "ledger": filter.ledger,
            "code": filter.code,
        }
        sql = _ordered(self._sql[name], filter)
        return await self._look(lambda s: s.run(sql, **params))

    async def _look(self, look: Callable[[Session[Any]], Awaitable[list[Any]]]) -> list[Any]:
        try:
            async with self._record.session() as session:
                return await look(session)
        except Exception as error:
            self._unavailable(error)
            raise

    # ── one request ─────────────────────────────────────────────────────────

    async def _tick(self, tx: Session[Any], count: int) -> int:
        [row] = await tx.run(self._sql["tick"], count=count)
        return int(row[0])

    async def _due(self, tx: Session[Any], timestamp: int | None) -> list[int]:
        rows = await tx.run(self._sql["due"], timestamp=timestamp, limit=_BATCH_MAX)
        return [int(row[0]) for row in rows]

    async def _expire(self) -> None:
        """Release what has come to its timeout, before anybody looks at balances."""
        if not await self._look(lambda s: self._due(s, None)):
            return

        async def work(tx: Session[Any]) -> None:
            timestamp = await self._tick(tx, 1)
            work = _Work(await self._due(tx, timestamp), timestamp, self.capabilities.amount_max)
            await self._load(tx, work, transfers=work.due, accounts=[])
            await self._store(tx, work)

        await self._patiently(work)

    async def _load(self, tx: Session[Any], work: _Work, *, transfers: Iterable[int], accounts: Iterable[int]) -> None:
        """Bring what a request touches into its model, and let expire there what is due."""
        model, ids = work.model, sorted(set(transfers) - {0})
        for row in await tx.run_many(self._sql["find_transfers"], _ids(ids)):
            transfer = _transfer(row)
            model.transfers[transfer.id] = transfer
        settled = {transfer.pending_id for transfer in model.transfers.values()} - model.transfers.keys() - {0}
        for row in await tx.run_many(self._sql["find_transfers"], _ids(settled)):
            model.transfers[int(row[0])] = _transfer(row)
        pending = [id for id, transfer in model.transfers.items() if transfer.flags & TransferFlags.PENDING]
        for id, status in await tx.run_many(self._sql["find_pending"], _ids(pending)):
            model.pending[int(id)] = cast("PendingStatus", status)
        new = [id for id in ids if id not in model.transfers]
        for id, status in await tx.run_many(self._sql["find_refusals"], _ids(new)):
            model.failed[int(id)] = status
        sides = {
            id for held in model.transfers.values() for id in (held.debit_account_id, held.credit_account_id)
        } | set(accounts)
        for row in await tx.run_many(self._sql["find_accounts"], _ids(sides - {0})):
            account = _account(row)
            model.accounts[account.id] = account
        work.loaded()

    async def _store(self, tx: Session[Any], work: _Work) -> None:
        """Store what has changed in a model. Balances are left to the database, which moves them by itself."""
        model = work.model
        await tx.run_many(self._sql["expire"], _ids(work.expired))
        await tx.run_many(
            self._sql["add_accounts"],
            [_row(account) for id, account in model.accounts.items() if id not in work.flags_before],
        )
        new = [transfer for id, transfer in model.transfers.items() if id not in work.known]
        await tx.run_many(self._sql["add_transfers"], [_row(transfer) for transfer in new])
        await tx.run_many(
            self._sql["add_balances"],
            [_row(kept) | {"account_id": str(account)} for (account, _), kept in model.balances.items()],
        )
        failed = [(id, status) for id, status in model.failed.items() if id not in work.failed_before]
        await tx.run_many(
            self._sql["add_refusals"],
            [{"id": str(id), "status": status, "timestamp": str(work.timestamp)} for id, status in failed],
        )
        flags = {id: model.accounts[id].flags for id in work.flags_before}
        await tx.run_many(
            self._sql["set_flags"],
            [{"id": str(id), "flags": str(int(now))} for id, now in flags.items() if now != work.flags_before[id]],
        )

    async def _patiently[R](self, work: Callable[[Session[Any]], Awaitable[R]]) -> R:
        for tries in range(_TRIES):
            try:
                async with self._record.transaction() as tx:
                    return await work(tx)
            except Exception as error:
                if self._record.fault(error) == "contention" and tries < _TRIES - 1:
                    await self._sleeper(_PAUSE_S * 2**tries)
                    continue
                self._unavailable(error)
                raise
        raise AssertionError("the last try returns or raises")

    def _unavailable(self, error: Exception) -> None:
        if self._record.fault(error) is not None:
            raise LedgerUnavailable(self.where, safe_text(error)) from error


class _Work:
    """One request: the model of what it touches, and how that was before."""

    def __init__(self, due: list[int], timestamp: int, amount_max: int) -> None:
        self.due, self.timestamp = due, timestamp
        self.model = Model(amount_max=amount_max)
        self.expired: list[int] = []
        self.known: set[int] = set()
        self.failed_before: set[int] = set()
        self.flags_before: dict[int, AccountFlags] = {}

    def loaded(self) -> None:
        """Remember what is there; whatever differs from it later was changed by the request."""
        self.known, self.failed_before = set(self.model.transfers), set(self.model.failed)
        self.flags_before = {id: account.flags for id, account in self.model.accounts.items()}
        self.expired = self.model.expire(self.timestamp)


def _ids(ids: Iterable[int]) -> list[dict[str, Any]]:
    return [{"id": str(id)} for id in ids]


def _row(item: Account | Transfer | AccountBalance) -> dict[str, str]:
    """Numbers as text: most have more bits than a driver's integer."""
    return {name: str(int(getattr(item, name))) for name in item.__struct_fields__}


def _account(row: Sequence[Any]) -> Account:
    values = dict(zip(Account.__struct_fields__, map(int, row), strict=True))
    return Account(**values | {"flags": AccountFlags(values["flags"])})  # type: ignore[arg-type]


def _transfer(row: Sequence[Any]) -> Transfer:
    values = dict(zip(Transfer.__struct_fields__, map(int, row), strict=True))
    return Transfer(**values | {"flags": TransferFlags(values["flags"])})  # type: ignore[arg-type]


def _page(filter: QueryFilter | AccountFilter) -> dict[str, Any]:
    last = filter.timestamp_max or U63_MAX
    return {
        "timestamp_min": filter.timestamp_min,
        "timestamp_max": min(last, U63_MAX),
        "limit": min(filter.limit, _BATCH_MAX),
    }


def _ordered(sql: str, filter: QueryFilter | AccountFilter) -> str:
    return sql.replace("{order}", "DESC" if filter.reversed else "ASC")
