"""TigerBeetle through its official client: the only file that imports it.

Promised: what was answered is durable on a quorum of the cluster. May be lost: the answer. The client itself waits for
ever and is never cancelled, so the deadline is ours. What was on its way may still happen, and the same ids make it
safe to send again. The client stays: it reconnects by itself, and a new one for each deadline would only take
other clients' sessions from them.

A client has one request in flight; what comes meanwhile goes together in the next (thousands of items fit).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Sequence
from importlib.metadata import version
from typing import Any, Self, cast

import tigerbeetle as tb
from tigerbeetle.client import InitError

from recordfirst.errors import LedgerUnavailable, LedgerVersion, Misuse
from recordfirst.ledgers import fields
from recordfirst.ledgers.contract import (
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
from recordfirst.process.group_commit import GroupCommit
from recordfirst.process.owner import Owned

_BATCH_MAX = 8189
"""Items in one request: a message is 1 MiB, an item 128 bytes; TigerBeetle's own number."""

_WAITING_MOST = 256
"""Requests without an answer, those included whose callers have given up; a cluster that is gone is sent no more."""

type _Accounts = GroupCommit[Account, Created[AccountStatus]]
type _Transfers = GroupCommit[Transfer, Created[TransferStatus]]


class TigerBeetle(Ledger):
    """A TigerBeetle cluster as a :class:`Ledger`; safe to use from many tasks of one event loop.

    The first request opens its session, which belongs to that request's process and event loop until :meth:`close`.

    Args:
        addresses: of all replicas, as the client takes them: ``"3000"`` or ``"10.0.0.1:3000,10.0.0.2:3000"``.
        cluster: the cluster's id.
        deadline_s: how long to wait for an answer, seconds.
        batch_max: items of one request. A cluster that was started with ``--development`` takes 254 of them.

    Raises:
        Misuse: if the addresses cannot be read.
    """

    def __init__(
        self, addresses: str, *, cluster: int = 0, deadline_s: float = 5.0, batch_max: int = _BATCH_MAX
    ) -> None:
        if not 1 <= batch_max <= _BATCH_MAX:
            raise Misuse(f"batch_max must be from 1 to {_BATCH_MAX}, not {batch_max}")
        if deadline_s <= 0:
            raise Misuse(f"deadline_s must be more than 0, not {deadline_s}")
        self.where = f"tigerbeetle://{addresses}/{cluster}"
        self._addresses, self._cluster, self._deadline_s = addresses, cluster, deadline_s
        self.capabilities = Capabilities(batch_max=batch_max)
        self._batch_max = batch_max
        self._client: tb.ClientAsync | None = None
        self._owned = Owned(f"the ledger client of {self.where}")
        self._asked: set[asyncio.Task[Any]] = set()
        self._accounts, self._transfers = self._batches()

    def __repr__(self) -> str:
        return f"<TigerBeetle {self.where}>"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """End the session. What is in flight is answered ``LedgerUnavailable``; a later request opens a new one.

        After its event loop has ended, this ends the session from any other one.

        Raises:
            Misuse: if it is open in another event loop.
        """
        if self._owned.is_inherited:
            return  # the parent's, and so is the thread that would answer
        if not self._owned.is_left_over:
            self._owned.check()
            await self._give_up(self._client)
            self._owned.give_back()
            return
        with contextlib.suppress(RuntimeError):  # it has ended, and then waits for what no loop will ever tell
            await self._give_up(self._client)
        self._asked.clear()
        self._accounts, self._transfers = self._batches()
        self._owned.give_back()

    def _batches(self) -> tuple[_Accounts, _Transfers]:
        most = self._batch_max
        return GroupCommit(self._create_accounts, most=most, of_all=(LedgerUnavailable,)), GroupCommit(
            self._create_transfers, most=most, of_all=(LedgerUnavailable,)
        )

    # ── creating ────────────────────────────────────────────────────────────

    async def create_accounts(self, accounts: Sequence[Account]) -> list[Created[AccountStatus]]:
        fields.check(accounts, Account, self._batch_max)
        if not accounts:
            return []
        self._owned.take()
        return await self._accounts.add_all(accounts, alone=bool(accounts[-1].flags & AccountFlags.LINKED))

    async def create_transfers(self, transfers: Sequence[Transfer]) -> list[Created[TransferStatus]]:
        fields.check(transfers, Transfer, self._batch_max)
        if not transfers:
            return []
        self._owned.take()
        return await self._transfers.add_all(transfers, alone=bool(transfers[-1].flags & TransferFlags.LINKED))

    async def _create_accounts(self, accounts: Sequence[Account]) -> list[Created[AccountStatus]]:
        items = [tb.Account(**_fields(account) | {"flags": tb.AccountFlags(account.flags)}) for account in accounts]
        results = await self._ask(lambda client: client.create_accounts(items))
        return [Created(cast("AccountStatus", result.status.name.lower()), result.timestamp) for result in results]

    async def _create_transfers(self, transfers: Sequence[Transfer]) -> list[Created[TransferStatus]]:
        items = [tb.Transfer(**_fields(given) | {"flags": tb.TransferFlags(given.flags)}) for given in transfers]
        results = await self._ask(lambda client: client.create_transfers(items))
        return [Created(cast("TransferStatus", result.status.name.lower()), result.timestamp) for result in results]

    # ── looking ─────────────────────────────────────────────────────────────

    async def lookup_accounts(self, ids: Sequence[int]) -> list[Account]:
        fields.check_ids(ids, _BATCH_MAX)
        found = await self._ask(lambda client: client.lookup_accounts(list(ids))) if ids else []
        return [_account(account) for account in found]

    async def lookup_transfers(self, ids: Sequence[int]) -> list[Transfer]:
        fields.check_ids(ids, _BATCH_MAX)
        found = await self._ask(lambda client: client.lookup_transfers(list(ids))) if ids else []
        return [_transfer(transfer) for transfer in found]

    async def query_accounts(self, filter: QueryFilter) -> list[Account]:
        asked = _query(filter)
        return [_account(account) for account in await self._ask(lambda client: client.query_accounts(asked))]

    async def query_transfers(self, filter: QueryFilter) -> list[Transfer]:
        asked = _query(filter)
        return [_transfer(transfer) for transfer in await self._ask(lambda client: client.query_transfers(asked))]

    async def get_account_transfers(self, filter: AccountFilter) -> list[Transfer]:
        asked = _of_account(filter)
        return [_transfer(transfer) for transfer in await self._ask(lambda client: client.get_account_transfers(asked))]

    async def get_account_balances(self, filter: AccountFilter) -> list[AccountBalance]:
        asked = _of_account(filter)
        found = await self._ask(lambda client: client.get_account_balances(asked))
        names = AccountBalance.__struct_fields__
        return [AccountBalance(**{name: getattr(balance, name) for name in names}) for balance in found]

    async def refusals(self, ids: Sequence[int]) -> dict[int, TransferStatus]:
        """Nothing: TigerBeetle keeps the ids that have failed, without the reason."""
        fields.check_ids(ids, _BATCH_MAX)
        return {}

    # ── asking ──────────────────────────────────────────────────────────────

    def _connected(self) -> tb.ClientAsync:
        self._owned.take()
        if self._client is None:
            try:
                self._client = tb.ClientAsync(cluster_id=self._cluster, replica_addresses=self._addresses)
            except (InitError, UnicodeEncodeError) as error:
                self._owned.give_back()
                raise Misuse(
                    f"TigerBeetle's client cannot be made for {self._addresses!r} ({error}); write addresses as "
                    "'3000' or '10.0.0.1:3000,10.0.0.2:3000'"
                ) from error
        return self._client

    async def _ask[R](self, request: Callable[[tb.ClientAsync], Coroutine[Any, Any, R]]) -> R:
        client = self._connected()
        if len(self._asked) >= _WAITING_MOST:
            raise LedgerUnavailable(self.where, f"{len(self._asked)} requests are waiting for an answer already")
        # Never cancelled, also when its caller is: the client holds the request's memory until it was answered.
        task = asyncio.create_task(request(client))
        self._asked.add(task)
        task.add_done_callback(self._answered)
        done, _ = await asyncio.wait({task}, timeout=self._deadline_s)
        if not done:
            raise LedgerUnavailable(self.where, f"nothing came within {self._deadline_s:g} s")
        try:
            return task.result()
        except (tb.ClientReleaseTooLowError, tb.ClientReleaseTooHighError) as error:
            await self._give_up(client)
            problem = "too old" if isinstance(error, tb.ClientReleaseTooLowError) else "too new"
            raise LedgerVersion(self.where, f"tigerbeetle {version('tigerbeetle')}", problem) from None
        except tb.ClientEvictedError:
            await self._give_up(client)
            cause = "it has evicted this session: more clients are open than it takes (64); a new session is opened"
            raise LedgerUnavailable(self.where, cause) from None
        except tb.ClientClosedError:
            raise LedgerUnavailable(self.where, "the client was closed meanwhile") from None
        except tb.TooMuchDataError:
            # What went together goes in smaller parts from here on; a single request is its caller's to cut.
            for batches in (self._accounts, self._transfers):
                batches.most = max(1, batches.most // 2)
            raise Misuse(
                f"the cluster at {self.where} takes smaller requests than this one; give TigerBeetle(batch_max=...) "
                "what it takes (254 if it was started with --development)"
            ) from None

    def _answered(self, task: asyncio.Task[Any]) -> None:
        self._asked.discard(task)
        if not task.cancelled():
            task.exception()  # its caller may be gone; then this was the last to look

    async def _give_up(self, client: tb.ClientAsync | None) -> None:
        """Close a client; all that it has in flight is answered with its being closed."""
        if client is None or client is not self._client:
            return
        self._client = None
        await client.close()


def _fields(item: Account | Transfer) -> dict[str, Any]:
    return {name: getattr(item, name) for name in item.__struct_fields__}


def _account(found: tb.Account) -> Account:
    given = {name: getattr(found, name) for name in Account.__struct_fields__}
    return Account(**given | {"flags": AccountFlags(int(found.flags))})


def _transfer(found: tb.Transfer) -> Transfer:
    given = {name: getattr(found, name) for name in Transfer.__struct_fields__}
    return Transfer(**given | {"flags": TransferFlags(int(found.flags))})


def _of_account(filter: AccountFilter) -> tb.AccountFilter:
    flags = tb.AccountFilterFlags.NONE
    flags |= tb.AccountFilterFlags.DEBITS if filter.debits else flags
    flags |= tb.AccountFilterFlags.CREDITS if filter.credits else flags
    flags |= tb.AccountFilterFlags.REVERSED if filter.reversed else flags
    return tb.AccountFilter(
        account_id=filter.account_id,
        user_data_128=0,
        user_data_64=0,
        user_data_32=0,
        code=0,
        timestamp_min=filter.timestamp_min,
        timestamp_max=filter.timestamp_max,
        limit=min(filter.limit, _BATCH_MAX),
        flags=flags,
    )


def _query(filter: QueryFilter) -> tb.QueryFilter:
    return tb.QueryFilter(
        user_data_128=filter.user_data_128,
        user_data_64=filter.user_data_64,
        user_data_32=filter.user_data_32,
        ledger=filter.ledger,
        code=filter.code,
        timestamp_min=filter.timestamp_min,
        timestamp_max=filter.timestamp_max,
        limit=min(filter.limit, _BATCH_MAX),
        flags=tb.QueryFilterFlags.REVERSED if filter.reversed else tb.QueryFilterFlags.NONE,
    )
