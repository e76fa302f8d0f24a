"""Two-phase transfers, as values: reserve an amount, then post or void it."""

from __future__ import annotations

from recordfirst.errors import Misuse
from recordfirst.ledgers.contract import AMOUNT_MAX, Transfer, TransferFlags


def reserve(
    *, debit_account_id: int, credit_account_id: int, amount: int, ledger: int, code: int, timeout: int = 0
) -> Transfer:
    """Return a pending transfer: it holds the amount until it is posted, voided, or its timeout has come.

    Args:
        debit_account_id: from whom.
        credit_account_id: to whom.
        amount: in minor units.
        ledger: the accounts' ledger.
        code: why; not 0.
        timeout: seconds, by the ledger's clock from when it is made, after which the ledger releases it by itself; 0:
            never. Longer than whatever the workflow does before it posts, its waits and outages included.
    """
    return Transfer(
        debit_account_id=debit_account_id,
        credit_account_id=credit_account_id,
        amount=amount,
        ledger=ledger,
        code=code,
        timeout=timeout,
        flags=TransferFlags.PENDING,
    )


def post(held: Transfer, amount: int | None = None) -> Transfer:
    """Return the transfer that posts what ``held`` reserves: all of it, or ``amount``; the rest is released.

    Raises:
        Misuse: if ``held`` is not a pending transfer as its step returned it.
    """
    everything = AMOUNT_MAX if amount is None else amount
    return _settling(held, everything, TransferFlags.POST_PENDING_TRANSFER)


def void(held: Transfer) -> Transfer:
    """Return the transfer that releases what ``held`` reserves.

    As a step it also succeeds, with the amount 0, if nothing is held because it was voided or has expired.

    Raises:
        Misuse: if ``held`` is not a pending transfer as its step returned it.
    """
    return _settling(held, 0, TransferFlags.VOID_PENDING_TRANSFER)


def _settling(held: Transfer, amount: int, flags: TransferFlags) -> Transfer:
    if not held.id or not held.flags & TransferFlags.PENDING:
        raise Misuse(f"{held!r} holds nothing: give post() and void() what the step that reserved has returned")
    return Transfer(pending_id=held.id, amount=amount, flags=flags)
