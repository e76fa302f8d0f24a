"""Storing starts: what makes a workflow accepted (P7).

With an engine in the record's own database their promises are created in the same transaction. Elsewhere the relay does
that after the commit, and the reconciler when even that is lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from recordfirst.core import codec, identity
from recordfirst.core.start import NewStart, Start
from recordfirst.records.contract import Session
from recordfirst.runtime import Runtime


async def accept(runtime: Runtime, session: Session[Any], given: Sequence[NewStart]) -> list[tuple[Start, bool]]:
    """Store starts whose ids are new; return, in the order given, what the record holds, and if it is new.

    With :attr:`Runtime.joined`, the session is a transaction.
    """
    rows = await session.add_starts(given)
    if runtime.joined is not None:
        rows = await _hand_over(runtime, session, rows)
    if not runtime.works_here() and any(added and start.engine is None for start, added in rows):
        # Elsewhere only: Postgres lets transactions that notify commit one at a time.
        await runtime.record.notify(session)
    return rows


async def _hand_over(runtime: Runtime, tx: Session[Any], rows: list[tuple[Start, bool]]) -> list[tuple[Start, bool]]:
    """Give what is new to the engine in the record's database; what it does not take stays for the relay."""
    joined, new = runtime.joined, [start for start, added in rows if added]
    if joined is None or not new:
        return rows
    lives = [
        (
            identity.engine_id(runtime.app, start.id, start.epoch),
            start.workflow,
            codec.decode(runtime.unseal(start.arguments)),
        )
        for start in new
    ]
    answers = await joined.create(tx, lives)
    taken = [start for start, life in zip(new, answers, strict=True) if life == "running"]
    await tx.dispatched(taken, joined.identity)
    ids = {start.id for start in taken}
    return [
        (msgspec.structs.replace(start, engine=joined.identity) if start.id in ids else start, added)
        for start, added in rows
    ]
