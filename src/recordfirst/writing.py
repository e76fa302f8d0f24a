"""One transaction of the record, open for writing: what it promises is stored before its COMMIT, or not at all (P2)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from recordfirst.accept import accept
from recordfirst.arguments import Arguments
from recordfirst.blocking import Blocking
from recordfirst.conflicts import refuse_other_key
from recordfirst.core import codec, identity
from recordfirst.core.receipt import NewReceipt, Receipt
from recordfirst.core.start import NewStart, Start
from recordfirst.errors import (
    DifferentArguments,
    DifferentFunction,
    DifferentRequest,
    Misuse,
    RecordfirstError,
    StartContended,
)
from recordfirst.function import Function
from recordfirst.observe import DefaultKept
from recordfirst.records.contract import Session
from recordfirst.runtime import Begun, Execution, Runtime

if TYPE_CHECKING:
    from recordfirst.effect import Effect
    from recordfirst.workflow import Workflow


class Write[C]:
    """One transaction of the record, open for writing.

    ``tx`` is the driver's own connection, for as long as the function runs; nothing on it ends the transaction. What
    :meth:`start` and :meth:`intend` ask for is stored right before COMMIT, in this transaction: all of it, or nothing.
    """

    def __init__(
        self, runtime: Runtime, session: Session[C], execution: Execution | None, workflow: str | None = None
    ) -> None:
        """``workflow``: whose it is, where no run of it is at work: its effect is settled from outside."""
        self.tx: C = session.connection
        self._runtime = runtime
        self._execution = execution
        self._workflow = execution.workflow_id if execution is not None else workflow
        self._session = session
        self._promises: list[tuple[Function, NewStart] | Intent] = []
        self._starts: list[tuple[Function, NewStart]] = []
        self._intents: list[Intent] = []
        self._accepted: list[Start] = []
        self._begun: dict[str, Begun] = {}

    def start(self, workflow: Workflow[..., Any], /, *args: Any, id: str, **kwargs: Any) -> None:
        """Accept a workflow in this transaction: it runs after COMMIT, and only then (P7).

        A savepoint that is rolled back takes back what was started in it.

        Raises:
            BadArguments: at once, if the arguments do not fit.
            DifferentArguments: at the end of the transaction, which rolls back, if the id was started otherwise (P8).
        """
        self._promise((workflow.function, new_start(self._runtime, workflow, args, kwargs, id)))

    def intend(self, effect: Effect[..., Any], /, *args: Any, **kwargs: Any) -> None:
        """Store an effect's intent in this transaction, so that its call costs one commit less later on (design 6).

        In a workflow's write, and where an effect of it is settled, it belongs to that workflow; elsewhere, to the
        workflow started last in this transaction.
        The same intent again changes nothing. A savepoint that is rolled back takes back what was intended in it.

        Raises:
            BadArguments: at once, if the arguments do not fit.
            Misuse: at once, outside a workflow, if no workflow was started in this transaction; at its end, if the one
                that was is taken back by a savepoint.
            AfterMissing: at the end of the transaction, which rolls back, if its write has no receipt by then (P1). A
                transaction of the caller's own is not that write: announce it in the write itself.
            DifferentRequest, DifferentFunction: at the end of the transaction, which rolls back, if the key stands for
                something else (P8).
        """
        if self._workflow is None and all(isinstance(promise, Intent) for promise in self._promises):
            raise _of_no_workflow(effect)
        self._promise(Intent(effect, effect.function.freeze(args, kwargs), self._workflow or ""))

    def _promise(self, what: tuple[Function, NewStart] | Intent) -> None:
        self._session.promise(len(self._promises))
        self._promises.append(what)

    def _keep(self, numbers: set[int]) -> None:
        """Keep the promises that no savepoint has taken back."""
        for number, what in enumerate(self._promises):
            if number not in numbers:
                continue
            if not isinstance(what, Intent):
                self._starts.append(what)
                continue
            if not what.workflow and not self._starts:
                raise _of_no_workflow(what.effect)
            what.workflow = what.workflow or self._starts[-1][1].id
            self._intents.append(what)

    @property
    def accepted(self) -> list[Start]:
        """What this transaction has accepted itself; what had been started before tells nothing of it."""
        return self._accepted

    def committed(self) -> None:
        """Tell this run of the workflow, and the worker in this process, what COMMIT has given them to do."""
        if self._execution is not None:
            self._execution.begun.update(self._begun)
        if self._starts:
            self._runtime.nudge()


class Intent:
    """An effect that a write has announced."""

    def __init__(self, effect: Effect[..., Any], arguments: Arguments, workflow: str) -> None:
        self.effect, self.arguments, self.workflow = effect, arguments, workflow


def _of_no_workflow(effect: Effect[..., Any]) -> Misuse:
    return Misuse(f"intend({effect.name}): start its workflow first, in the same transaction, or write in a workflow")


def compare(runtime: Runtime, function: Function, stored: Receipt | None, asked: NewReceipt) -> None:
    """Raise the conflict, naming both sides, if a key's receipt is not of this function and request."""
    if stored is None:
        return  # a snapshot of the user's own isolation level may not show it; it is compared again where it is used
    if (stored.kind, stored.function) != (asked.kind, asked.function):
        raise DifferentFunction(asked.key, f"{stored.kind} {stored.function}", f"{asked.kind} {asked.function}")
    if stored.fingerprint == asked.fingerprint:
        _say_changed_default(runtime, function, stored, asked)
        return
    was, asks = runtime.unseal(stored.request), runtime.unseal(asked.request)
    if not same_today(function, was, asks):
        raise DifferentRequest(
            asked.key,
            f"the request of {stored.function} that workflow {stored.workflow!r} stored",
            f"one of workflow {asked.workflow!r} with another {codec.differences(was, asks)}",
        )


def _say_changed_default(runtime: Runtime, function: Function, stored: Receipt, asked: NewReceipt) -> None:
    """Tell that a deploy has changed a default meanwhile: what was stored with the request counts (P4)."""
    if not function.defaults:
        return
    was, asks = codec.decode(runtime.unseal(stored.request)), codec.decode(runtime.unseal(asked.request))
    changed = [name for name in function.defaults if name in was and was[name] != asks.get(name)]
    if changed:
        runtime.observe(DefaultKept(asked.key, function.name, ", ".join(changed)))


def same_today(function: Function, stored: str, given: str) -> bool:
    """Whether two requests that differ as text are one by today's types: a field with a default was added, say."""
    try:
        return codec.encode(function.thaw(stored), "the stored request") == given
    except RecordfirstError:
        return False


def open_write[C](
    runtime: Runtime,
    tx: Session[C],
    execution: Execution | None,
    *,
    workflow: str | None = None,
    blocking: bool = False,
) -> Write[C]:
    """A write on this transaction; for a function in a thread, with a connection that blocks it."""
    w = Write(runtime, tx, execution, workflow)
    if blocking:
        w.tx = cast("C", Blocking(w.tx, asyncio.get_running_loop()))
    return w


async def flush(w: Write[Any], tx: Session[Any], receipts: Sequence[NewReceipt]) -> bool:
    """Store what a write has gathered, right before COMMIT. From now on its function has no connection.

    ``False``: its own receipt exists already, or the life that it is of is over.
    """
    from recordfirst.effect import store_intents  # noqa: PLC0415 - effects are made of writes

    w._keep(await tx.promised())
    epoch = w._execution.epoch if w._execution is not None else None
    if receipts and len(await tx.add_receipts(receipts, epoch=epoch)) < len(receipts):
        return False
    if w._intents:
        own = receipts[0] if receipts else None
        w._begun = await store_intents(w._runtime, tx, w._intents, w._execution, own, callers_own=w._workflow is None)
    if w._starts:
        try:
            rows = await accept(w._runtime, tx, [new for _, new in w._starts])
        except StartContended as error:
            if w._workflow is None:
                raise
            raise StartContended(error.ids, error.waited_s, again=True) from error
        for (function, new), (stored, _) in zip(w._starts, rows, strict=True):
            check_same_start(w._runtime, function, stored, new)
        w._accepted = [stored for stored, added in rows if added]
    if w._execution is None:
        new_here = {start.id for start in w._accepted}
        for intent in w._intents:
            if intent.workflow not in new_here:
                await refuse_other_key(w._runtime, tx, intent.effect, intent.workflow, intent.arguments)
    return True


def new_start(
    runtime: Runtime, workflow: Workflow[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], id: str
) -> NewStart:
    """A start for these arguments, checked and encoded."""
    arguments = workflow.function.freeze(args, kwargs)
    return NewStart(
        id=identity.check_id(id),
        workflow=workflow.name,
        arguments=runtime.seal(arguments.text),
        fingerprint=runtime.sealing.fingerprint(workflow.name, arguments.asked),
    )


def check_same_start(runtime: Runtime, function: Function, stored: Start, given: NewStart) -> None:
    """Raise the conflict if an id was started before as something else (P8)."""
    if stored.fingerprint == given.fingerprint or runtime.sealing.same(
        stored.fingerprint, given.workflow, runtime.unseal(given.arguments)
    ):
        return
    if stored.workflow != given.workflow:
        raise DifferentArguments(given.id, stored.workflow, given.workflow)
    if stored.state == "collected":
        raise DifferentArguments(given.id, stored.workflow, f"{given.workflow} with other arguments")
    was, asks = runtime.unseal(stored.arguments), runtime.unseal(given.arguments)
    if not same_today(function, was, asks):
        another = f"{given.workflow} with another {codec.differences(was, asks)}"
        raise DifferentArguments(given.id, stored.workflow, another)
