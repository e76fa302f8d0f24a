"""Undo: when a workflow ends in failure, what its effects did is compensated, newest first (design 6, trap 10).

Each undo is an effect with its own key and receipt, so it happens once too. It was named in the receipt before the
first call of what it undoes. It runs after every sibling has stopped, and only for what is known to have happened: an
effect whose outcome is unknown keeps its workflow parked until it is known.

Every step here takes the same engine ids on every run of the body: what is asked first for each receipt is its effect
itself, whose answer is final from then on, and only that answer decides what follows.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from resonate.context import Context

from recordfirst.core import codec
from recordfirst.core import decide as d
from recordfirst.core.receipt import Change, Receipt
from recordfirst.errors import Declined, Misuse, ResultNotStored, Undone
from recordfirst.runtime import Execution
from recordfirst.step import follow_up_arguments

if TYPE_CHECKING:
    from collections.abc import Callable

    from recordfirst.effect import Effect


async def undo_all(ctx: Context, execution: Execution, effects: dict[str, Effect[..., Any]]) -> None:
    """Run the undo of every effect of this workflow that names one and has happened."""
    if not any(effect.undo is not None for effect in effects.values()):
        return
    for receipt in sorted(await _called(execution), key=lambda r: r.created_at_ms, reverse=True):
        effect = effects.get(receipt.function)
        if effect is None or effect.undo is None:
            raise Misuse(
                f"effect {receipt.key!r} must be undone by {receipt.undo!r}, but no effect {receipt.function!r} with "
                "an undo is known any more; keep both, or name them in @workflow(steps=...)"
            )
        arguments = effect.function.fit(codec.decode(execution.runtime.unseal(receipt.request)))
        result = None
        try:
            result = await effect.attempt(receipt.attempt)(ctx, **arguments)
        except (Declined, Undone):
            continue
        except ResultNotStored:
            pass
        chosen = follow_up_arguments(effect.undo.function, effect.undo_extra, arguments, result)
        await effect.undo(ctx, **chosen)
        by = effect.undo.key_for(chosen)
        await _change(execution, receipt, functools.partial(d.undone, by=by))


async def _called(execution: Execution) -> list[Receipt]:
    """The receipts that may need an undo. Nothing that a failed body does adds to them."""

    async def find() -> list[Receipt]:
        async with execution.runtime.record.session() as session:
            return await session.receipts_of(execution.workflow_id)

    receipts = await execution.runtime.patiently(f"receipts of {execution.workflow_id!r}", find)
    return [receipt for receipt in receipts if receipt.undo is not None and receipt.calls > 0]


async def withdraw_uncalled(execution: Execution) -> None:
    """Take back the calls that ``w.intend`` announced and this run has not made, so that they are in nobody's doubt."""
    while execution.begun:
        _, begun = execution.begun.popitem()
        await _change(execution, begun.receipt, d.withdrawn)


async def _change(execution: Execution, receipt: Receipt, change_of: Callable[[Receipt], Change]) -> None:
    async def apply() -> None:
        async with execution.runtime.record.session() as session:
            seen = (await session.find_receipt(receipt.key, receipt.attempt)).receipt
            if seen is not None:
                await session.change_receipt(seen, change_of(seen))

    await execution.runtime.patiently(f"undo of {receipt.key!r}", apply)
