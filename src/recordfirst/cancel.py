"""Cancelling: a person ends an open workflow. The record is written first, then the engine is told (P6, P7).

Kept: once this has returned, no life of the workflow begins a write or a call, wherever it runs and however late: the
statements that begin one look at the start, and wait for a transaction that is ending it. What had begun before comes
to its end: a call that was on its way may arrive. With ``undo``, what has happened is then taken back, newest first, by
the effects that ``undo=`` names, in a life of the workflow's own that survives crashes as any other does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from recordfirst.core import codec
from recordfirst.core.finding import Audit
from recordfirst.core.receipt import Receipt
from recordfirst.core.start import Start
from recordfirst.core.stops import stop_of
from recordfirst.effect import Effect
from recordfirst.errors import Misuse, UnknownWorkflow
from recordfirst.runtime import Runtime


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
    changed: bool = True
    """``False``: it had been cancelled before, and nothing was changed."""

    @property
    def told(self) -> str:
        """In one line, for a person."""
        what = f"undoing {', '.join(self.undone)}" if self.undone else "closed"
        return what + (f"; left as it is: {', '.join(self.left)}" if self.left else "")


async def cancel(
    runtime: Runtime,
    effects: Mapping[str, Effect[..., Any]],
    workflows: Callable[[str], object],
    id: str,
    *,
    undo: bool | None,
    said_by: tuple[str, str | None],
    dry_run: bool,
) -> Cancellation:
    """Store what a person said; see ``App.cancel``."""
    who, why = said_by
    message = codec.told(f"cancelled by {who}" + (f": {why}" if why else ""))
    error = {"type": "Cancelled", "message": message}

    async def store() -> Cancellation:
        async with runtime.record.transaction() as tx:
            start = await tx.lock_start(id)
            if start is None:
                raise UnknownWorkflow(f"no workflow {id!r} was ever started in app {runtime.app!r}")
            plan = _plan(effects, start, await tx.receipts_of(id), undo=undo)
            if plan.undone and plan.changed:
                workflows(start.workflow)  # raises if no worker of this app could do it
            if dry_run or not plan.changed:
                return plan
            await tx.end_lives(id, undo=bool(plan.undone), error=codec.encode(error, "an end"))
            await tx.unpark(id)
            if start.is_stopped:
                await tx.close_findings([stop_of(start)], "cancelled")
            await tx.add_audit(Audit(who=who, command="cancel", subject=id, why=why, detail=plan.told))
            await runtime.record.notify(tx)
            return plan

    cancelled: Cancellation = await runtime.patiently(f"cancelling {id!r}", store, release=False)
    runtime.nudge()
    return cancelled


def _plan(
    effects: Mapping[str, Effect[..., Any]], start: Start, receipts: list[Receipt], *, undo: bool | None
) -> Cancellation:
    """What is to be done. Raises ``Misuse`` if it cannot be, or if it must be said what is to become of effects."""
    undoable, other = _happened(effects, receipts)
    if _was_cancelled(start, undo=undo):
        undone = undoable if start.state == "open" else []
        return Cancellation(id=start.id, state=start.state, epoch=start.epoch, undone=undone, left=other, changed=False)
    if start.state != "open":
        raise Misuse(f"workflow {start.id!r} is {start.state}; only an open one can be cancelled")
    if undoable and undo is None:
        raise Misuse(
            f"workflow {start.id!r} has done what can be undone: {', '.join(undoable)}; say --undo to have it undone, "
            "or --no-undo to leave it as it is (undo=True or undo=False)"
        )
    if undoable and undo:
        return Cancellation(id=start.id, state="open", epoch=start.epoch + 1, undone=undoable, left=other)
    return Cancellation(id=start.id, state="cancelled", epoch=start.epoch + 1, left=[*undoable, *other])


def _was_cancelled(start: Start, *, undo: bool | None) -> bool:
    """Whether this was said before. To give up undoing is another thing to say."""
    if start.state == "cancelled":
        return True
    return start.is_undoing and not start.is_stopped and undo is not False


def _happened(effects: Mapping[str, Effect[..., Any]], receipts: list[Receipt]) -> tuple[list[str], list[str]]:
    """Keys of what has happened, or may have, newest first: with an undo, and without."""
    undoable, other = [], []
    undoes = {effect.undo.name for effect in effects.values() if effect.undo is not None}
    for receipt in reversed(receipts):
        may = receipt.state in ("succeeded", "unknown") or receipt.doubts > 0 or receipt.reply is not None
        if receipt.kind != "effect" or receipt.calls == 0 or not may or receipt.undone_by is not None:
            continue
        if receipt.undo is not None:
            undoable.append(receipt.key)
        elif receipt.function not in undoes:
            other.append(receipt.key)
    return undoable, other
