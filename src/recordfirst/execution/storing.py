"""Stores the outcome of a call or a probe, in one transaction with its follow-up (P2, P3).

May be lost: no answer. If ``on_success`` and the like fail, the answer is kept in the receipt.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

from recordfirst.core import codec
from recordfirst.core import decide as d
from recordfirst.core.receipt import Change, Receipt
from recordfirst.core.text import safe_text
from recordfirst.errors import Declined, RecordfirstError, ResultNotStored
from recordfirst.execution.execution import Execution
from recordfirst.execution.flush import run_hook
from recordfirst.execution.late import LateReport, dropped
from recordfirst.execution.outcome import (
    Outcome,
    after_outcome,
    declined_as,
    outcome_of,
    pending_change,
    references_in,
    replied,
)
from recordfirst.execution.verdict import reason
from recordfirst.providers.contract import Pending, describe
from recordfirst.steps.effect import Effect
from recordfirst.steps.function import Function


class _FollowUp(NamedTuple):
    """What is stored together with an outcome."""

    outcome: Outcome
    hook: tuple[Function, str | None] | None
    references: dict[str, str]


class Storing:
    """Of one execution's work on one effect."""

    def __init__(
        self,
        effect: Effect[..., Any],
        execution: Execution,
        key: str,
        look: Callable[[], Awaitable[tuple[Receipt, int]]],
    ) -> None:
        """``look`` finds the receipt as it is by now."""
        self.effect, self.execution, self.key, self._look = effect, execution, key, look
        self.runtime = execution.runtime
        self.settled_here = False

    async def success(self, receipt: Receipt, value: Any, *, claim: str | None = None) -> Receipt:
        """Store that it has happened. ``claim``: of the call that reports it; ``None``: a probe does."""
        function = self.effect.function
        try:
            text, value = function.result(value)
        except Exception as error:
            # The call happened, and that is stored whatever else fails: it is never a reason to call again.
            known = isinstance(error, RecordfirstError)
            why = safe_text(error) if known else f"the result of {function!r}: {describe(error)}"
            without, none = reason(why), Outcome("succeeded", "null", None)
            await self.event(
                receipt,
                lambda r: d.succeeded(r, None, without, doubts=self._left(r, claim)),
                "succeeded",
                by=(none, claim),
            )
            raise ResultNotStored(self.key, why) from error
        return await self._final(receipt, Outcome("succeeded", text, value), claim=claim)

    def _left(self, receipt: Receipt, claim: str | None) -> int:
        """Calls that are in doubt when one has succeeded: a probe has found all of the effect that there is."""
        return 0 if claim is None else d.others_in_doubt(receipt, self.effect.guarantee, claim)

    async def decline(self, receipt: Receipt, declined: Declined) -> Receipt:
        """Store that the provider has refused it."""
        return await self._final(receipt, declined_as(self.key, declined))

    async def pending(self, receipt: Receipt, found: Pending, *, claim: str | None = None) -> Receipt:
        """Store that the provider has it, and has not decided."""
        return await self._final(receipt, outcome_of(found), claim=claim)

    async def reply(self, receipt: Receipt) -> None:
        """An earlier ``on_success`` or the like failed after the provider had answered: go on from its answer."""
        await self._final(receipt, replied(self.runtime, self.effect, receipt))

    async def _final(self, receipt: Receipt, outcome: Outcome, *, claim: str | None = None) -> Receipt:
        with_it = _FollowUp(outcome, self.effect.follow_up_of(outcome.state), references_in(self.effect, outcome))

        def final(r: Receipt) -> Change:
            if outcome.state == "pending":
                at_ms = r.last_call_at_ms or r.created_at_ms
                return pending_change(r, outcome, self.runtime.seal, self.effect.guarantee, at_ms, claim)
            left = self._left(r, claim) if outcome.state == "succeeded" else 0
            return after_outcome(r, outcome, self.runtime.seal, doubts=left)

        by = (outcome, claim)
        try:
            return await self.event(receipt, final, outcome.state, with_it, by=by)
        except Exception as error:
            if with_it.hook is None:
                raise
            reply = self.runtime.seal(outcome.reply)
            failed = reason(
                f"{with_it.hook[0].name} failed after the call had {_CAME_TO[outcome.state]}: {describe(error)}"
            )
            await self.event(receipt, lambda r: d.replied(r, reply, failed), outcome.state, by=by)
            raise

    async def event(
        self,
        receipt: Receipt,
        change_of: Callable[[Receipt], Change],
        what: d.OutcomeState,
        with_it: _FollowUp | None = None,
        *,
        by: tuple[Outcome, str | None] | None = None,
    ) -> Receipt:
        """Apply an event to the receipt as it is by now. What comes too late to count is dropped, and said.

        ``by``: an outcome, and the claim of the call that reports it (``None``: a probe does).
        """
        tried = False

        async def once() -> Receipt:
            nonlocal tried
            seen = receipt
            while True:
                again, tried = tried, True
                done = await self._apply(seen, change_of(seen), with_it)
                if done is not None:
                    self.settled_here = done.state == "succeeded"
                    return done
                tried = again
                seen, _ = await self._look()
                if not d.still_counts(what, receipt, seen):
                    report = None if by is None else LateReport(receipt, *by, maybe_stored=tried)
                    await dropped(self.runtime, self.effect.guarantee, seen, what, report)
                    return seen

        return await self.runtime.patiently(f"outcome of {self.key!r}", once)

    async def _apply(self, seen: Receipt, change: Change, with_it: _FollowUp | None) -> Receipt | None:
        record = self.runtime.record
        if with_it is None or (with_it.hook is None and not with_it.references):
            async with record.session() as session:
                return await session.change_receipt(seen, change)
        gathered, value, arguments = None, None, None
        if with_it.hook is not None:
            # Before the transaction is open: a factory may take its time.
            await self.runtime.injector.resolve(with_it.hook[0])
            # Read anew: the call, or an earlier try of this, may have changed what it was given.
            value, arguments = (
                self._value(with_it.outcome),
                self.effect.function.thaw(self.runtime.unseal(seen.request)),
            )
        async with record.transaction() as tx:
            changed = await tx.change_receipt(seen, change)
            if changed is None:
                return None
            await tx.refer(seen.key, seen.attempt, with_it.references)
            # What was refused while another call is in doubt is not declined yet.
            if with_it.hook is not None and changed.state == with_it.outcome.state:
                assert arguments is not None
                gathered = await run_hook(self.runtime, tx, with_it.hook, arguments, value, execution=self.execution)
        if gathered is not None:
            gathered.committed()
        return changed

    def _value(self, outcome: Outcome) -> Any:
        if outcome.state == "declined":
            return outcome.value
        type_ = Pending if outcome.state == "pending" else self.effect.function.returns
        return codec.shape(codec.decode(outcome.text), type_, "the result")


_CAME_TO = {"succeeded": "succeeded", "declined": "declined", "pending": "become pending"}
