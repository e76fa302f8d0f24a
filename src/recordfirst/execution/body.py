"""What the engine runs for a workflow: its body, and then its end: a result, a failure, or a stop (P9)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, Protocol

from resonate.context import Context
from resonate.error import PlatformError, Suspended

from recordfirst.core import codec, identity
from recordfirst.core.start import Finish, Start
from recordfirst.core.stops import WITHOUT_A_PART, stop_of
from recordfirst.core.text import class_name, safe_text, storable_text
from recordfirst.engine.sdk import steps as sdk
from recordfirst.engine.sdk.context import WorkflowContext
from recordfirst.errors import Misuse, UnknownWorkflow
from recordfirst.execution.calls import running
from recordfirst.execution.execution import Execution
from recordfirst.execution.runtime import Runtime
from recordfirst.execution.undo import close_undone, undo_all, withdraw_uncalled
from recordfirst.execution.undone import taken_back_before
from recordfirst.observe import Failed, StaleEpoch, Stopped, log_place
from recordfirst.providers.contract import describe
from recordfirst.steps.declared import Declared
from recordfirst.steps.function import Function

if TYPE_CHECKING:
    from recordfirst.steps.effect import Effect
    from recordfirst.steps.workflow import Workflow


_CROWD = 250
"""Bodies that run here. Each has some four tasks."""


class Lifecycle(Protocol):
    """Who wants to know that a body runs, stops running, and has come to its end."""

    async def cleared(self) -> None:
        """Return when bodies may run: record and engine have been compared. Gives the task back if they may not."""

    def entered(self, engine_id: str) -> bool:
        """A body runs. Whether it is, as far as is known here, the first run of a new workflow."""

    def left(self, engine_id: str) -> None: ...
    async def finished(self, engine_id: str, finish: Finish, error: Exception | None) -> None:
        """It has ended. Returns when the engine may be told so."""


def body_of(
    workflow: Workflow[..., Any], runtime: Runtime, lifecycle: Lifecycle, effects: dict[str, Effect[..., Any]]
) -> Any:
    """The function that the engine runs for a workflow: its body, and what must be done at its end."""

    async def body(given: Context, *args: Any, **kwargs: Any) -> Any:
        ctx = WorkflowContext(given, threads=runtime.executor)
        ctx.over.crowded = lambda: len(runtime.executions) > _CROWD
        ctx.covered = runtime.sealing.covered
        # What a workflow runs by ctx.rpc is a part of it, elsewhere: its receipts are the workflow's, and its end is
        # told by the engine alone.
        _, id, epoch, lineage = identity.parse_engine_id(ctx.info.id)
        await lifecycle.cleared()
        start, barred = None, (id, epoch) in runtime.over
        if barred or epoch > 1 or runtime.restores:
            # Only these can be over, or be the one that undoes; another is told so at its next step.
            start = await _find(runtime, id)
            has_ended = barred and start is not None and start.state != "open"
            if has_ended or _is_stale(start, epoch, is_part=bool(lineage), restored=runtime.restores > 0):
                return _pass_over(runtime, lifecycle, ctx.info.id, (id, epoch))
        # A body that fails is not run again by the SDK, not even one that had no step yet: its end is in the record.
        sdk.never_retried(ctx)
        execution = Execution(
            runtime,
            id,
            epoch,
            is_part=bool(lineage),
            first_run=lifecycle.entered(ctx.info.id),
            declared=workflow.declared,
            over=ctx.over,
            again=codec.decode(start.again) if start is not None and start.again is not None else {},
        )
        first = execution.first_run or sdk.is_first_delivery(ctx)
        try:
            async with runtime.tries.of(ctx.info.id, id, epoch, first=first) as died:
                with running(execution):
                    if died is not None:
                        execution.stopped_by(died, None, None)
                        raise await _stop(workflow.name, ctx, execution)
                    if start is not None and start.is_undoing:
                        return await _undo(ctx, execution, start, lifecycle, effects)
                    if epoch > 1 or not (execution.first_run and sdk.is_first_delivery(ctx)):
                        execution.taken_back = await taken_back_before(runtime, id, execution.again)
                    ctx.over.judge = execution.judge
                    return await _live(workflow, ctx, execution, lifecycle, effects, (args, kwargs))
        finally:
            lifecycle.left(ctx.info.id)

    body.__name__ = workflow.name
    body.__signature__ = workflow.function.signature  # type: ignore[attr-defined]
    return body


def body_of_unknown(name: str, runtime: Runtime, lifecycle: Lifecycle, known: Iterable[str]) -> Any:
    """What the engine runs for a workflow, or for a part of one, that this version does not have (P8, P9).

    The workflow stops: nothing else would say why it does not go on. The next version that has it goes on by itself. If
    it is a part, this version does so once, too: its body may do without. Of what is over, nothing is left.
    """

    async def body(given: Context, *_args: Any, **_kwargs: Any) -> None:
        ctx = WorkflowContext(given, threads=runtime.executor)
        if identity.epoch_of(runtime.app, ctx.info.id.partition(":")[0]) is None:
            raise sdk.release(f"function not found: {name}")  # another app's, or no workflow of ours at all
        _, id, epoch, lineage = identity.parse_engine_id(ctx.info.id)
        await lifecycle.cleared()
        start = await _find(runtime, id)
        if start is None or (start.state, start.epoch, start.is_stopped) != ("open", epoch, False):
            return _pass_over(runtime, lifecycle, ctx.info.id, (id, epoch))
        sdk.never_retried(ctx)
        first = lifecycle.entered(ctx.info.id)
        execution = Execution(
            runtime, id, epoch, is_part=bool(lineage), first_run=first, declared=Declared(), over=ctx.over, again={}
        )
        what = "which runs a part of this one" if lineage else "and this is one"
        execution.stopped_by(
            UnknownWorkflow(
                f"app {runtime.app!r} has no workflow {name!r}, {what}; it has: {', '.join(known) or 'none'}. Deploy "
                "a version that has it, or keep the old name with @workflow(name=...)"
            ),
            None,
            None,
        )
        without = runtime.version + WITHOUT_A_PART
        is_first = bool(lineage) and without not in (start.stopped_in or "").split()
        try:
            raise await _stop(start.workflow, ctx, execution, version=without if is_first else runtime.version)
        finally:
            lifecycle.left(ctx.info.id)

    body.__name__ = name
    return body


async def _live(
    workflow: Workflow[..., Any],
    ctx: WorkflowContext,
    execution: Execution,
    lifecycle: Lifecycle,
    effects: dict[str, Effect[..., Any]],
    given: tuple[tuple[Any, ...], dict[str, Any]],
) -> Any:
    """Run the body, and store what it comes to: a result, a failure that is declared, or a stop."""
    runtime, id, (args, kwargs) = execution.runtime, execution.workflow_id, given
    failure: Exception | None = None
    result, text = None, ""
    try:
        result = await workflow.function.fn(ctx, *args, **kwargs)
        # Siblings may still run, or wait elsewhere: then the engine suspends this epoch, and it has not ended. A branch
        # that nobody awaits goes on behind its step in flight.
        await ctx.over.until_alone()
        await ctx.flush_local_work()
        if execution.defect is None and sdk.waits_for_others(ctx):
            return result
        if execution.defect is None:
            execution.refuse_behind_undo()
            text = _text_of(result, ctx, id, workflow.function)
    except Suspended:
        if execution.defect is None:
            await withdraw_uncalled(execution)
            raise
    except BaseException as error:  # noqa: BLE001 - what is no Exception must not end the worker
        failure = _failure(workflow, execution, error)
    at = workflow.function.raised_at(failure) if failure is not None else None
    if failure is not None:
        # What a branch would begin now would be done behind the failure, and perhaps behind the undo.
        ctx.over.end(ctx.info.id)
        await _join_siblings(ctx)
    if execution.defect is not None:
        raise await _stop(workflow.name, ctx, execution)
    await withdraw_uncalled(execution)
    if failure is None:
        if not execution.is_part:
            finish = Finish(id=id, epoch=execution.epoch, state="succeeded", result=runtime.seal(text))
            await lifecycle.finished(ctx.info.id, finish, None)
        return result
    # What has certainly not happened is not waited for: it no longer happens.
    sdk.leave(ctx, execution.idle)
    # A part undoes nothing: its workflow may go on without it, and if not, undoes the whole.
    if sdk.waits_for_others(ctx) or execution.is_part:
        raise failure
    # What is gone from a record that was restored is nobody's failure.
    await runtime.release_if_held(id)
    undone = await undo_all(ctx, execution, effects)
    if execution.defect is not None:
        raise await _stop(workflow.name, ctx, execution, codec.encode(_error(failure, at), "an error"))
    finish = _failed(execution, workflow.name, failure, at, undone.left)
    await close_undone(execution, undone.done, finish)
    await lifecycle.finished(ctx.info.id, finish, failure)
    raise failure


def _failure(workflow: Workflow[..., Any], execution: Execution, error: BaseException) -> Exception | None:
    """The failure that a body ends in; ``None`` if it is a defect, which is noted. Else raises what is no outcome."""
    task = asyncio.current_task()
    if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
        raise error
    if execution.defect is not None:
        return None
    # What a body makes of a step that is to wait, or to be given back, is no outcome: a group, or an error of its own.
    if execution.over.released is not None:
        raise execution.over.released
    if execution.over.is_quiet:
        raise Suspended
    if isinstance(error, (PlatformError, Suspended)):
        raise error
    if isinstance(error, Exception) and execution.declared.fails_on(error):
        return error
    execution.stopped_by(error, workflow.function.raised_at(error), None)
    return None


async def _join_siblings(ctx: WorkflowContext) -> None:
    """Let what runs beside come to its end: it stores its outcome. A defect of it is noted in the execution."""
    with contextlib.suppress(PlatformError):
        await ctx.flush_local_work()


async def _stop(
    name: str, ctx: WorkflowContext, execution: Execution, failure: str | None = None, version: str | None = None
) -> BaseException:
    """Store that a defect has stopped the workflow, and return what gives its task back (P9).

    The stop undoes nothing; that an undo had begun before is noted. The epochs so far begin no further step; the next
    one waits for a fix. ``failure``: the workflow was failing with this, and an undo has stopped it: the next epoch
    undoes the rest, whatever the body would do. ``version``: which one does not try it again by itself.
    """
    runtime, id, defect = execution.runtime, execution.workflow_id, execution.defect
    assert defect is not None
    await _join_siblings(ctx)
    await withdraw_uncalled(execution)
    await runtime.release_if_held(id)
    stop: dict[str, Any] = {"type": class_name(defect.error), "message": safe_text(defect.error)}
    stop |= {"at": defect.at, "step": defect.step}
    if (key := getattr(defect.error, "key", None)) is not None:
        stop["key"] = storable_text(str(key))
    tried = False

    async def store() -> Start | None:
        nonlocal tried
        is_again, tried = tried, True
        async with runtime.record.transaction() as tx:
            await tx.lock_start(id)  # a step that another process is storing is stored before it, or not at all
            stop["undoing"] = bool(await tx.undoings_of(id))
            text = codec.encode(stop, "a stop")
            in_version = version or runtime.version
            stopped = await tx.stop(id, execution.epoch, stop=text, version=in_version, failure=failure)
            if stopped is not None:
                await tx.unpark(id)
                await tx.saw_findings([stop_of(stopped)], f"stop {stopped.epoch}")
            elif is_again:  # the reply to COMMIT was lost, perhaps: it is told twice rather than not at all
                seen = await tx.find_start(id)
                return seen if seen is not None and seen.is_stopped and seen.stop == text else None
            return stopped

    if await runtime.patiently(f"stop of {id!r}", store) is not None:
        log_place(f"workflow {id!r} is stopped by a defect", defect.error)
        said = describe(defect.error), defect.at, defect.step
        runtime.observe(Stopped(id, name, *said, runtime.version, undoing=stop["undoing"]))
    runtime.over.add((id, execution.epoch))
    return sdk.stopped(defect.error)


async def _undo(
    ctx: WorkflowContext, execution: Execution, start: Start, lifecycle: Lifecycle, effects: dict[str, Effect[..., Any]]
) -> None:
    """The epoch of a workflow that is being cancelled: it takes back what was done, and nothing else."""
    undone = await undo_all(ctx, execution, effects)
    if execution.defect is not None:
        raise await _stop(start.workflow, ctx, execution)
    finish = _cancelled(start, undone.left)
    await close_undone(execution, undone.done, finish)
    await lifecycle.finished(ctx.info.id, finish, None)


async def _find(runtime: Runtime, id: str) -> Start | None:
    async def find() -> Start | None:
        async with runtime.record.session() as session:
            return await session.find_start(id)

    return await runtime.patiently(f"start of {id!r}", find)


def _pass_over(runtime: Runtime, lifecycle: Lifecycle, engine_id: str, over: tuple[str, int]) -> None:
    """Run nothing of an epoch that is over. It may have been counted as running from when it was handed over."""
    runtime.over.discard(over)
    runtime.observe(StaleEpoch(engine_id))
    lifecycle.left(engine_id)


def _is_stale(start: Start | None, epoch: int, *, is_part: bool, restored: bool) -> bool:
    """Whether an epoch is over: an operator has ended it, or it is left over from before a restore of either."""
    if start is not None and start.min_epoch is not None and epoch < start.min_epoch:
        return True
    if not restored:
        return False
    if start is None or start.epoch != epoch or start.engine is None:
        return True
    return start.state != "open" and not is_part


def _cancelled(start: Start, left: list[str]) -> Finish:
    """The end of a workflow that only undoes: cancelled, or failed, if it was that or something was not undone."""
    error = codec.decode(start.error or "{}")
    if not left:
        state: Literal["cancelled", "failed"] = "cancelled" if error.get("type") == "Cancelled" else "failed"
        return Finish(id=start.id, epoch=start.epoch, state=state, error=start.error)
    message = f"{error.get('message', '').partition('; NOT UNDONE: ')[0]}; NOT UNDONE: {', '.join(left)}"
    failure = codec.encode(error | {"message": message}, "an error")
    return Finish(id=start.id, epoch=start.epoch, state="failed", error=failure)


def _error(error: Exception, at: str | None) -> dict[str, Any]:
    return {"type": type(error).__qualname__, "message": safe_text(error), "at": at}


def _failed(execution: Execution, name: str, error: Exception, at: str | None, left: list[str]) -> Finish:
    """The end of an epoch in failure; what could not be undone is said, since somebody must see to it."""
    execution.runtime.observe(Failed(execution.workflow_id, name, describe(error), at))
    said = _error(error, at)
    if left:
        said["message"] += f"; NOT UNDONE: {', '.join(left)}"
    failure = codec.encode(said | {"message": codec.told(said["message"])}, "an error")
    return Finish(id=execution.workflow_id, epoch=execution.epoch, state="failed", error=failure)


def _text_of(result: Any, ctx: WorkflowContext, id: str, function: Function) -> str:
    """A result as it is stored, once it is sure that a caller can read it."""
    # A step that nobody awaits runs all the same; that it failed must not end in a success.
    for name, error in ctx.unheard():
        raise Misuse(
            f"workflow {id!r} calls {name} and never awaits it, and it failed: {describe(error)}; "
            "await it, and catch there what may fail"
        ) from error
    return function.result(result)[0]
