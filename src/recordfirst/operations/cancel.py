"""Cancelling: an operator ends an open workflow. The record is written first, then the engine is told (P6, P7).

Kept: once this has returned, no epoch of the workflow begins a write or a call, wherever it runs and however late: the
statements that begin one read the start, and wait for a transaction that ends it. Steps that had begun before finish: a
call that was on its way may arrive. With ``undo``, the effects that ``undo=`` names then reverse what has happened,
newest first, in an epoch of the workflow's own, which survives crashes as any other does.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from recordfirst.core import codec
from recordfirst.core.finding import Audit
from recordfirst.core.receipt import Receipt
from recordfirst.core.start import Start
from recordfirst.core.stops import stop_of
from recordfirst.errors import Misuse, UnknownWorkflow
from recordfirst.execution.runtime import Runtime
from recordfirst.execution.undone import begun_undos, is_begun, mark_undone
from recordfirst.steps.effect import Effect
from recordfirst.steps.registrations import Registrations


class Cancellation(msgspec.Struct, frozen=True, kw_only=True):
    """What a cancellation came to, or would come to."""

    id: str
    state: str
    """``cancelled``; ``open`` while it is being undone; ``failed`` if something could not be undone."""
    epoch: int
    undone: list[str] = []
    """Keys of the effects that are to be undone, newest first, as far as they have happened."""
    left: list[str] = []
    """Keys of the effects that have happened, or may have, and are left as they are."""
    reversed: dict[str, str] = {}
    """Keys of the effects that an undo has taken back already, and has not said so yet, with the key of that undo."""
    unsure: dict[str, str] = {}
    """Keys of the effects whose undo has begun and is given up: it may have happened. With the key of that undo."""
    changed: bool = True
    """``False``: it had been cancelled before, and nothing was changed."""

    @property
    def told(self) -> str:
        """In one line, for an operator."""
        what = f"undoing {', '.join(self.undone)}" if self.undone else "closed"
        if self.reversed:
            what += f"; undone before: {', '.join(self.reversed)}"
        if self.unsure:
            what += f"; may have been undone: {', '.join(f'{key} (by {by})' for key, by in self.unsure.items())}"
        return what + (f"; left as it is: {', '.join(self.left)}" if self.left else "")


async def cancel(
    runtime: Runtime,
    registered: Registrations,
    id: str,
    *,
    undo: bool | None,
    said_by: tuple[str, str | None],
    dry_run: bool,
) -> Cancellation:
    """Store what an operator said; see ``App.cancel``."""
    who, why = said_by
    message = codec.told(f"cancelled by {who}" + (f": {why}" if why else ""))
    error = {"type": "Cancelled", "message": message}

    async def store() -> Cancellation:
        async with runtime.record.transaction() as tx:
            start = await tx.lock_start(id)
            if start is None:
                raise UnknownWorkflow(f"no workflow {id!r} was ever started in app {runtime.app!r}")
            receipts = await tx.receipts_of(id)
            begun = await begun_undos(tx, id, receipts)
            plan = _plan(registered.effects, start, receipts, begun, undo=undo)
            if plan.undone and plan.changed:
                registered.workflow(start.workflow, runtime.app)  # raises if no worker of this app could do it
            if dry_run or not plan.changed:
                return plan
            await tx.end_epochs(id, undo=bool(plan.undone), error=codec.encode(error, "an end"))
            await tx.unpark(id)
            if start.is_stopped:
                await tx.close_findings([stop_of(start)], "cancelled")
            for receipt in receipts:
                if receipt.key in plan.reversed and _is_reversed(receipt, begun):
                    await mark_undone(tx, runtime, receipt, plan.reversed[receipt.key])
            await tx.add_audit(Audit(who=who, command="cancel", subject=id, why=why, detail=plan.told))
            await runtime.record.notify(tx)
            return plan

    cancelled: Cancellation = await runtime.patiently(f"cancelling {id!r}", store, release=False)
    runtime.nudge()
    return cancelled


def _plan(
    effects: Mapping[str, Effect[..., Any]],
    start: Start,
    receipts: list[Receipt],
    begun: Mapping[tuple[str, int], Receipt],
    *,
    undo: bool | None,
) -> Cancellation:
    """What is to be done. Raises ``Misuse`` if it cannot be, or if it must be said what is to become of effects."""
    undoable, other, reversed_ = _happened(effects, receipts, begun)
    if _was_cancelled(start, undo=undo):
        undone = [*undoable] if start.state == "open" else []
        return Cancellation(id=start.id, state=start.state, epoch=start.epoch, undone=undone, left=other, changed=False)
    if start.state != "open":
        raise Misuse(f"workflow {start.id!r} is {start.state}; only an open one can be cancelled")
    if undoable and undo is None:
        raise Misuse(
            f"workflow {start.id!r} has done what can be undone: {', '.join(undoable)}; say --undo to have it undone, "
            "or --no-undo to leave it as it is (undo=True or undo=False)"
        )
    epoch = start.epoch + 1
    if undoable and undo:
        undone = [*undoable]
        return Cancellation(id=start.id, state="open", epoch=epoch, undone=undone, left=other, reversed=reversed_)
    unsure = {key: by for key, by in undoable.items() if by is not None}
    left = [*(key for key in undoable if key not in unsure), *other]
    return Cancellation(id=start.id, state="cancelled", epoch=epoch, left=left, reversed=reversed_, unsure=unsure)


def _was_cancelled(start: Start, *, undo: bool | None) -> bool:
    """Whether this was said before. To give up undoing is another thing to say."""
    if start.state == "cancelled":
        return True
    return start.is_undoing and not start.is_stopped and undo is not False


def _is_reversed(receipt: Receipt, begun: Mapping[tuple[str, int], Receipt]) -> bool:
    """Whether its undo has succeeded, and its own receipt does not say so yet."""
    undo = begun.get((receipt.key, receipt.attempt))
    return undo is not None and undo.state == "succeeded" and receipt.undone_by is None


def _happened(
    effects: Mapping[str, Effect[..., Any]], receipts: list[Receipt], begun: Mapping[tuple[str, int], Receipt]
) -> tuple[dict[str, str | None], list[str], dict[str, str]]:
    """Keys of what has happened, or may have, newest first: with an undo (and the key of that one, if it may have
    happened), without, and what was undone, by its undo's key.
    """
    undoable: dict[str, str | None] = {}
    other: list[str] = []
    reversed_: dict[str, str] = {}
    undoes = {effect.undo.name for effect in effects.values() if effect.undo is not None}
    undos = {(undo.key, undo.attempt) for undo in begun.values()}
    for receipt in reversed(receipts):
        may = receipt.state in ("succeeded", "unknown", "pending") or receipt.doubts > 0 or receipt.reply is not None
        if receipt.kind != "effect" or receipt.calls == 0 or not may or receipt.undone_by is not None:
            continue
        undo = begun.get((receipt.key, receipt.attempt))
        if undo is not None and undo.state == "succeeded":
            reversed_[receipt.key] = undo.key
        elif receipt.undo is not None:
            undoable[receipt.key] = undo.key if undo is not None and is_begun(undo) else None
        elif receipt.function not in undoes and (receipt.key, receipt.attempt) not in undos:
            other.append(receipt.key)
    return undoable, other, reversed_
