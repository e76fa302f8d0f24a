"""Runs a write: rows and their receipt in one transaction of the record (P2).

Kept: the function's rows and its receipt commit together or not at all, once per key, however many run it meanwhile.
Lost: nothing. A reply to COMMIT that does not arrive is settled by looking for the receipt.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import msgspec
from resonate.context import Context

from recordfirst.core import codec, exceptions
from recordfirst.core.exceptions import why_not_storable
from recordfirst.core.receipt import After, NewReceipt, Receipt
from recordfirst.core.text import class_name, safe_text
from recordfirst.engine.sdk import steps as sdk
from recordfirst.errors import Misuse, OutcomeLost, SharedKey, Unencodable
from recordfirst.execution.conflicts import compare
from recordfirst.execution.execution import Execution
from recordfirst.execution.flush import open_write
from recordfirst.execution.patience import fault_of
from recordfirst.observe import CommitFound, LostRace, StaleStep
from recordfirst.records.contract import Session
from recordfirst.steps.arguments import Arguments
from recordfirst.steps.precedent import after_missing, is_done
from recordfirst.steps.write import WriteStep


async def run[R](step: WriteStep[..., R], execution: Execution, ctx: Context, arguments: Arguments) -> R:
    """Run it in a workflow."""
    key = step.key_for(execution.workflow_id, arguments)
    if step.template is None:
        _refuse_second_use(step, execution, ctx, key)
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    execution.writes[key] = done
    try:
        return cast("R", await WriteRun(step, execution, ctx, key, arguments).outcome())
    finally:
        done.set_result(None)


def _refuse_second_use(step: WriteStep[..., Any], execution: Execution, ctx: Context, key: str) -> None:
    """A default key names one call of a workflow; a second one must name its own."""
    if execution.is_part:
        raise Misuse(
            f"write {step.name} has no key of its own, and workflow {execution.workflow_id!r} calls it in a "
            f"part that runs by itself (ctx.rpc), where its default key {key!r} could be another call's; "
            f'name its key: @write(key="...") or {step.name}.with_key("...")(ctx, ...)'
        )
    first = execution.default_keys.setdefault(key, ctx.info.id)
    if first != ctx.info.id:
        raise SharedKey(key, f"one call of {step.name}", f"a second; name it: {step.name}.with_key(...)(ctx, ...)")


class _Lost(Exception):  # noqa: N818 - control flow inside this module, never seen outside
    """Another execution's receipt was there first: roll back, and take its result."""


class WriteRun:
    """One execution's work on one write."""

    def __init__(
        self, step: WriteStep[..., Any], execution: Execution, ctx: Context, key: str, arguments: Arguments
    ) -> None:
        self.step, self.function, self.execution, self.ctx = step, step.function, execution, ctx
        self.runtime, self.key, self.arguments = execution.runtime, key, arguments
        self.receipt = NewReceipt(
            key=key,
            attempt=1 + execution.again.get(key, 0),
            kind="write",
            function=step.name,
            workflow=execution.workflow_id,
            state="succeeded",
            fingerprint=self.runtime.fingerprint(arguments.asked),
            request=self.runtime.seal(arguments.text),
        )

    async def outcome(self) -> Any:
        """Return the write's result, or raise its stored outcome."""
        injected = await self.runtime.injector.resolve(self.function)
        after = await self._awaited()
        # In the first run of a new workflow there is no receipt to be found; should there be one after all, then it is
        # the unique key that tells, or the error that comes of rows which are there already.
        look, lost_with = not self.execution.first_run or self.execution.taken_back is not None, ""

        async def until_settled() -> NewReceipt:
            nonlocal look, lost_with
            while True:
                # Outside the transaction, whose first statement may have to be the user's (SET TRANSACTION, say).
                if look and (found := await self._stored()) is not None:
                    if lost_with:
                        self.runtime.observe(CommitFound(self.key, lost_with))
                    return found
                look = True
                self.execution.refuse_behind_undo()
                try:
                    return await self._once(injected, after)
                except _Lost:
                    await self._lost(await self._stored())
                except Exception as error:
                    fault = fault_of(self.runtime.record, error)
                    if fault is not None:
                        lost_with = safe_text(error) if fault == "unreachable" else ""
                        raise
                    if (ended := await self._ended_with(error, after)) is not None:
                        return ended

        return self._said(await self.runtime.patiently(repr(self.step), until_settled))

    async def _awaited(self) -> After | None:
        """The receipt that this comes after, once that step is no longer on its way in this run."""
        if self.step.after is None:
            return None
        after = self.step.after.receipt_of(self.execution.workflow_id, self.arguments)
        if (on_its_way := self.execution.writes.get(after.key)) is not None:
            await asyncio.shield(on_its_way)
        return after

    async def _once(self, injected: dict[str, Any], after: After | None) -> NewReceipt:
        runtime, function = self.runtime, self.function
        async with runtime.record.transaction() as tx:
            await self._check_after(tx, after)
            w, gathered = open_write(runtime, tx, self.execution, blocking=not function.is_async)
            value = await function.call(w, function.fresh(self.arguments), injected, runtime.executor)
            # Before the commit: a result that no version can read stays for ever.
            result, told = function.result(value)
            done = msgspec.structs.replace(self.receipt, result=runtime.seal(result))
            if not await gathered.flush(done):
                raise _Lost
            settled = await self._settle(tx, told)
        settled()
        gathered.committed()
        return done

    async def _check_after(self, tx: Session[Any], after: After | None) -> None:
        if after is None:
            return
        found = (await tx.find_receipt(after.key)).receipt
        if not is_done(found, after):
            raise after_missing(self.step, after, found)

    async def _settle(self, tx: Session[Any], result: Any) -> Callable[[], Any]:
        """Settle this step in its own transaction, if the engine is there; else it is settled after the commit."""
        if self.runtime.joined is None:
            return lambda: None
        settled = await self.runtime.joined.settle(tx, self.ctx, result)
        if settled is None:
            self.runtime.observe(StaleStep(self.key))
            raise sdk.release(f"write {self.key!r} was rolled back: its task is no longer ours, or has expired")
        return settled

    async def _stored(self) -> Receipt | None:
        """The receipt, once it is shown to be of the same step and request (P8), and under no other key (P2)."""
        async with self.runtime.record.session() as session:
            seen = (await session.find_receipt(self.key, self.receipt.attempt)).receipt
            if seen is None:
                await self.execution.refuse_other_key(self.step, self.arguments, session)
        compare(self.runtime, self.function, seen, self.receipt)
        return seen

    async def _lost(self, found: Receipt | None) -> None:
        """Say that another run was faster, also if that has ended the workflow since. If none was, it had ended."""
        if found is None:
            await self.execution.release_if_over(f"write {self.key!r}")
        else:
            self.runtime.observe(LostRace(self.key))

    async def _ended_with(self, error: Exception, after: After | None) -> NewReceipt | None:
        """What the record says after an error; if it is an outcome, that is stored, without rows. Else raises it.

        ``None``: another run was faster, and its outcome is not there yet.
        """
        # The function's own error may come of the rows of one who was faster.
        if (found := await self._stored()) is not None:
            self.runtime.observe(LostRace(self.key))
            return found
        if not self.execution.declared.reaches_body(error):
            raise error
        said = self._refusal(error)
        async with self.runtime.record.transaction() as tx:
            await self._check_after(tx, after)
            if await tx.add_receipts([said], epoch=self.execution.epoch):
                return said
        await self._lost(await self._stored())
        return None

    def _refusal(self, error: Exception) -> NewReceipt:
        """The receipt of a write that has ended in an outcome of the business (P9)."""
        why = why_not_storable(error)
        if why is not None:
            raise Unencodable(
                f"{self.key!r}: {class_name(error)} cannot be stored as the outcome of {self.function!r}: {why}; catch "
                "it in the step, and raise an exception of your own"
            ) from error
        self.function.raised_at(error)  # noted on it, so that it is stored with it: the line is known here alone
        said = codec.encode(exceptions.encode(error, self.runtime.errors), "an outcome")
        reason = codec.encode({"reason": safe_text(error), "code": class_name(error)}, "a reason")
        return msgspec.structs.replace(self.receipt, state="declined", result=self.runtime.seal(said), error=reason)

    def _said(self, stored: NewReceipt) -> Any:
        """The result, or the exception, that a receipt says."""
        text = self.runtime.unseal(stored.result) if stored.result is not None else "null"
        if stored.state != "declined":
            return codec.shape(codec.decode(text), self.function.returns, f"the result of {self.function!r}")
        raise exceptions.decode(codec.decode(text), self.runtime.errors, partial(OutcomeLost, stored.key))
