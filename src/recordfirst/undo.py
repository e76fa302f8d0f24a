"""Undo: when a workflow ends in failure, what its effects did is compensated, newest first (design 6, trap 10).

Each undo is an effect with its own key and receipt, so it happens once too. It was named in the receipt before the
first call of what it undoes. It runs after every sibling has stopped, and only for what is known to have happened: an
effect whose outcome is unknown keeps its workflow parked until it is known.

Every step here takes the same engine ids on every run of the body: what is asked first for each receipt is its effect
itself, whose answer is final from then on, and only that answer decides what follows. That an effect was undone is
stored with the workflow's end, in one transaction. A body that runs again after a crash fails as it did before; with an
engine that was lost it may not, so an effect whose undo has begun raises ``Undone`` there, and it fails all the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from resonate.context import Context

from recordfirst.core import codec
from recordfirst.core import decide as d
from recordfirst.core.receipt import Change, Receipt
from recordfirst.core.start import Finish
from recordfirst.errors import Declined, Misuse, NotDone, ResultNotStored, Undone
from recordfirst.function import RAISED_AT
from recordfirst.providers.contract import describe
from recordfirst.runtime import Execution
from recordfirst.step import follow_up_arguments

if TYPE_CHECKING:
    from recordfirst.effect import Effect
    from recordfirst.records.contract import Session


class Undoing(NamedTuple):
    """What came of it."""

    done: list[tuple[Receipt, str]]
    """What was undone, with the key of the undo."""
    left: list[str]
    """What was not, and why, for a person."""


async def undo_all(ctx: Context, execution: Execution, effects: dict[str, Effect[..., Any]]) -> Undoing:
    """Run the undo of every effect of this workflow that names one and has happened. One that fails stops no other."""
    undoing, execution.is_undoing = Undoing([], []), True
    defects: list[tuple[Exception, str | None]] = []
    for receipt in reversed(await _called(execution)):
        try:
            by = await _undo(ctx, execution, effects, receipt)
        except Exception as error:  # noqa: BLE001 - one that fails stops no other
            undoing.left.append(f"{receipt.key!r} ({describe(error)})")
            if not execution.declared.fails_on(error):
                defects.append((error, receipt.undo))
        else:
            if by is not None:
                undoing.done.append((receipt, by))
    for defect, step in defects:
        # The workflow stops, and what is left is undone when it goes on.
        execution.stopped_by(defect, getattr(defect, RAISED_AT, None), step)
    return undoing


async def _undo(
    ctx: Context, execution: Execution, effects: dict[str, Effect[..., Any]], receipt: Receipt
) -> str | None:
    """Undo one effect, and return the key of what did; ``None`` if it had not happened."""
    effect = effects.get(receipt.function)
    if effect is None or effect.undo is None:
        if receipt.state == "declined" or receipt.undone_by is not None:
            return None
        raise Misuse(
            f"it must be undone by {receipt.undo!r}, but no effect {receipt.function!r} with an undo is known any "
            "more; keep both, or name them in @workflow(steps=...)"
        )
    arguments = effect.function.fit(codec.decode(execution.runtime.unseal(receipt.request)))
    result = None
    try:
        result = await effect.settling(receipt.attempt)(ctx, **arguments)
    except (Declined, NotDone, Undone):
        return None
    except ResultNotStored:
        pass
    except Exception:
        # Its on_success fails, say. It has happened all the same if the provider's answer is kept.
        text = _kept(execution, await _find(execution, receipt))
        if text is None:
            raise
        result = codec.shape(codec.decode(text), effect.function.returns, f"the result of {effect.function!r}")
    chosen = follow_up_arguments(effect.undo.function, effect.undo_extra, arguments, result)
    await effect.undo.undoing(receipt.attempt)(ctx, **chosen)
    return effect.undo.key_for(chosen)


async def close_undone(execution: Execution, done: list[tuple[Receipt, str]], finish: Finish) -> None:
    """Say in each receipt what undid it, in one transaction with the end of the workflow's life."""
    if not done:
        return

    async def store() -> None:
        async with execution.runtime.record.transaction() as tx:
            await tx.finish([finish])
            start = await tx.find_start(finish.id)
            if start is None or (start.epoch, start.state) != (finish.epoch, finish.state):
                return  # Another life of this workflow goes on, and comes to the same.
            for receipt, by in done:
                await _mark(tx, execution, receipt, by)

    await execution.runtime.patiently(f"undo in {execution.workflow_id!r}", store)


async def _mark(tx: Session[Any], execution: Execution, receipt: Receipt, by: str) -> None:
    while True:
        seen = (await tx.find_receipt(receipt.key, receipt.attempt)).receipt
        if seen is None or await tx.change_receipt(seen, _undone(execution, seen, by)) is not None:
            return


def _undone(execution: Execution, receipt: Receipt, by: str) -> Change:
    text = _kept(execution, receipt)
    if text is None:
        return d.undone(receipt, by)
    # No later life is to store a success, with its rows, that was taken back.
    return msgspec.structs.replace(d.succeeded(receipt, execution.runtime.seal(text)), undone_by=by)


def _kept(execution: Execution, receipt: Receipt | None) -> str | None:
    """The result in a provider's answer that could not be stored as a success."""
    if receipt is None or receipt.reply is None:
        return None
    reply = codec.decode(execution.runtime.unseal(receipt.reply))
    return reply["text"] if reply["state"] == "succeeded" else None


async def _called(execution: Execution) -> list[Receipt]:
    """The receipts that may need an undo, oldest first. Nothing that a failed body does adds to them."""

    async def find() -> list[Receipt]:
        async with execution.runtime.record.session() as session:
            return await session.receipts_of(execution.workflow_id)

    receipts = await execution.runtime.patiently(f"receipts of {execution.workflow_id!r}", find)
    return [receipt for receipt in receipts if receipt.undo is not None and receipt.calls > 0]


async def _find(execution: Execution, receipt: Receipt) -> Receipt | None:
    async def find() -> Receipt | None:
        async with execution.runtime.record.session() as session:
            return (await session.find_receipt(receipt.key, receipt.attempt)).receipt

    return await execution.runtime.patiently(f"receipt of {receipt.key!r}", find)


async def withdraw_uncalled(execution: Execution) -> None:
    """Take back the calls that ``w.intend`` announced and this run has not made, so that they are in nobody's doubt."""
    while execution.begun:
        _, begun = execution.begun.popitem()

        async def withdraw(receipt: Receipt = begun.receipt) -> None:
            async with execution.runtime.record.session() as session:
                seen = (await session.find_receipt(receipt.key, receipt.attempt)).receipt
                if seen is not None:
                    await session.change_receipt(seen, d.withdrawn(seen))

        await execution.runtime.patiently(f"intent of {begun.receipt.key!r}", withdraw)
