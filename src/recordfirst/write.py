"""A write: rows and their receipt in one transaction of the record (P2).

Kept: the function's rows and its receipt commit together or not at all, once per key, whoever else runs it meanwhile.
Lost: nothing. A reply to COMMIT that does not arrive is settled by looking for the receipt.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Concatenate, Protocol, cast, overload

import msgspec
from resonate.context import Context

from recordfirst.after import Precedent, after_missing, check_after, is_done
from recordfirst.arguments import Arguments
from recordfirst.conflicts import refuse_other_key
from recordfirst.core import codec, exceptions, identity, keys
from recordfirst.core.exceptions import why_not_storable
from recordfirst.core.receipt import After, NewReceipt, Receipt
from recordfirst.core.text import class_name, safe_text
from recordfirst.declared import Fails, check_fails
from recordfirst.engine import leaf
from recordfirst.errors import (
    Misuse,
    OutcomeLost,
    SharedKey,
    Unencodable,
)
from recordfirst.function import Function
from recordfirst.observe import CommitFound, LostRace, StaleStep
from recordfirst.records.contract import Session
from recordfirst.runtime import Execution, Runtime, fault_of
from recordfirst.writing import Write, compare, flush, open_write


class WriteStep[**P, R](Precedent[P, R]):
    """A ``@write``; see :func:`write`."""

    receipt_kind = "write"

    def __init__(self, function: Function, template: keys.Template | None, after: Precedent[..., Any] | None) -> None:
        super().__init__(function)
        self.template, self.after = template, after

    def with_key(self, key: str) -> WriteStep[P, R]:
        """Return this write under another key: a second call in one workflow must name its own."""
        self.function.has_other_keys = True
        named: WriteStep[P, R] = WriteStep(
            self.function, keys.parse(key, repr(self.function), self.function.parameters), self.after
        )
        named.fails = self.fails
        return named

    @property
    def receipt_needs(self) -> tuple[str, ...]:
        return self.template.names if self.template is not None else ()

    def receipt_key(self, workflow_id: str, arguments: dict[str, Any]) -> str:
        return self.key_for(workflow_id, arguments)

    def functions(self) -> list[Function]:
        return [self.function, *(self.after.functions() if self.after is not None else [])]

    @property
    def key_needs(self) -> tuple[str, ...]:
        """Parameters that its key is made of."""
        return self.receipt_needs

    def key_in(self, workflow_id: str, arguments: dict[str, Any]) -> str:
        """The key of a call with these arguments, in this workflow."""
        return self.key_for(workflow_id, arguments)

    def key_for(self, workflow_id: str, arguments: dict[str, Any]) -> str:
        """The key of this write's receipt."""
        if self.template is None:
            return default_key(workflow_id, self.name)
        return self.template.render(arguments, repr(self.function))

    def identity(self, execution: Execution, arguments: Arguments) -> str:
        return f"{self.key_for(execution.workflow_id, arguments)} {super().identity(execution, arguments)}"

    async def _run(self, execution: Execution, ctx: Context, arguments: Arguments) -> R:
        key = self.key_for(execution.workflow_id, arguments)
        attempt = 1 + execution.again.get(key, 0)
        if self.template is None:
            if execution.is_part:
                raise Misuse(
                    f"write {self.name} has no key of its own, and workflow {execution.workflow_id!r} calls it in a "
                    f"part that runs by itself (ctx.rpc), where its default key {key!r} could be another call's; "
                    f'name its key: @write(key="...") or {self.name}.with_key("...")(ctx, ...)'
                )
            first = execution.default_keys.setdefault(key, ctx.info.id)
            if first != ctx.info.id:
                raise SharedKey(
                    key, f"one call of {self.name}", f"a second; name it: {self.name}.with_key(...)(ctx, ...)"
                )
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        execution.writes[key] = done
        try:
            return await self._write(execution, ctx, key, attempt, arguments)
        finally:
            done.set_result(None)

    async def _write(self, execution: Execution, ctx: Context, key: str, attempt: int, arguments: Arguments) -> R:
        runtime = execution.runtime
        receipt = NewReceipt(
            key=key,
            attempt=attempt,
            kind="write",
            function=self.name,
            workflow=execution.workflow_id,
            state="succeeded",
            fingerprint=runtime.sealing.fingerprint(arguments.asked),
            request=runtime.seal(arguments.text),
        )
        injected = await runtime.injector.resolve(self.function)
        after = await self._awaited(execution, arguments)
        stored = partial(self._stored, execution, receipt, arguments)

        async def once() -> NewReceipt:
            async with runtime.record.transaction() as tx:
                await self._check_after(tx, after)
                w = open_write(runtime, tx, execution, blocking=not self.function.is_async)
                value = await self.function.call(w, self.function.fresh(arguments), injected, runtime.executor)
                # Before the commit: a result that no version can read stays for ever.
                result, told = self.function.result(value)
                done = msgspec.structs.replace(receipt, result=runtime.seal(result))
                if not await flush(w, tx, [done]):
                    raise _Lost
                settled = await self._settle(runtime, tx, ctx, key, told)
            settled()
            w.committed()
            return done

        # In the first run of a new workflow there is no receipt to be found; should there be one after all, then it is
        # the unique key that tells, or the error that comes of rows which are there already.
        look, lost_with = not execution.first_run, ""

        async def until_settled() -> NewReceipt:
            nonlocal look, lost_with
            while True:
                # Outside the transaction, whose first statement may have to be the user's (SET TRANSACTION, say).
                if look and (found := await stored()) is not None:
                    if lost_with:
                        runtime.observe(CommitFound(key, lost_with))
                    return found
                look = True
                try:
                    return await once()
                except _Lost:
                    await _lost(execution, key, await stored())
                except Exception as error:
                    fault = fault_of(runtime.record, error)
                    if fault is not None:
                        lost_with = safe_text(error) if fault == "unreachable" else ""
                        raise
                    if (ended := await self._ended_with(error, execution, receipt, stored, after)) is not None:
                        return ended

        return self._outcome(runtime, await runtime.patiently(repr(self), until_settled))

    async def _stored(self, execution: Execution, asked: NewReceipt, arguments: Arguments) -> Receipt | None:
        """The receipt, once it is shown to be of the same step and request (P8), and under no other key (P2)."""
        runtime = execution.runtime
        async with runtime.record.session() as session:
            seen = (await session.find_receipt(asked.key, asked.attempt)).receipt
            if seen is None:
                await refuse_other_key(runtime, session, self, execution.workflow_id, arguments, execution)
        compare(runtime, self.function, seen, asked)
        return seen

    async def _ended_with(
        self,
        error: Exception,
        execution: Execution,
        receipt: NewReceipt,
        stored: Callable[[], Awaitable[Receipt | None]],
        after: After | None,
    ) -> NewReceipt | None:
        """What the record says after an error; if it is an outcome, that is stored, without rows. Else raises it.

        ``None``: another run was faster, and its outcome is not there yet.
        """
        # The function's own error may come of the rows of one who was faster.
        if (found := await stored()) is not None:
            execution.runtime.observe(LostRace(receipt.key))
            return found
        if not execution.declared.reaches_body(error):
            raise error
        said = self._refusal(execution.runtime, receipt, error)
        async with execution.runtime.record.transaction() as tx:
            await self._check_after(tx, after)
            if await tx.add_receipts([said], epoch=execution.epoch):
                return said
        await _lost(execution, receipt.key, await stored())
        return None

    def _refusal(self, runtime: Runtime, receipt: NewReceipt, error: Exception) -> NewReceipt:
        """The receipt of a write that has ended in an outcome of the business (P9)."""
        why = why_not_storable(error)
        if why is not None:
            raise Unencodable(
                f"{receipt.key!r}: {class_name(error)} cannot be stored as the outcome of {self.function!r}: {why}"
            ) from error
        self.function.raised_at(error)  # noted on it, so that it is stored with it: the line is known here alone
        said = codec.encode(exceptions.encode(error, runtime.errors), "an outcome")
        reason = codec.encode({"reason": safe_text(error), "code": class_name(error)}, "a reason")
        return msgspec.structs.replace(receipt, state="declined", result=runtime.seal(said), error=reason)

    def _outcome(self, runtime: Runtime, stored: NewReceipt) -> R:
        """The result, or the exception, that a receipt says."""
        text = runtime.unseal(stored.result) if stored.result is not None else "null"
        if stored.state != "declined":
            return self._result(text)
        raise exceptions.decode(codec.decode(text), runtime.errors, partial(OutcomeLost, stored.key))

    async def _awaited(self, execution: Execution, arguments: dict[str, Any]) -> After | None:
        """The receipt that this comes after, once that step is not on its way any more in this run."""
        if self.after is None:
            return None
        after = self.after.receipt_of(execution.workflow_id, arguments)
        if (on_its_way := execution.writes.get(after.key)) is not None:
            await asyncio.shield(on_its_way)
        return after

    async def _check_after(self, tx: Session[Any], after: After | None) -> None:
        if after is None:
            return
        found = (await tx.find_receipt(after.key)).receipt
        if not is_done(found, after):
            raise after_missing(self, after, found)

    def _result(self, text: str) -> R:
        return cast("R", codec.shape(codec.decode(text), self.function.returns, f"the result of {self.function!r}"))

    async def _settle(self, runtime: Runtime, tx: Session[Any], ctx: Context, key: str, result: R) -> Callable[[], Any]:
        """Settle this step in its own transaction, if the engine is there; else it is settled after the commit."""
        if runtime.joined is None:
            return lambda: None
        settled = await runtime.joined.settle(tx, ctx, result)
        if settled is None:
            runtime.observe(StaleStep(key))
            raise leaf.release(f"write {key!r} was rolled back: its task is not ours any more, or has expired")
        return settled


async def _lost(execution: Execution, key: str, found: Receipt | None) -> None:
    """Say that another run was faster, also if that has ended the workflow since. If none was, it was ended before."""
    if found is None:
        await execution.release_if_over(f"write {key!r}")
    else:
        execution.runtime.observe(LostRace(key))


class WriteDecorator(Protocol):
    """What ``write(key=...)`` gives: a decorator that keeps the function's parameters and result."""

    @overload
    def __call__[**P, R](self, fn: Callable[Concatenate[Write[Any], P], Awaitable[R]], /) -> WriteStep[P, R]: ...
    @overload
    def __call__[**P, R](self, fn: Callable[Concatenate[Write[Any], P], R], /) -> WriteStep[P, R]: ...


class _Lost(Exception):  # noqa: N818 - control flow inside this module, never seen outside
    """Another execution's receipt was there first: roll back, and take its result."""


def default_key(workflow_id: str, name: str) -> str:
    """The key of a write that names none."""
    return identity.check_key(f"{workflow_id}/{name}", f"write {name!r}")


@overload
def write[**P, R](fn: Callable[Concatenate[Write[Any], P], Awaitable[R]], /) -> WriteStep[P, R]: ...
@overload
def write[**P, R](fn: Callable[Concatenate[Write[Any], P], R], /) -> WriteStep[P, R]: ...
@overload
def write(
    *, key: str | None = None, after: Precedent[..., Any] | None = None, name: str | None = None, fails: Fails = ()
) -> WriteDecorator: ...
def write(
    fn: Callable[..., Any] | None = None,
    /,
    *,
    key: str | None = None,
    after: Precedent[..., Any] | None = None,
    name: str | None = None,
    fails: Fails = (),
) -> Any:
    """Make a function a write: its rows and its receipt commit in one transaction of the record (P2).

    The function's first parameter is a :class:`Write`; its ``tx`` is the driver's own connection. It may run again
    after a deadlock or a lost connection, each time in a fresh transaction, so it does nothing but write. Its arguments
    and its result must be JSON (structs, dataclasses, dates and so on are); a result that is not is refused before the
    commit. In a sync function, which runs in a thread, ``w.tx`` blocks.

    Args:
        fn: the function, when used without parentheses.
        key: template of the receipt's key, such as ``"item:{item.id}"``. Default: workflow id and function name.
        after: the stage that must have its receipt before this commits (P1); what it depends on besides is your order.
        name: the name in receipts. Default: the function's. Keep the old one here when you rename a function.
        fails: exceptions of it that are outcomes of your business, such as ``fails=OutOfStock``. One that is raised
            rolls back the rows, is stored as this write's outcome, and reaches the body, now and on every replay; if
            the body does not catch it, the workflow fails, and undoes. ``Declined`` always is one. Any other exception
            stops the workflow (P9), but for classes of your own that the body catches.

    Raises:
        BadKey: if the template names what the parameters do not have.
        Misuse: if the signature cannot be a write's, ``fails=`` names what is no outcome of a business, or ``after``'s
            key cannot be told from its arguments.
    """

    def decorate(fn: Callable[..., Any]) -> WriteStep[..., Any]:
        function = Function(fn, kind="write", name=name)
        function.refuse_unstorable_result()
        template = keys.parse(key, repr(function), function.parameters) if key is not None else None
        made: WriteStep[..., Any] = WriteStep(function, template, check_after(function, after))
        made.fails = check_fails(fails, f"@write {function.place}")
        return made

    return decorate(fn) if fn is not None else decorate
