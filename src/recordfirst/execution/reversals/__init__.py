"""Reversals in the record: what was taken back of what had succeeded, each once, with its handler's rows (P2, P11).

The provider is asked, and what it has is compared with what is stored. A new fact and the rows of its ``on_reversal``
commit together; the receipt that it is about is not touched. A handler that fails leaves the fact stored, and is tried
again, later and later, and then stopped, visibly. Facts of one receipt are handled in their order, but for those whose
handler is stopped. Without a handler a fact is stored, and is a finding.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from recordfirst.core import codec, identity
from recordfirst.core.identity import ID_BYTES_MOST
from recordfirst.core.receipt import Receipt
from recordfirst.core.reversal import (
    DISMISSED,
    FIRST,
    TRIES_MOST,
    Comparison,
    Reversal,
    StoredReversal,
    TakenBack,
    compare,
    is_ours,
    next_try_ms,
    reversal_hash,
)
from recordfirst.errors import Misuse, NotDone, RecordfirstError
from recordfirst.execution.flush import Gathered, run_hook
from recordfirst.execution.patience import fault_of
from recordfirst.execution.runtime import Runtime
from recordfirst.observe import ReversalFailed, ReversalStopped, log_place
from recordfirst.providers.contract import describe
from recordfirst.records.contract import Session
from recordfirst.steps.effect import Effect
from recordfirst.steps.function import Function

CLOCKS_MS = 10_000
"""How far the provider's clock may be from the record's: what has begun later, or was over by then, did not make it."""
AT_ONCE = 16
"""Handlers that are tried in one round."""
_FIELDS = StoredReversal.__struct_fields__

type _Hook = tuple[Function, str | None]
"""An ``on_reversal``, and the parameter by which it takes the fact."""


class CallUnderWay(Exception):  # noqa: N818 - control flow of those who look
    """What takes back may be the doing of a call that is in doubt."""


class Asked(NamedTuple):
    """What a provider has said."""

    owner: Receipt
    """Of which receipt it is."""
    comparison: Comparison
    under_way: bool
    """There is something besides of which nobody knows yet whether a call of ours has made it."""


class Reversals:
    """Of one opened app."""

    def __init__(self, runtime: Runtime, effects: Mapping[str, Effect[..., Any]]) -> None:
        self._runtime, self._effects = runtime, effects
        self._sql = runtime.record.statements_of(__name__)
        self._prefix = identity.marker(runtime.app, "", 1, 1 << 16)

    # ── looking ─────────────────────────────────────────────────────────────

    async def compared(self, receipt: Receipt) -> Asked | None:
        """Ask the provider, and say what is new, and of which receipt. ``None``: it cannot be asked about this one."""
        effect = self._effects.get(receipt.function)
        if effect is None or receipt.state != "succeeded":
            return None
        references = await self._references(effect, receipt)
        found = await self._taken_back(effect, receipt, references) if references else None
        if found is None:
            return None
        async with self._runtime.record.session() as session:
            owner, stored = await self._owner(session, effect, receipt, references)
            theirs, under_way, known = [], False, {each.id for each in stored}
            for each in found:
                # First this, then whose it is: a call that ends in between is known by what it has made.
                may_be_ours = each.id not in known and await self._may_be_ours(session, effect, each)
                if await self._is_ours(session, effect, each):
                    continue
                if may_be_ours:
                    under_way = True
                else:
                    theirs.append(each)
            return Asked(owner, compare(stored, theirs), under_way)

    async def _taken_back(
        self, effect: Effect[..., Any], receipt: Receipt, references: Mapping[str, str]
    ) -> list[TakenBack] | None:
        """Ask the provider, for as long as a probe is asked."""
        get = self._runtime.injector.get
        async with asyncio.timeout(effect.timeout_s):
            found: list[TakenBack] | None = await self._runtime.seams.probe(
                "taken_back", receipt.key, lambda: effect.provider.taken_back(get, references)
            )
            return found

    async def look(self, receipt: Receipt, found_by: str) -> list[Reversal]:
        """Ask the provider, store what is new, and return that.

        Raises:
            CallUnderWay: if there is a refund that may be a call's of ours, or somebody else's. The rest is stored.
        """
        asked = await self.compared(receipt)
        if asked is None:
            return []
        for each in asked.comparison.new:
            await self.store(asked.owner, each, found_by)
        if asked.under_way:
            raise CallUnderWay
        return asked.comparison.new

    async def of(self, session: Session[Any], receipt: Receipt) -> list[StoredReversal]:
        """What is stored of a receipt, in order."""
        rows = await session.run(self._sql["of"], key=receipt.key, attempt=receipt.attempt)
        return [_stored(row) for row in rows]

    async def _owner(
        self, session: Session[Any], effect: Effect[..., Any], receipt: Receipt, references: Mapping[str, str]
    ) -> tuple[Receipt, list[StoredReversal]]:
        """Of several receipts of one thing (authorised, then captured) the one that its next reversals are of, and what
        is stored of any: it has an ``on_reversal``, and has those of before, or else is the last.
        """
        named = {
            found for kind, id in references.items() if kind not in FIRST for found in await session.referred_to(id)
        } - {(receipt.key, receipt.attempt)}
        others = [(await session.find_receipt(*each)).receipt for each in sorted(named)]
        of_it = [each for each in (receipt, *others) if each is not None and self._may_be_at(effect, each.function)]
        stored = [(each, await self.of(session, each)) for each in of_it]
        known = [(each, its) for each, its in stored if each.state == "succeeded" and each.function in self._effects]
        owner, _ = max(
            known, key=lambda k: (self._hook(k[0]) is not None, bool(k[1]), k[0].settled_at_ms or 0, k[0].key)
        )
        return owner, [fact for _, its in stored for fact in its]

    def _may_be_at(self, effect: Effect[..., Any], function: str) -> bool:
        """Whether a receipt of this function may be of the same provider; another one may use the same ids."""
        other = self._effects.get(function)
        return other is None or other.provider.name == effect.provider.name

    async def _may_be_ours(self, session: Session[Any], effect: Effect[..., Any], taken: TakenBack) -> bool:
        """Whether a call of another effect of this provider is in doubt that was under way when this was made; a refund
        with a marker says itself whose it is.
        """
        if taken.how != "refund" or taken.marker is not None:
            return False
        others = [each.name for each in self._effects.values() if each.provider.name == effect.provider.name]
        functions = [{"function": name} for name in others if name != effect.name]
        arrives_ms = int(effect.provider.arrives_within_s * 1000)
        between = {"begun_ms": taken.at_ms + CLOCKS_MS, "called_ms": taken.at_ms - arrives_ms - CLOCKS_MS}
        return bool(await session.run_many(self._sql["in_doubt"], functions, **between))

    async def _is_ours(self, session: Session[Any], effect: Effect[..., Any], taken: TakenBack) -> bool:
        made = await session.run(self._sql["made"], id=taken.id)
        by_a_call = any(self._may_be_at(effect, function) for (function,) in made)
        return is_ours(taken, self._prefix, made_by_a_call=by_a_call)

    async def _references(self, effect: Effect[..., Any], receipt: Receipt) -> dict[str, str]:
        """What the provider calls it: as it was stored, or as its result says, which may be older than that."""
        async with self._runtime.record.session() as session:
            stored = await session.references_of(receipt.key, receipt.attempt)
        if receipt.result is None:
            return stored
        result = codec.decode(self._runtime.unseal(receipt.result))
        with contextlib.suppress(RecordfirstError):  # of an older version of the code, or said by an operator
            result = codec.shape(result, effect.function.returns, f"the result of {effect.function!r}")
        return stored | dict(effect.provider.references(result))

    # ── storing ─────────────────────────────────────────────────────────────

    async def store(self, receipt: Receipt, reversal: Reversal, found_by: str) -> None:
        """Store a fact, unless it is there, with its handler's rows in the same transaction."""
        try:
            await self._add(receipt, reversal, found_by, None)
        except Exception as error:
            if fault_of(self._runtime.record, error) is not None:
                raise
            if await self._add(receipt, reversal, found_by, error):
                self._tell(receipt, reversal, 1, error, self._hook(receipt))

    async def _add(self, receipt: Receipt, reversal: Reversal, found_by: str, failed: Exception | None) -> bool:
        """``failed``: the handler has, so that the fact is stored without it, and it is tried again. Return whether it
        is stored now, and was not before.
        """
        runtime, hook = self._runtime, self._hook(receipt)
        provider = self._effects[receipt.function].provider.name
        if hook is not None:
            await runtime.injector.resolve(hook[0])  # before the transaction is open: a factory may take its time

        async def once() -> tuple[bool, Gathered | None]:
            async with runtime.record.transaction() as tx:
                if not await tx.run(self._sql["lock"], key=receipt.key, attempt=receipt.attempt):
                    raise NotDone(f"the receipt of {receipt.key!r} was collected meanwhile")
                known = await self.of(tx, receipt)
                behind = any(each.next_at_ms is not None for each in known)
                hash = reversal_hash(provider, reversal)
                runs = hook is not None and failed is None and not behind
                added = await tx.run(
                    self._sql["add"],
                    hash=hash,
                    key=receipt.key,
                    attempt=receipt.attempt,
                    number=len(known) + 1,
                    kind=reversal.kind,
                    id=reversal.id,
                    amount_minor=reversal.amount_minor,
                    currency=reversal.currency,
                    at_ms=reversal.at_ms,
                    found_by=found_by,
                    handled_by=hook[0].name if hook is not None and runs else None,
                    tries=0 if failed is None else 1,
                    error=self._error(failed, hook),
                    wait_ms=None if hook is None or runs else 0 if failed is None else next_try_ms(1),
                )
                if not added:
                    return False, None  # another was faster; or it was us, and the reply to COMMIT was lost
                if reversal.kind in FIRST and len(reversal.id.encode()) <= ID_BYTES_MOST:
                    await tx.refer(receipt.key, receipt.attempt, {reversal.kind: reversal.id})
                if hook is None:
                    [stored] = [each for each in await self.of(tx, receipt) if each.hash == hash]
                    await tx.saw_findings([stored.finding(receipt.workflow, None)], found_by)
                return True, await self._run(tx, receipt, reversal) if runs else None

        added, gathered = await runtime.patiently(f"a reversal of {receipt.key!r}", once, release=False)
        if gathered is not None:
            gathered.committed()
        return added

    def _hook(self, receipt: Receipt) -> _Hook | None:
        effect = self._effects.get(receipt.function)
        return effect.reversal if effect is not None else None

    async def _run(self, tx: Session[Any], receipt: Receipt, reversal: Reversal) -> Gathered:
        effect, hook = self._effects[receipt.function], self._hook(receipt)
        assert hook is not None
        arguments = effect.function.thaw(self._runtime.unseal(receipt.request))
        return await run_hook(self._runtime, tx, hook, arguments, reversal, workflow=receipt.workflow)

    # ── trying again ────────────────────────────────────────────────────────

    async def round(self) -> int:
        """Try the handlers that are due; return how many they were."""
        runtime = self._runtime
        async with runtime.record.session() as session:
            due = [_stored(row) for row in await session.run(self._sql["due"], limit=AT_ONCE)]
            if not due or await runtime.held(session) is not None:
                return 0
        for each in due:
            await self._try(each)
        return len(due)

    async def again(self, session: Session[Any], stored: StoredReversal) -> bool:
        """Have a handler tried again that was stopped, or was not there; ``False`` if one has run."""
        return bool(await session.run(self._sql["again"], hash=stored.hash))

    async def unhandled(self, session: Session[Any], after: str, limit: int) -> list[StoredReversal]:
        """What nobody has dealt with, behind this hash: it has no handler, or that is to be tried, or is stopped."""
        rows = await session.run(self._sql["unhandled"], after=after, limit=limit)
        return [_stored(row) for row in rows]

    async def counts(self, session: Session[Any]) -> dict[str, int]:
        """How many nobody has dealt with: ``reversal.open``, to be tried, and ``reversal.stopped``, not by itself."""
        return dict(await session.run(self._sql["left"]))

    async def dismiss(self, tx: Session[Any], subject: str, who: str) -> bool:
        """Say that an operator has dealt with it, so that no handler does; ``False`` if one has."""
        return bool(await tx.run(self._sql["dismissed"], subject=subject, by=f"{DISMISSED}{who}"))

    def reason_of(self, stored: StoredReversal) -> str | None:
        """Why its handler failed last, readable; ``None`` if it did not."""
        error = self.error_of(stored)
        return None if error is None else error.get("reason")

    def error_of(self, stored: StoredReversal) -> dict[str, str] | None:
        """What is stored of that: ``reason``, and ``at``, the place in the user's code."""
        if stored.error is None:
            return None
        error: dict[str, str] = codec.decode(self._runtime.sealing.unseal_error(stored.error))
        return error

    async def _try(self, stored: StoredReversal) -> None:
        runtime = self._runtime
        async with runtime.record.session() as session:
            receipt = (await session.find_receipt(stored.key, stored.attempt)).receipt
        try:
            await self._handle(receipt, stored)
        except Exception as error:
            if fault_of(runtime.record, error) is not None:
                raise
            await self._failed(receipt, stored, error)

    async def _handle(self, receipt: Receipt | None, stored: StoredReversal) -> None:
        runtime, hook = self._runtime, self._hook(receipt) if receipt is not None else None
        if receipt is None or hook is None:
            raise Misuse(f"this version of the app has no on_reversal for {stored.subject!r}")
        await runtime.injector.resolve(hook[0])

        async def once() -> Gathered | None:
            async with runtime.record.transaction() as tx:
                await tx.run(self._sql["lock"], key=receipt.key, attempt=receipt.attempt)
                if not await tx.run(self._sql["handled"], hash=stored.hash, by=hook[0].name):
                    return None
                await tx.close_findings([stored.finding(receipt.workflow, None)], f"handled by {hook[0].name}")
                return await self._run(tx, receipt, _told(stored))

        gathered = await runtime.patiently(f"a reversal of {receipt.key!r}", once, release=False)
        if gathered is not None:
            gathered.committed()

    async def _failed(self, receipt: Receipt | None, stored: StoredReversal, error: Exception) -> None:
        tries, runtime = stored.tries + 1, self._runtime
        wait_ms, workflow = next_try_ms(tries), receipt.workflow if receipt is not None else None
        hook = self._hook(receipt) if receipt is not None else None
        stopped = msgspec.structs.replace(stored, tries=tries, next_at_ms=None)

        async def once() -> bool:
            async with runtime.record.transaction() as tx:
                given = {"hash": stored.hash, "tries": stored.tries, "error": self._error(error, hook)}
                if not await tx.run(self._sql["failed"], **given, wait_ms=wait_ms):
                    return False
                if wait_ms is None:
                    await tx.saw_findings([stopped.finding(workflow, codec.told(describe(error)))], "stopped")
                return True

        if await runtime.patiently(f"a reversal of {stored.key!r}", once, release=False):
            self._tell(stored, stored, tries, error, hook)

    def _tell(
        self, receipt: Receipt | StoredReversal, reversal: Reversal, tries: int, error: Exception, hook: _Hook | None
    ) -> None:
        if tries in (1, TRIES_MOST):  # where it was raised is the same each time, most likely
            log_place(f"on_reversal failed for {reversal.kind} {reversal.id!r} of {receipt.key!r}", error)
        told = ReversalFailed if next_try_ms(tries) is not None else ReversalStopped
        self._runtime.observe(told(receipt.key, reversal.kind, reversal.id, describe(error), _raised_at(error, hook)))

    def _error(self, error: Exception | None, hook: _Hook | None) -> str | None:
        if error is None:
            return None
        said, at = {"reason": codec.told(describe(error))}, _raised_at(error, hook)
        if at is not None:
            said["at"] = codec.told(at)
        return self._runtime.sealing.seal_error(codec.encode(said, "an error"))


def _raised_at(error: Exception, hook: _Hook | None) -> str | None:
    return hook[0].raised_at(error) if hook is not None else None


def _stored(row: tuple[Any, ...]) -> StoredReversal:
    return StoredReversal(**dict(zip(_FIELDS, row, strict=True)))


def _told(stored: StoredReversal) -> Reversal:
    """What a handler is told."""
    return Reversal(**{name: getattr(stored, name) for name in Reversal.__struct_fields__})
