"""Retrying: an operator lets a workflow that has failed, or that a defect has stopped, go on (P7, P9).

Kept: what was completed stays done. What was undone is not charged again unless the operator says so: ``again`` puts
the attempts that were undone or declined behind the workflow, so that the next ones have new numbers and new keys.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

import msgspec

from recordfirst.core import codec
from recordfirst.core.finding import Audit
from recordfirst.core.receipt import Receipt
from recordfirst.core.start import Start
from recordfirst.core.stops import stop_of
from recordfirst.errors import Misuse, UnknownWorkflow
from recordfirst.execution.runtime import Runtime
from recordfirst.records.contract import Session


class Retry(msgspec.Struct, frozen=True, kw_only=True):
    """What a retry came to, or would come to."""

    start: Start
    """As it is now."""
    again: dict[str, int] = {}
    """Keys whose next attempt is a new one, with its number: undone or declined before, called anew."""
    changed: bool = True
    """``False``: it was open already, and nothing was changed."""

    @property
    def described(self) -> str:
        """In one line."""
        keys = ", ".join(f"{key} (attempt {number})" for key, number in self.again.items())
        return f"open in epoch {self.start.epoch}" + (f"; called again under new keys: {keys}" if keys else "")


async def retry(runtime: Runtime, id: str, *, again: bool, actor: tuple[str, str | None], dry_run: bool) -> Retry:
    """Open a failed workflow again, or let a stopped one go on; see ``App.retry``."""
    who, why = actor

    async def store() -> Retry:
        async with runtime.record.transaction() as tx:
            start = await tx.lock_start(id)
            if start is None:
                raise UnknownWorkflow(f"no workflow {id!r} was ever started in app {runtime.app!r}")
            if start.state == "open" and not start.is_stopped:
                return Retry(start=start, changed=False)
            planned = await _plan(tx, start, again=again)
            if dry_run:
                return planned
            opened = await _open(tx, start, planned)
            done = msgspec.structs.replace(planned, start=opened)
            await tx.add_audit(Audit(who=who, command="retry", subject=id, why=why, detail=done.described))
            await runtime.record.notify(tx)
            return done

    done: Retry = await runtime.patiently(f"retry of {id!r}", store, release=False)
    runtime.nudge()
    return done


async def _open(tx: Session[Any], start: Start, planned: Retry) -> Start:
    if start.is_stopped:
        opened = await tx.resume(start.id, start.epoch, forget=True)
        await tx.close_findings([stop_of(start)], "retried")
    else:
        behind = _behind(start) | {key: number - 1 for key, number in planned.again.items()}
        text = codec.encode(behind, "the attempts that are behind it") if planned.again else None
        opened = await tx.reopen(start.id, again=text)
    assert opened is not None  # its row is locked
    return opened


async def _plan(tx: Session[Any], start: Start, *, again: bool) -> Retry:
    """What is to be done. Raises ``Misuse`` if it may not be."""
    if start.state == "open":  # stopped
        return Retry(start=start)
    if start.state != "failed":
        raise Misuse(f"workflow {start.id!r} is {start.state}; only one that has failed or is stopped can be retried")
    last: dict[str, Receipt] = {}
    for receipt in await tx.receipts_of(start.id):
        last[receipt.key] = max(last.get(receipt.key, receipt), receipt, key=lambda each: each.attempt)
    undone = [key for key, receipt in last.items() if receipt.undone_by is not None]
    is_left = not again and any(_is_to_be_undone(receipt) for receipt in last.values())
    if start.undo_only and (is_left or _was_cancelled(start)):
        return Retry(start=start)  # it undoes the rest, and nothing else
    if undone and not again:
        raise Misuse(
            f"workflow {start.id!r} has failed, and what it had done was undone: {', '.join(undone)}; a retry would "
            f"have to do it anew: recordfirst retry {shlex.quote(start.id)} --again --dry-run shows what, --again does "
            "it, under new keys. To leave it as it is, start a workflow with another id"
        )
    if not again:
        return Retry(start=start)
    return Retry(start=start, again=_next_attempts(list(last.values())))


def _next_attempts(last: Sequence[Receipt]) -> dict[str, int]:
    """The next attempt's number, by key, of what was undone or declined. The undo of one follows it by itself."""
    undoes = {receipt.undone_by for receipt in last if receipt.undone_by is not None}
    return {
        receipt.key: receipt.attempt + 1
        for receipt in last
        if (receipt.undone_by is not None or receipt.state == "declined") and receipt.key not in undoes
    }


def _was_cancelled(start: Start) -> bool:
    return start.undo_only and codec.decode(start.error or "{}").get("type") == "Cancelled"


def _is_to_be_undone(receipt: Receipt) -> bool:
    may_have_happened = receipt.state in ("succeeded", "unknown", "pending") or receipt.doubts > 0
    return receipt.undo is not None and receipt.undone_by is None and may_have_happened


def _behind(start: Start) -> dict[str, int]:
    return codec.decode(start.again) if start.again is not None else {}
