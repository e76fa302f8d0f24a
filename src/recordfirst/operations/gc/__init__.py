"""Collecting: rows of workflows that ended long ago are deleted, in bounded batches (P3, P7, P10).

Of each workflow its start stays, without arguments and result, so that its id never opens again: started again with
the same arguments, it is the same workflow, which has ended; with others, a conflict (P8). No epoch of it begins a
further step, should an engine that was restored, or a process that was stopped for months, have one. Its receipts go,
except for two kinds. A ledger keeps what it has made, and a reference what was staged, for ever: their receipts stay
as they are. A write whose key names no workflow may be what a step of another workflow comes after (``after=``), now,
after a retry, or in a version to come: its receipt stays with its result, without its request (P1).

Kept: whatever is still needed (:data:`REASONS`), findings, and audit rows. A batch is one transaction, with what the
audit row says of it: killed at any time, what was collected is collected and told, and another run goes on. The audit
row also tells what became of a batch whose COMMIT was not answered.
Lost: that a provider's key was ever used. Another workflow that asks for it later makes a new effect.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import msgspec

from recordfirst.core import codec
from recordfirst.errors import Misuse
from recordfirst.execution.runtime import Runtime
from recordfirst.records.contract import Session
from recordfirst.steps.effect import Effect

_PAGE = 200
"""Workflows in one transaction."""
_PER_S = 2_000
"""Most workflows that are looked at in a second."""
_EXAMPLES = 20
_OWN_GUARD_S = 400 * 86_400
"""A provider that honours keys for longer is a guard of its own: to wait for it would keep everything for ever."""
_STATES = ("succeeded", "failed", "cancelled")

REASONS = {
    "unknown": "an effect's outcome is unknown: recordfirst resolve",
    "pending": "a provider has yet to decide about an effect",
    "in doubt": "an effect may have happened: recordfirst reconcile --apply asks for it",
    "young key": "a provider still honours the key of an effect",
    "unknown effect": "it has an effect that this version of the app does not have, so that its provider is not known",
    "reversal": "an on_reversal that failed is being tried again",
    "open finding": "a finding about it is open: recordfirst findings",
    "in an engine": "an engine still holds an epoch that was ended: a worker of that engine tells it",
}
"""Why a workflow is left, and what ends that."""


class Collection(msgspec.Struct, kw_only=True):
    """What was collected, or would be."""

    collected: int = 0
    """Workflows."""
    receipts: int = 0
    left: dict[str, int] = {}
    """How many were left, by reason; see :data:`recordfirst.operations.gc.REASONS`."""
    examples: dict[str, str] = {}
    """Some of those that were left, with the reason."""

    @property
    def told(self) -> str:
        """In one line."""
        left = "".join(f", {count} left: {reason}" for reason, count in sorted(self.left.items()))
        return f"{self.collected} workflows and {self.receipts} receipts collected{left}"


async def collect(
    runtime: Runtime,
    effects: Mapping[str, Effect[..., Any]],
    *,
    older_than_ms: int,
    said_by: tuple[str, str | None],
    dry_run: bool,
    tell: Callable[[int], None],
) -> Collection:
    """Do it; see ``App.collect``."""
    if older_than_ms < 0:
        raise Misuse("what is to be collected ended in the past: older_than_s must not be negative")
    run = _Run(runtime, effects, older_than_ms, said_by, dry_run=dry_run)
    for state in _STATES:
        page: list[str] = []
        while page := await runtime.patiently("collecting", partial(run.page, state, after=page[-1:]), release=False):
            tell(run.looked)
            await runtime.sleeper(len(page) / _PER_S)
    return run.total


class _Batch(NamedTuple):
    """What the run has come to with one batch."""

    ids: list[str]
    total: Collection
    audit: int | None


class _Run:
    """One run over all that has ended."""

    def __init__(
        self,
        runtime: Runtime,
        effects: Mapping[str, Effect[..., Any]],
        older_than_ms: int,
        said_by: tuple[str, str | None],
        *,
        dry_run: bool,
    ) -> None:
        self._runtime, self._dry_run = runtime, dry_run
        self._sql = runtime.record.statements_of(__name__)
        self._older_than_ms = older_than_ms
        self._who, self._why = said_by
        self._retentions = {name: _retention_ms(effect) for name, effect in effects.items()}
        self._kept = codec.encode([name for name, effect in effects.items() if effect.receipts_stay], "names")
        self._audit: int | None = None
        self._committing: _Batch | None = None
        self.looked = 0
        self.total = Collection()

    async def page(self, state: str, after: Sequence[str]) -> list[str]:
        """One batch, in one transaction; return the ids that were looked at. Run again after whatever failed."""
        async with self._runtime.record.transaction() as tx:
            batch, self._committing = self._committing, None
            if batch is None or not await self._is_told(tx, batch):
                batch = await self._batch(tx, state, after)
            self._committing = batch
        self.total, self._audit, self.looked = batch.total, batch.audit, self.looked + len(batch.ids)
        self._committing = None
        return batch.ids

    async def _batch(self, tx: Session[Any], state: str, after: Sequence[str]) -> _Batch:
        what = {
            "state": state,
            "after": after[0] if after else None,
            "older_than_ms": self._older_than_ms,
            "limit": _PAGE,
        }
        ids = [str(id) for [id] in await tx.run(self._sql["finished"], **what)]
        reasons = await self._needed(tx, ids) if ids else {}
        free = [id for id in ids if id not in reasons]
        total, audit = _added(self.total, reasons), self._audit
        if free:
            total.collected += len(free)
            total.receipts += await self._collect(tx, free)
            if not self._dry_run:
                audit = await self._tell(tx, total)
        return _Batch(ids, total, audit)

    async def _is_told(self, tx: Session[Any], batch: _Batch) -> bool:
        """Whether a batch has committed whose COMMIT was not answered: its audit row is there, and says it."""
        if batch.total.collected == self.total.collected or batch.audit is None:
            return False
        return await tx.run(self._sql["told"], number=batch.audit) == [(batch.total.told,)]

    async def _needed(self, tx: Session[Any], ids: list[str]) -> dict[str, str]:
        rows = [{"workflow": id} for id in ids]
        found = await tx.run_many(self._sql["needed"], rows)
        known = self._retentions
        for workflow, function, age_ms in await tx.run_many(self._sql["keys"], rows):
            if function not in known:
                found.append((workflow, "unknown effect"))
            elif (retention_ms := known[function]) is not None and age_ms < retention_ms:
                found.append((workflow, "young key"))
        return dict(reversed([(str(workflow), str(reason)) for workflow, reason in found]))

    async def _collect(self, tx: Session[Any], ids: list[str]) -> int:
        rows = [{"workflow": id} for id in ids]
        if self._dry_run:
            return sum(count for [count] in await tx.run_many(self._sql["count"], rows, kept=self._kept))
        await tx.run_many(self._sql["collect"], rows)
        await tx.run_many(self._sql["strip"], rows, blank=self._runtime.seal("null"))
        await tx.run_many(self._sql["undoings"], rows)
        await tx.run_many(self._sql["references"], rows)
        await tx.run_many(self._sql["reversals"], rows)
        return len(await tx.run_many(self._sql["drop"], rows, kept=self._kept))

    async def _tell(self, tx: Session[Any], total: Collection) -> int:
        """One audit row for the whole run, which grows with each batch."""
        if self._audit is not None:
            await tx.run(self._sql["amend"], number=self._audit, detail=total.told)
            return self._audit
        [[number]] = await tx.run(self._sql["audit"], who=self._who, why=self._why, detail=total.told)
        return int(number)


def _added(total: Collection, reasons: dict[str, str]) -> Collection:
    """A copy, so that a transaction that is run again counts once."""
    left, examples = dict(total.left), dict(total.examples)
    for id, reason in reasons.items():
        left[reason] = left.get(reason, 0) + 1
        if len(examples) < _EXAMPLES:
            examples[id] = reason
    return Collection(collected=total.collected, receipts=total.receipts, left=left, examples=examples)


def _retention_ms(effect: Effect[..., Any]) -> int | None:
    """For how long a receipt must outlive its key; ``None``: it need not."""
    retention_s = effect.provider.retention_s
    return None if retention_s is None or retention_s > _OWN_GUARD_S else retention_s * 1000
