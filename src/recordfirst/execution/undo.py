"""Undo: if a workflow ends in failure, other effects reverse its effects, newest first.

Each undo is an effect with its own key and receipt, so it happens once, too. The receipt has named it since before the
first call of the effect that it undoes, and the receipt counts, whatever a deploy has made of ``undo=`` since. The
undone effect is stored under the undo's key before the undo is called: one key undoes one effect, and an undo that has
begun goes on under the key that it has. Requests and answers are read from receipts, never rendered again. It runs
after every sibling has stopped, and only for effects that have happened: an effect whose outcome is unknown keeps its
workflow parked until it is known.

Every step here takes the same engine ids on every run of the body: what is asked first for each receipt is its effect
itself, whose answer is final from then on, and only that answer decides what follows. That an effect was undone is
stored with the workflow's end, in one transaction. A body that runs again after a crash fails as it did before; with an
engine that was lost it may not, so an effect whose undo has begun raises ``Undone`` there, and it fails all the same.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from resonate.context import Context

from recordfirst.core import codec
from recordfirst.core import decide as d
from recordfirst.core.receipt import Receipt, Undoing
from recordfirst.core.start import Finish
from recordfirst.errors import Declined, Misuse, NotDone, SharedKey, Undone
from recordfirst.execution.calls import go_on, run_bound
from recordfirst.execution.execution import Execution
from recordfirst.execution.outcome import arguments_after
from recordfirst.execution.undone import begun_undos, kept_result, mark_undone
from recordfirst.providers.contract import describe
from recordfirst.records.contract import Session
from recordfirst.steps.effect import Effect
from recordfirst.steps.function import RAISED_AT


class UndoResult(NamedTuple):
    """What came of it."""

    done: list[tuple[Receipt, str]]
    """What was undone, with the key of the undo."""
    left: list[str]
    """What was not, and why, for an operator."""


async def undo_all(ctx: Context, execution: Execution, effects: dict[str, Effect[..., Any]]) -> UndoResult:
    """Run the undo of every effect of this workflow that names one and has happened. One that fails stops no other."""
    undoing, execution.is_undoing = UndoResult([], []), True
    defects: list[tuple[Exception, str | None]] = []
    receipts, begun = await _called(execution)
    for receipt in reversed(receipts):
        try:
            by = await _undo(ctx, execution, effects, receipt, begun.get((receipt.key, receipt.attempt)))
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
    ctx: Context, execution: Execution, effects: dict[str, Effect[..., Any]], receipt: Receipt, begun: Receipt | None
) -> str | None:
    """Undo one effect, and return the key of what did; ``None`` if it had not happened."""
    name = begun.function if begun is not None else receipt.undo
    effect, undo = effects.get(receipt.function), effects.get(name or "")
    if effect is None or undo is None:
        if receipt.state == "declined" or receipt.undone_by is not None:
            return None
        unknown = " and ".join(
            repr(each) for each, known in ((receipt.function, effect), (name, undo)) if known is None
        )
        raise Misuse(
            f"it must be undone by {name!r}, as its receipt says, but the app has no effect {unknown}; keep both, or "
            "name them in @workflow(steps=...)"
        )
    happened, result = await _outcome(ctx, execution, effect, receipt)
    if not happened:
        return None
    if begun is not None:
        await go_on(undo.undoing(receipt, attempt=begun.attempt, begun=begun), execution, ctx)
        return begun.key
    arguments = arguments_after(execution.runtime, effect, undo, receipt, result)
    key = undo.key_for(arguments)
    attempt = await _begin(execution, undo, receipt, key)
    await run_bound(undo.undoing(receipt, attempt=attempt), execution, ctx, arguments)
    return key


async def _outcome(ctx: Context, execution: Execution, effect: Effect[..., Any], receipt: Receipt) -> tuple[bool, Any]:
    """Whether an effect has happened, once that is known, and its result, as JSON's builtins."""
    try:
        result = await go_on(effect.settling(receipt), execution, ctx)
    except (Declined, NotDone, Undone):
        return False, None
    except Exception:
        # Its on_success fails, say, or its result is not of the type that is declared by now. It has happened all the
        # same if the record says so, or the provider's answer is kept.
        found = await _find(execution, receipt)
        text = kept_result(execution.runtime, found)
        if text is None and found is not None and found.state == "succeeded":
            text = execution.runtime.unseal(found.result) if found.result is not None else "null"
        if text is None:
            raise
        return True, codec.decode(text)
    return True, codec.decode(codec.encode(result, f"the result of {effect.function!r}"))


async def _begin(execution: Execution, undo: Effect[..., Any], receipt: Receipt, key: str) -> int:
    """Store what is taken back under this key, and return the undo's attempt: the next of those that undid earlier
    attempts. A call of the undo by a body is none of them, so it counts, and nothing is taken back twice (P3).

    Raises:
        SharedKey: if the key is another effect's undo.
    """

    async def store() -> tuple[int, str]:
        async with execution.runtime.record.transaction() as tx:
            attempt = 1 + await _collected(tx, receipt)
            while True:
                undoing = Undoing(key, attempt, receipt.key, receipt.attempt)
                undoes, of_attempt = await tx.begin_undo(undoing, execution.workflow_id)
                if undoes != receipt.key or of_attempt == receipt.attempt:
                    return attempt, undoes
                attempt += 1

    attempt, undoes = await execution.runtime.patiently(f"undo {key!r}", store)
    if undoes != receipt.key:
        raise SharedKey(
            key,
            f"the undo of {undoes!r}",
            f"that of {receipt.key!r}, which was not called: put into the key of {undo.name} what tells the two apart "
            "(the result of what it undoes, say)",
        )
    return attempt


async def _collected(tx: Session[Any], receipt: Receipt) -> int:
    """How many earlier attempts were collected with their workflows. They may have been undone under any attempt."""
    earlier = [await tx.find_receipt(receipt.key, attempt) for attempt in range(1, receipt.attempt)]
    return sum(found.receipt is None for found in earlier)


async def close_undone(execution: Execution, done: list[tuple[Receipt, str]], finish: Finish) -> None:
    """Say in each receipt what undid it, in one transaction with the end of the workflow's epoch."""
    if not done:
        return

    async def store() -> None:
        async with execution.runtime.record.transaction() as tx:
            await tx.finish([finish])
            start = await tx.find_start(finish.id)
            if start is None or (start.epoch, start.state) != (finish.epoch, finish.state):
                return  # Another epoch of this workflow goes on, and comes to the same.
            for receipt, by in done:
                await mark_undone(tx, execution.runtime, receipt, by)

    await execution.runtime.patiently(f"undo in {execution.workflow_id!r}", store)


async def _called(execution: Execution) -> tuple[list[Receipt], dict[tuple[str, int], Receipt]]:
    """The receipts that may need an undo, oldest first, and those of the undos that have begun, by what they undo.

    Nothing that a failed body does adds to the first.
    """

    async def find() -> tuple[list[Receipt], dict[tuple[str, int], Receipt]]:
        async with execution.runtime.record.session() as session:
            receipts = await session.receipts_of(execution.workflow_id)
            return receipts, await begun_undos(session, execution.workflow_id, receipts)

    receipts, begun = await execution.runtime.patiently(f"receipts of {execution.workflow_id!r}", find)
    return [receipt for receipt in receipts if receipt.undo is not None and receipt.calls > 0], begun


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
