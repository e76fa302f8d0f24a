"""The outcome of a request to a ledger: one function from results to an outcome.

``created`` and ``exists`` are the same success: a request that is sent again after a crash finds what the first one
did. Other fields under the same id are a conflict. Everything else is a refusal, which is final for its id.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from recordfirst.errors import Declined, DifferentTransfer
from recordfirst.ledgers.contract import Account, AccountFlags, Created, Ledger, Transfer, TransferFlags, TransferStatus
from recordfirst.ledgers.fields import differing

_SETTLES = TransferFlags.POST_PENDING_TRANSFER | TransferFlags.VOID_PENDING_TRANSFER
_UNSURE = _SETTLES | TransferFlags.BALANCING_DEBIT | TransferFlags.BALANCING_CREDIT
"""What really moves is the ledger's to say."""
_RELEASED = ("pending_transfer_already_voided", "pending_transfer_expired")


async def transferred(ledger: Ledger, asked: Sequence[Transfer]) -> list[Transfer]:
    """Make a transfer, or one chain of linked ones, and return what the ledger holds of it.

    Raises:
        Declined: with TigerBeetle's name of the reason as its code. For ``id_already_failed``, the first reason, if the
            ledger remembers it.
        DifferentTransfer: if the ledger holds one of the ids with other fields; names both.
        LedgerUnavailable: if nobody can tell.
    """
    results = await ledger.create_transfers(asked)
    statuses = [result.status for result in results]
    if any(status == "exists" for status in statuses) and len(asked) > 1:
        # Sent again, a chain breaks at its first link, which exists; it is there as a whole or not at all.
        statuses = ["exists" if status == "linked_event_failed" else status for status in statuses]
    for transfer, status in zip(asked, statuses, strict=True):
        if status not in ("created", "exists", "linked_event_failed"):
            return await _refused(ledger, asked, transfer, status)
    if len(asked) == 1 and not asked[0].flags & _UNSURE:
        return [msgspec.structs.replace(asked[0], timestamp=results[0].timestamp)]
    return await _found(ledger, asked)


async def opened(ledger: Ledger, asked: Sequence[Account]) -> list[Account]:
    """Open an account, or one chain of linked ones, and return it as the ledger holds it.

    Raises:
        Declined: with TigerBeetle's name of the reason as its code.
        DifferentTransfer: if the ledger has one of the ids with other fields; names both.
        LedgerUnavailable: if nobody can tell.
    """
    results = await ledger.create_accounts(asked)
    found = {account.id: account for account in await ledger.lookup_accounts([account.id for account in asked])}
    if len(found) == len(asked):
        for account in asked:
            if different := differing(_as_opened(found[account.id]), _as_opened(account)):
                raise DifferentTransfer(f"account {account.id}", _status(results), different)
        return [found[account.id] for account in asked]
    status = _status(results)
    raise Declined(f"the ledger opened no account: {_spoken(status)}", status)


def _as_opened(account: Account) -> Account:
    """Without what a ledger counts among the flags and is not the account's own: closed later, opened in a chain."""
    return msgspec.structs.replace(account, flags=account.flags & ~(AccountFlags.CLOSED | AccountFlags.LINKED))


async def _refused(
    ledger: Ledger, asked: Sequence[Transfer], transfer: Transfer, status: TransferStatus
) -> list[Transfer]:
    if status.startswith("exists_with_different"):
        [stored] = await ledger.lookup_transfers([transfer.id])
        raise DifferentTransfer(f"transfer {transfer.id}", status, differing(stored, transfer))
    if status in _RELEASED and len(asked) == 1 and transfer.flags & TransferFlags.VOID_PENDING_TRANSFER:
        return [msgspec.structs.replace(transfer, amount=0)]
    if status == "id_already_failed":
        first = (await ledger.refusals([transfer.id])).get(transfer.id)
        if first is None:
            raise Declined("the ledger refused it when it was first sent, and that answer was lost", status)
        status = first
    place = f" (transfer {asked.index(transfer) + 1} of {len(asked)})" if len(asked) > 1 else ""
    raise Declined(f"the ledger refused it: {_spoken(status)}{place}", status)


async def _found(ledger: Ledger, asked: Sequence[Transfer]) -> list[Transfer]:
    found = {transfer.id: transfer for transfer in await ledger.lookup_transfers([t.id for t in asked])}
    missing = [transfer for transfer in asked if transfer.id not in found]
    if missing:
        raise DifferentTransfer(
            f"transfer {missing[0].id}", "linked_event_failed", "it is not there, though another of its chain is"
        )
    return [found[transfer.id] for transfer in asked]


def _status(results: Sequence[Created[Any]]) -> str:
    statuses = [str(result.status) for result in results if result.status not in ("created", "linked_event_failed")]
    return statuses[0] if statuses else "linked_event_failed"


def _spoken(status: str) -> str:
    return status.replace("_", " ")
