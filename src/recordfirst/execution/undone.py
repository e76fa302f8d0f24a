"""What the record says of undos: which has begun for which effect, and which effects are undone (P3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from recordfirst.core import codec
from recordfirst.core import decide as d
from recordfirst.core.receipt import Change, Receipt
from recordfirst.errors import Undone
from recordfirst.execution.runtime import Runtime
from recordfirst.records.contract import Session


async def begun_undos(
    session: Session[Any], workflow: str, receipts: Sequence[Receipt]
) -> dict[tuple[str, int], Receipt]:
    """The receipts of a workflow's undos, by key and attempt of what each takes back."""
    known = {(receipt.key, receipt.attempt): receipt for receipt in receipts}
    begun: dict[tuple[str, int], Receipt] = {}
    for each in await session.undoings_of(workflow):
        found = known.get((each.key, each.attempt)) or (await session.find_receipt(each.key, each.attempt)).receipt
        if found is not None:
            begun[each.undoes, each.undoes_attempt] = found
    return begun


def is_begun(undo: Receipt) -> bool:
    """Whether an undo has happened, or may have."""
    return undo.state != "declined" and (undo.doubts > 0 or undo.state != "intended" or undo.reply is not None)


async def begun_undo(runtime: Runtime, receipt: Receipt) -> Receipt | None:
    """The receipt of the undo that has begun for an effect, by what the record says.

    The same call made by the body under the same key is the body's own: it takes nothing back on its workflow's behalf.
    """

    async def find() -> Receipt | None:
        async with runtime.record.session() as session:
            for each in await session.undoings_of(receipt.workflow):
                if (each.undoes, each.undoes_attempt) == (receipt.key, receipt.attempt):
                    found: Receipt | None = (await session.find_receipt(each.key, each.attempt)).receipt
                    return found
            return None

    return await runtime.patiently(f"undo of {receipt.key!r}", find)


async def taken_back_before(runtime: Runtime, workflow: str, again: Mapping[str, int]) -> str | None:
    """What an earlier run has begun to take back because the workflow had failed, in words; ``None``: nothing.

    A call counts from when it is claimed: it may be on its way. ``again``: the attempts that a retry has put behind it,
    by key; they were taken back, and others are made.
    """

    async def find() -> str | None:
        async with runtime.record.session() as session:
            for (key, attempt), undo in (await begun_undos(session, workflow, ())).items():
                is_called = is_begun(undo) or (undo.state == "intended" and undo.calls > 0)
                if is_called and attempt > again.get(key, 0):
                    return f"effect {key!r} is being undone by {undo.key!r}, since its workflow had failed"
            return None

    return await runtime.patiently(f"undos of {workflow!r}", find)


async def mark_undone(tx: Session[Any], runtime: Runtime, receipt: Receipt, by: str) -> None:
    """Say in a receipt what undid it."""
    while True:
        seen = (await tx.find_receipt(receipt.key, receipt.attempt)).receipt
        if seen is None or await tx.change_receipt(seen, _undone(runtime, seen, by)) is not None:
            return


def _undone(runtime: Runtime, receipt: Receipt, by: str) -> Change:
    text = kept_result(runtime, receipt)
    if text is None:
        return d.undone(receipt, by)
    # No later epoch is to store a success, with its rows, that was taken back.
    return msgspec.structs.replace(d.succeeded(receipt, runtime.seal(text)), undone_by=by)


def kept_result(runtime: Runtime, receipt: Receipt | None) -> str | None:
    """The result in a provider's answer that could not be stored as a success."""
    if receipt is None or receipt.reply is None:
        return None
    reply = codec.decode(runtime.unseal(receipt.reply))
    return reply["text"] if reply["state"] == "succeeded" else None


async def refuse_undone(runtime: Runtime, receipt: Receipt) -> None:
    """Raise ``Undone`` if a succeeded effect is being taken back."""
    begun = await begun_undo(runtime, receipt)
    if begun is not None and is_begun(begun):
        raise Undone(
            f"effect {receipt.key!r} succeeded and is being undone by {begun.key!r}, since its workflow had failed"
        )
