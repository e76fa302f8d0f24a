"""What a transaction of the record promises is stored before its COMMIT, or not at all (P2)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, cast

from recordfirst.core.receipt import NewReceipt
from recordfirst.core.start import NewStart, Start
from recordfirst.errors import Misuse, StartContended
from recordfirst.execution.conflicts import refuse_other_key
from recordfirst.execution.execution import Begun, Execution
from recordfirst.execution.intents import Intent, store_intents
from recordfirst.execution.runtime import Runtime
from recordfirst.execution.starts import accept, check_same_start, new_start
from recordfirst.process.blocking import Blocking
from recordfirst.records.contract import Session
from recordfirst.steps.effect import Effect
from recordfirst.steps.function import Function
from recordfirst.steps.step import follow_up_arguments
from recordfirst.steps.workflow import Workflow
from recordfirst.steps.write import Write


class Gathered:
    """What one transaction is to start and to announce."""

    def __init__(
        self, runtime: Runtime, session: Session[Any], execution: Execution | None, workflow: str | None = None
    ) -> None:
        """``workflow``: whose it is, where no run of it is at work: its effect is settled from outside."""
        self._runtime, self._session, self._execution = runtime, session, execution
        self._workflow = execution.workflow_id if execution is not None else workflow
        self._promises: list[tuple[Function, NewStart] | Intent] = []
        self._starts: list[tuple[Function, NewStart]] = []
        self._intents: list[Intent] = []
        self._begun: dict[str, Begun] = {}
        self.accepted: list[Start] = []
        """What this transaction has accepted itself; what had been started before tells nothing of it."""

    def start(self, workflow: Workflow[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any], id: str) -> None:
        self._promise((workflow.function, new_start(self._runtime, workflow, args, kwargs, id)))

    def intend(self, effect: Effect[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
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

    async def flush(self, *receipts: NewReceipt) -> bool:
        """Store it, right before COMMIT, behind the receipts. From now on the user's function has no connection.

        ``False``: a receipt exists already, or the epoch that it is of is over.
        """
        tx, runtime = self._session, self._runtime
        self._keep(await tx.promised())
        epoch = self._execution.epoch if self._execution is not None else None
        if receipts and len(await tx.add_receipts(receipts, epoch=epoch)) < len(receipts):
            return False
        if self._intents:
            own, callers_own = receipts[0] if receipts else None, self._workflow is None
            self._begun = await store_intents(runtime, tx, self._intents, self._execution, own, callers_own=callers_own)
        if self._starts:
            self.accepted = await self._accept(self._starts)
        if self._execution is None:
            new_here = {start.id for start in self.accepted}
            for intent in self._intents:
                if intent.workflow not in new_here:
                    await refuse_other_key(runtime, tx, intent.effect, intent.workflow, intent.arguments)
        return True

    async def _accept(self, starts: Sequence[tuple[Function, NewStart]]) -> list[Start]:
        try:
            rows = await accept(self._runtime, self._session, [new for _, new in starts])
        except StartContended as error:
            if self._workflow is None:
                raise
            raise StartContended(error.ids, error.waited_s, again=True) from error
        for (function, new), (stored, _) in zip(starts, rows, strict=True):
            check_same_start(self._runtime, function, stored, new)
        return [stored for stored, added in rows if added]

    def committed(self) -> None:
        """Tell this run of the workflow, and the worker in this process, what COMMIT has given them to do."""
        if self._execution is not None:
            self._execution.begun.update(self._begun)
        if self._starts:
            self._runtime.nudge()


def _of_no_workflow(effect: Effect[..., Any]) -> Misuse:
    return Misuse(f"intend({effect.name}): start its workflow first, in the same transaction, or write in a workflow")


def open_write[C](
    runtime: Runtime,
    tx: Session[C],
    execution: Execution | None,
    *,
    workflow: str | None = None,
    blocking: bool = False,
) -> tuple[Write[C], Gathered]:
    """A write on this transaction, and what it gathers; for a function in a thread, its connection blocks it."""
    gathered = Gathered(runtime, tx, execution, workflow)
    connection = cast("C", Blocking(tx.connection, asyncio.get_running_loop())) if blocking else tx.connection
    return Write(connection, gathered), gathered


async def run_hook(
    runtime: Runtime,
    tx: Session[Any],
    hook: tuple[Function, str | None],
    arguments: Mapping[str, Any],
    value: Any,
    *,
    execution: Execution | None = None,
    workflow: str | None = None,
) -> Gathered:
    """Run ``on_success`` or ``on_decline`` in the transaction that stores the outcome ``value``; return its promises.

    They are stored: once the transaction has committed, say so by :meth:`Gathered.committed`.
    """
    function, extra = hook
    injected = await runtime.injector.resolve(function)
    w, gathered = open_write(runtime, tx, execution, workflow=workflow, blocking=not function.is_async)
    await function.call(w, follow_up_arguments(function, extra, arguments, value), injected, runtime.executor)
    await gathered.flush()
    return gathered
