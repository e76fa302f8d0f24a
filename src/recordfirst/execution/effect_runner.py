"""Drives one effect from wherever its receipt stands to a final outcome, a wait, or a park.

The loop is: read the receipt, let ``core/decide.py`` decide the next action, do it, and store the result by
compare-and-set. The process may die between any two lines: the stored state is always enough for another to go on.
"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any, cast

from resonate.context import Context

from recordfirst.core import codec
from recordfirst.core import decide as d
from recordfirst.core.receipt import Change, NewReceipt, Receipt, Seen
from recordfirst.errors import (
    Conflict,
    Declined,
    EffectStopped,
    NotDone,
    RecordfirstError,
    Undeclared,
)
from recordfirst.execution.before import Before
from recordfirst.execution.conflicts import compare
from recordfirst.execution.execution import Begun, Execution
from recordfirst.execution.looking import look
from recordfirst.execution.outcome import arguments_after, replied, stored_decline, stored_result
from recordfirst.execution.parking import IN_PLACE_MS, Waiting
from recordfirst.execution.probing import Early, Failed, ask
from recordfirst.execution.storing import Storing
from recordfirst.execution.undone import refuse_undone
from recordfirst.execution.verdict import MOST_UNDECLARED, reason, reason_after, undeclared_in, verdict_of
from recordfirst.observe import Suspected
from recordfirst.process.limit import Limit
from recordfirst.process.places import Admission, here
from recordfirst.providers.contract import Absent, CannotTell, Found, Pending, Verdict, describe
from recordfirst.steps.arguments import Arguments
from recordfirst.steps.effect import Effect
from recordfirst.steps.precedent import Precedent

_APART = 1_000_000
"""Between the numbers of the waits of an effect and of the one that cancels it: no receipt changes as often."""
_LATER_MS = 24 * 3_600_000
"""The longest that a provider's wish is waited for: whatever a header says, the workflow goes on some day."""


async def run[R](effect: Effect[..., R], execution: Execution, ctx: Context, arguments: Arguments) -> R:
    """Run it in a workflow."""
    work = EffectRun(_behind_retries(effect, execution, arguments), execution, ctx, arguments)
    if not isinstance(effect, Precedent):
        return cast("R", await work.outcome())
    # What comes after a stage waits for it, as for a write (P1).
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    execution.writes[effect.key_for(arguments)] = done
    try:
        return cast("R", await work.outcome())
    finally:
        done.set_result(None)


def _behind_retries[R](effect: Effect[..., R], execution: Execution, arguments: Arguments) -> Effect[..., R]:
    """The effect as an attempt behind those that a retry has put behind it."""
    if effect.of is not None or effect.follows:
        return effect
    behind = execution.again.get(effect.key_for(arguments), 0)
    return effect.attempt(effect.attempt_number + behind) if behind else effect


class EffectRun:
    """One execution's work on one effect."""

    def __init__(
        self,
        effect: Effect[..., Any],
        execution: Execution,
        ctx: Context,
        arguments: Arguments,
        *,
        waits_from: int = 0,
    ) -> None:
        """``waits_from``: what the numbers of its waits begin behind, in a context that it shares."""
        self.effect, self.execution, self.ctx, self.arguments = effect, execution, ctx, arguments
        self.runtime = execution.runtime
        self.key = effect.of.key if effect.of is not None else effect.key_for(arguments)
        self.attempt = effect.attempt_number
        self.storing = Storing(effect, execution, self.key, self._look)
        self._admission = Admission(here(), effect.provider.name)
        self.before = Before(effect, execution, arguments, self.key, self._find)
        self._waits_from, self._expired_here = waits_from, False
        self.waiting = Waiting(execution, ctx, self._change, self._admission, waits_from=waits_from)

    async def outcome(self) -> Any:
        """Return the effect's result, or raise its stored decline; suspend where it must wait."""
        async with self.runtime.one_at_a_time(f"{self.key}#{self.attempt}"), self._admission:
            receipt, now_ms = await self._first(self.execution.begun.pop(f"{self.key}#{self.attempt}", None))
            while True:
                self.execution.go_on()
                action = self.effect.next(receipt, now_ms)
                if await self.waiting.was_in_line(action):
                    receipt, now_ms = await self._look()
                    continue
                match action:
                    case d.Return():
                        await self.waiting.unpark(receipt)
                        return await self._standing(receipt)
                    case d.RaiseDeclined():
                        await self.waiting.unpark(receipt)
                        raise stored_decline(receipt)
                    case d.MakeCall():
                        self.execution.refuse_behind_undo()
                        claim, until_s = self.runtime.new_claim(), self._until_s
                        begun_receipt = await self._begin(receipt, claim)
                        if begun_receipt is not None:
                            receipt, now_ms = await self._look_after(await self._call(begun_receipt, claim, until_s))
                            continue
                        await self.execution.release_if_barred(self.key)
                        await self.before.await_precedent(receipt)
                    case _:
                        await self._go_on(action, receipt, now_ms)
                receipt, now_ms = await self._look()

    async def _go_on(self, action: d.Action, receipt: Receipt, now_ms: int) -> None:
        """Do what neither ends it nor calls it. Then look again."""
        match action:
            case d.Wait(until_ms):
                await self.waiting.until(receipt, until_ms - now_ms)
            case d.Probe():
                await self._probe(receipt, now_ms)
            case d.Settle():
                await self.storing.reply(receipt)
            case d.TooLate():
                after_s = self.effect.deadline_s or 0
                await self.storing.decline(receipt, Declined(f"too late: not done in {after_s:g} s", "too_late"))
            case d.Expire() if not self._expired_here:
                await self._expire(receipt, now_ms)
            case d.GiveUp():
                await self._change(receipt, d.unknown(receipt, receipt.error or reason(_NEVER_TOLD)))
            case d.Park() | d.Expire():
                await self.waiting.park(receipt, now_ms, look_now=self.effect.settles)

    async def _first(self, begun: Begun | None) -> tuple[Receipt, int]:
        if begun is None or self.runtime.loop.time() >= begun.until_s:
            return await self._first_look()
        self._check(begun.receipt, None)
        # Not admitted by then, it is stored as not done.
        await self._admission.take(begun.until_s - self.runtime.loop.time())
        return await self._look_after(await self._call(begun.receipt, begun.claim, begun.until_s))

    # ── looking ─────────────────────────────────────────────────────────────

    @property
    def _claim_ms(self) -> int:
        return int(self.effect.timeout_s * 1000) + IN_PLACE_MS

    @property
    def _until_s(self) -> float:
        """By when, on the event loop's clock, a call that is being claimed now must be on its way."""
        return self.runtime.loop.time() + IN_PLACE_MS / 1000

    async def _first_look(self) -> tuple[Receipt, int]:
        """Find the receipt, or store the intent and make the first call."""
        if self.effect.of is not None:
            return await self._look()  # it is told by its receipt: nothing is intended anew under whatever key (P3)
        await self.execution.refuse_other_key(self.effect, self.arguments)
        now_ms = 0
        looks = self.effect.renders or self.attempt > 1 or self.execution.taken_back is not None
        if looks or not self._admission.take_now():
            seen = await self._find()
            now_ms = seen.now_ms
            if seen.receipt is not None:
                self._check(seen.receipt, None)
                return seen.receipt, seen.now_ms
            self.execution.refuse_behind_undo()
        if self.attempt > 1 and not self.effect.follows:
            await self.before.check_previous_attempt()
        await self.waiting.in_line()
        asked = await self.effect.new_receipt(self.runtime, self.execution.workflow_id, self.arguments, now_ms)
        after = self.effect.precedent(self.execution.workflow_id, self.arguments)
        claim, until_s, epoch = self.runtime.new_claim(), self._until_s, self.execution.epoch
        while True:

            async def intend() -> Any:
                async with self.runtime.record.session() as session:
                    return await session.intend(asked, after=after, claim=claim, claim_ms=self._claim_ms, epoch=epoch)

            intended = await self.runtime.patiently(f"intent of {self.key!r}", intend)
            receipt = intended.receipt
            if receipt is None:
                await self.execution.release_if_barred(self.key)
                await self.before.await_precedent(None)
                until_s = self._until_s
                continue
            self._check(receipt, asked)
            # Ours, also when the reply to the statement that stored it was lost: nobody else knows this claim.
            if receipt.claim == claim and receipt.calls == 1:
                return await self._look_after(await self._call(receipt, claim, until_s))
            return receipt, intended.now_ms

    def _check(self, receipt: Receipt, asked: NewReceipt | None) -> None:
        if asked is None:
            asked = NewReceipt(
                key=self.key,
                kind="effect",
                function=self.effect.name,
                workflow=self.execution.workflow_id,
                state="intended",
                fingerprint=self.runtime.sealing.fingerprint(self.arguments.asked),
                request=self.runtime.seal(self.arguments.text),
            )
        compare(self.runtime, self.effect.function, receipt, asked)

    async def _find(self, key: str = "", attempt: int | None = None) -> Seen:
        async def find() -> Seen:
            async with self.runtime.record.session() as session:
                return await session.find_receipt(key or self.key, self.attempt if attempt is None else attempt)

        return await self.runtime.patiently(f"receipt of {self.key!r}", find)

    async def _look(self) -> tuple[Receipt, int]:
        seen = await self._find()
        if seen.receipt is None:
            await self.runtime.release_if_held(self.key)
            raise RecordfirstError(f"the receipt of {self.key!r} is gone from the record while its workflow runs")
        return seen.receipt, seen.now_ms

    async def _look_after(self, called: Receipt) -> tuple[Receipt, int]:
        """The receipt after a call, with the record's time where that still matters."""
        return (called, 0) if called.state in ("succeeded", "declined") else await self._look()

    async def _change(self, receipt: Receipt, change: Change) -> Receipt | None:
        async def apply() -> Receipt | None:
            async with self.runtime.record.session() as session:
                return await session.change_receipt(receipt, change)

        return await self.runtime.patiently(f"receipt of {self.key!r}", apply)

    # ── calling and probing ─────────────────────────────────────────────────

    async def _begin(self, receipt: Receipt, claim: str) -> Receipt | None:
        """Announce a call; ``None`` if the receipt has changed meanwhile."""
        change = d.begin_call(receipt, claim=claim, claim_ms=self._claim_ms)
        epoch_of = self.execution.workflow_id, self.execution.epoch
        # P1 again, for one that was announced: it is called for the first time.
        after = self.effect.precedent(epoch_of[0], self.arguments) if receipt.calls == 0 else None

        async def begin() -> Receipt | None:
            async with self.runtime.record.session() as session:
                begun = await session.change_receipt(receipt, change, epoch_of=epoch_of, after=after)
                if begun is None:
                    # Ours, also when the reply to the statement was lost: nobody else knows this claim.
                    seen = (await session.find_receipt(self.key, self.attempt)).receipt
                    begun = seen if seen is not None and seen.claim == claim else None
                return begun

        return await self.runtime.patiently(f"receipt of {self.key!r}", begin)

    def _frozen_arguments(self, receipt: Receipt) -> dict[str, Any]:
        """P4: what was first asked for, whatever this execution was given."""
        return self.effect.function.thaw(self.runtime.unseal(receipt.request))

    async def _call(self, receipt: Receipt, claim: str, until_s: float) -> Receipt:
        """Make the call that the record holds as begun, and store what came of it.

        If this process was held up for so long that the call could outlive its claim, it is not made: somebody else may
        have proved it absent by then.
        """
        call = self.effect.call_for(self.runtime, receipt)
        try:
            arguments = self._frozen_arguments(receipt)
            send = await self.effect.sender(self.runtime, call, arguments)
        except Exception as error:
            # Nothing was sent, and that must not be in doubt when somebody has fixed what is wrong here.
            why = f"the call could not be made: {describe(error)}"
            await self.storing.event(receipt, lambda r: d.not_done(r, reason_after(r, why), 0, claim=claim), "not done")
            raise
        if self.runtime.loop.time() > until_s or not d.may_send(receipt, self.effect.guarantee):
            return await self._store_verdict(receipt, NotDone("held up before the call was made"), claim)
        limit, workflow = Limit(self.effect.timeout_s, until_s), self.execution.workflow_id
        try:
            async with self._admission.in_flight(), limit:
                value = await self.runtime.seams.call(self.effect.outgoing(call, workflow, self.arguments), limit, send)
        except Conflict as error:
            # What stands there under this identity is not ours, and that is certain: it was not done (P8).
            why = describe(error)
            await self.storing.event(receipt, lambda r: d.not_done(r, reason_after(r, why), 0, claim=claim), "not done")
            raise
        except asyncio.CancelledError:
            if limit.given_up:
                never = reason_after(receipt, "it was given up before it was called")
                await self.storing.event(receipt, lambda r: d.not_done(r, never, 0, claim=claim), "not done")
            raise
        except Exception as error:  # noqa: BLE001 - every exception is an outcome, and the provider says which
            verdict = verdict_of(error, self.effect.provider, self.effect.function, limit)
            return await self._store_verdict(receipt, verdict, claim)
        self.runtime.heard_of(self.effect.provider.name, None)
        if isinstance(value, Pending):
            return await self.storing.pending(receipt, value, claim=claim)
        return await self.storing.success(receipt, value, claim=claim)

    async def _store_verdict(self, receipt: Receipt, verdict: Verdict, claim: str) -> Receipt:
        guarantee, wait_ms = self.effect.guarantee, d.backoff_ms(receipt.calls, self.runtime.random())
        self.runtime.heard_of(self.effect.provider.name, verdict)
        if isinstance(verdict, Declined):
            if d.speaks_for_all(receipt, guarantee):
                return await self.storing.decline(receipt, verdict)
            why = f"call {receipt.calls} was {verdict}; an earlier call is in doubt, and this says nothing of it"
            self.runtime.observe(Suspected(self.key, why))
            no = partial(d.declined_alone, error=reason_after(receipt, why), wait_ms=wait_ms, guarantee=guarantee)
            return await self.storing.event(receipt, partial(no, claim=claim), "declined")
        if isinstance(verdict, NotDone):
            wait_ms = max(wait_ms, min(verdict.retry_after_ms or 0, _LATER_MS))
            said = reason_after(receipt, verdict.reason, verdict=verdict)
            return await self.storing.event(receipt, lambda r: d.not_done(r, said, wait_ms, claim=claim), "not done")
        self.runtime.observe(Suspected(self.key, why := verdict.reason))
        # A stored answer only repeats itself, so there is nothing to wait for before probing.
        pause_ms, again = 0 if verdict.replayed else wait_ms, verdict.replayed

        def doubted(r: Receipt) -> Change:
            return d.in_doubt(r, reason_after(r, why, verdict=verdict), pause_ms, claim=claim, replayed=again)

        stored = await self.storing.event(receipt, doubted, "unknown")
        if isinstance(verdict, Undeclared) and stored.state == "intended" and undeclared_in(stored) >= MOST_UNDECLARED:
            raise EffectStopped(self.key, undeclared_in(stored), why)
        return stored

    async def _probe(self, receipt: Receipt, now_ms: int) -> None:
        async with self._admission.in_flight():
            answer = await ask(self.effect, self.runtime, receipt, now_ms)
        match answer:
            case Declined():
                await self.storing.decline(receipt, answer)
            case Found(result):
                await self.storing.success(receipt, result)
            case Pending():
                await self.storing.pending(receipt, answer)
            case Absent() | Early():
                await self._change(receipt, d.absent(receipt, now_ms, self.effect.guarantee))
            case Failed(why, verdict):
                self.runtime.heard_of(self.effect.provider.name, verdict)
                # Each failed round waits about as long as this has been open, so the pauses double.
                # After a restore the last call may have been long before this intent was stored.
                open_ms = now_ms - max(receipt.last_call_at_ms or now_ms, receipt.created_at_ms)
                error = reason_after(receipt, f"probing failed: {why}", verdict=verdict, counts=False)
                wait_ms = min(max(open_ms, 200), 300_000)
                await self._change(receipt, d.in_doubt(receipt, error, wait_ms, claim="", replayed=False))
            case CannotTell(why):
                await self._change(receipt, d.unknown(receipt, reason_after(receipt, f"the probe cannot tell: {why}")))

    async def _expire(self, receipt: Receipt, now_ms: int) -> None:
        """Have what is pending cancelled at the provider, whose answer ends the wait; once here, and then wait on."""
        cancel, self._expired_here = self.effect.expiry, True
        assert cancel is not None
        with_it = replied(self.runtime, self.effect, receipt)
        arguments = arguments_after(self.runtime, self.effect, cancel, receipt, codec.decode(with_it.text))
        cancelling = EffectRun(
            cancel.following(receipt), self.execution, self.ctx, arguments, waits_from=self._waits_from + _APART
        )
        try:
            await cancelling.outcome()
        except Declined as refused:
            said = f"{cancelling.key!r}, which was to cancel it, was declined: {refused.reason}"
            await look(self.runtime, self.effect, receipt, now_ms, said)
            return
        declined = Declined(f"it was pending for too long, and was cancelled by {cancelling.key!r}", "expired")
        await self.storing.decline(receipt, declined)

    # ── handing out ─────────────────────────────────────────────────────────

    async def _standing(self, receipt: Receipt) -> Any:
        """The result, unless it is being taken back: its workflow has failed, and this epoch finishes the undo."""
        value = stored_result(self.runtime, self.effect, receipt)
        if receipt.undo is not None and not self.effect.settles and not self.storing.settled_here:
            await refuse_undone(self.runtime, receipt)
        return value


_NEVER_TOLD = "the call was made, and nothing tells whether it had its effect (no key to repeat it under, no probe)"
