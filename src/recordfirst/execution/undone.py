"""What the record says of undos: which has begun for which effect, and what was taken back (P3)."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import msgspec

from recordfirst.core import codec
from recordfirst.core import decide as d
from recordfirst.core.receipt import Change, Receipt
from recordfirst.errors import BadKey, Undone
from recordfirst.execution.runtime import Runtime
from recordfirst.records.contract import Session
from recordfirst.steps.effect import Effect
from recordfirst.steps.step import follow_up_arguments


async def begun_undos(
    session: Session[Any], workflow: str, receipts: Sequence[Receipt]
) -> dict[tuple[str, int], Receipt]:
    """The receipts of a workflow's undos, by key and attempt of what each takes back."""
    known = {(receipt.key, receipt.attempt): receipt for receipt in receipts}
    begun: dict[tuple[str, int], Receipt] = {}
    for key, attempt, undoes in await session.undoings_of(workflow):
        found = known.get((key, attempt)) or (await session.find_receipt(key, attempt)).receipt
        if found is not None:
            begun[undoes, attempt] = found
    return begun


def is_begun(undo: Receipt) -> bool:
    """Whether an undo has happened, or may have."""
    return undo.state != "declined" and (undo.doubts > 0 or undo.state != "intended" or undo.reply is not None)


async def begun_undo(runtime: Runtime, effect: Effect[..., Any], receipt: Receipt, result: Any) -> Receipt | None:
    """The receipt of what undoes a receipt: by what the record says, or (before it said so) by the key of today."""
    keys: list[str] = []
    if (undo := effect.undo) is not None and undo.name == receipt.undo:
        arguments = effect.function.thaw(runtime.unseal(receipt.request))
        with contextlib.suppress(BadKey):
            keys.append(undo.key_for(follow_up_arguments(undo.function, effect.undo_extra, arguments, result)))

    async def find() -> Receipt | None:
        async with runtime.record.session() as session:
            said = await session.undoings_of(receipt.workflow)
            ours = [each.key for each in said if (each.undoes, each.attempt) == (receipt.key, receipt.attempt)]
            others = {each.key for each in said} - {*ours}
            for key in [*ours, *(key for key in keys if key not in others)]:
                found: Receipt | None = (await session.find_receipt(key, receipt.attempt)).receipt
                if found is not None:
                    return found
            return None

    return await runtime.patiently(f"undo of {receipt.key!r}", find)


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


async def refuse_undone(runtime: Runtime, effect: Effect[..., Any], receipt: Receipt, result: Any) -> None:
    """Raise ``Undone`` if a succeeded effect is being taken back."""
    begun = await begun_undo(runtime, effect, receipt, result)
    if begun is not None and is_begun(begun):
        raise Undone(
            f"effect {receipt.key!r} succeeded and is being undone by {begun.key!r}, since its workflow had failed"
        )
