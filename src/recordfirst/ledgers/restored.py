"""After a restore of the record: a ledger that was not restored has transfers that the record has forgotten (P3, P6).

A transfer's id is made from its key and the moment at which the record first knew of it. A restored record
knows of it at another moment, so the same transfer would get another id, and be made again. What does not depend on the
moment are the last 80 bits of the id, and ``user_data_128``. They find the transfer, which is then asked for under its
existing id. That is the rule of every effect: ask, and never repeat.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from recordfirst.core import identity
from recordfirst.errors import DifferentTransfer
from recordfirst.ledgers.contract import Ledger, QueryFilter, Transfer

_PAGE = 1000


async def as_made(ledger: Ledger, asked: Sequence[Transfer]) -> list[Transfer]:
    """Return what is to be sent: as ``asked``, or with the ids under which the ledger has it already.

    Raises:
        DifferentTransfer: if it has a part of a chain, which is made as a whole or not at all.
    """
    there = [await _find(ledger, transfer) for transfer in asked]
    found = [one for one in there if one is not None]
    if not found:
        return list(asked)
    if len(found) < len(asked):
        missing = asked[there.index(None)]
        raise DifferentTransfer(
            f"transfer {found[0].id}", "linked_event_failed", f"it is there without {missing.id} of its chain"
        )
    return [msgspec.structs.replace(wanted, id=one.id) for wanted, one in zip(asked, found, strict=True)]


async def _find(ledger: Ledger, wanted: Transfer) -> Transfer | None:
    """The oldest that was made for the same key, attempt and place in the chain."""
    after = 0
    while page := await ledger.query_transfers(
        QueryFilter(user_data_128=wanted.user_data_128, timestamp_min=after, limit=_PAGE)
    ):
        for transfer in page:
            if identity.transfer_tail(transfer.id) == identity.transfer_tail(wanted.id):
                return transfer
        after = page[-1].timestamp + 1
    return None
