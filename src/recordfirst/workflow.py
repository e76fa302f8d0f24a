"""A workflow: plain Resonate, whose steps are writes, effects and reads; and what runs it for an app."""

from __future__ import annotations

import dis
import inspect
import types
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any, Concatenate, Protocol, cast, overload

from resonate.context import Context
from resonate.error import Suspended

from recordfirst.core import codec, identity
from recordfirst.core.start import Finish, Start
from recordfirst.engine import leaf
from recordfirst.engine.context import WorkflowContext, unhidden
from recordfirst.errors import Misuse, SharedKey
from recordfirst.function import Function
from recordfirst.observe import Failed, StaleLife
from recordfirst.providers.contract import describe
from recordfirst.runtime import Execution, Runtime, running
from recordfirst.step import Step
from recordfirst.undo import close_undone, undo_all, withdraw_uncalled

if TYPE_CHECKING:
    from recordfirst.effect import Effect


class Workflow[**P, R]:
    """A ``@workflow``; see :func:`workflow`."""

    def __init__(self, function: Function, steps: tuple[Step[..., Any], ...]) -> None:
        self.function = function
        self.name = function.name
        self.__name__ = function.name
        self.__doc__ = function.fn.__doc__
        self.__module__ = function.fn.__module__
        self.__signature__ = function.signature
        self._named_steps = steps
        self._steps: list[Step[..., Any]] | None = None

    def __repr__(self) -> str:
        return f"<workflow {self.name}>"

    def __call__(self, ctx: Context, /, *args: P.args, **kwargs: P.kwargs) -> Awaitable[R]:
        """Run the body as part of another workflow, with its context."""
        body: Awaitable[R] = self.function.fn(ctx, *args, **kwargs)
        return body

    def steps(self) -> list[Step[..., Any]]:
        """The steps that the body names, directly or through functions of its package, and those in ``steps=``."""
        if self._steps is None:
            self._steps = list(dict.fromkeys([*self._named_steps, *_named_in(self.function.fn, set())]))
        return self._steps

    def check_keys(self, seen: dict[str, Step[..., Any]]) -> None:
        """Raise ``SharedKey`` if two of the app's effects declare the same key template (P8, trap 7)."""
        for step in self.steps():
            template = getattr(step, "template", None)
            if template is None:
                continue
            first = seen.setdefault(template.text, step)
            if first.function.fn is not step.function.fn:
                raise SharedKey(template.text, first.function.place, step.function.place)


def _named_in(fn: Callable[..., Any], visited: set[Any]) -> Iterator[Step[..., Any]]:
    """Walk what a function's code names: steps, and plain functions of its own package, and so on through them.

    It reads names, not data flow: a step that is reached through a dictionary, say, goes into ``steps=``.
    """
    if fn in visited:
        return
    visited.add(fn)
    code = fn.__code__
    variables = inspect.getclosurevars(fn)
    named: list[Any] = [*variables.globals.values(), *variables.nonlocals.values()]
    # What a generator or a function inside of it names, too: steps that run side by side are often called there.
    named += [fn.__globals__[name] for name in _names(code, "LOAD_GLOBAL") if name in fn.__globals__]
    attributes = _names(code, "LOAD_ATTR", "LOAD_METHOD")
    named += [
        getattr(module, name)
        for module in named
        if inspect.ismodule(module)
        for name in attributes
        if hasattr(module, name)
    ]
    for value in named:
        if isinstance(value, Step):
            yield value
        elif isinstance(value, Workflow):
            yield from _named_in(value.function.fn, visited)
        elif inspect.isfunction(value) and value.__module__.split(".")[0] == fn.__module__.split(".")[0]:
            yield from _named_in(value, visited)


def _names(code: types.CodeType, *operations: str) -> list[str]:
    """What code names by these operations, in itself and in the code inside of it."""
    names = dict.fromkeys(i.argval for i in dis.get_instructions(code) if i.opname in operations)
    for constant in code.co_consts:
        if inspect.iscode(constant):
            names |= dict.fromkeys(_names(constant, *operations))
    return list(names)


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
    workflow: Workflow[..., Any], runtime: Runtime, life: Lifecycle, effects: dict[str, Effect[..., Any]]
) -> Any:
    """The function that the engine runs for a workflow: its body, and what must be done at its end."""

    async def body(given: Context, *args: Any, **kwargs: Any) -> Any:
        ctx = WorkflowContext(given)
        # What a workflow runs by ctx.rpc is a part of it, elsewhere: its receipts are the workflow's, and its end is
        # told by the engine alone.
        _, id, epoch, lineage = identity.parse_engine_id(ctx.info.id)
        await life.cleared()
        ending, barred = None, (id, epoch) in runtime.over
        if barred or epoch > 1 or runtime.restores:
            # Only these can be over, or be the one that undoes; another is told so at its next step.
            start = await _find(runtime, id)
            has_ended = barred and start is not None and start.state != "open"
            if has_ended or _is_stale(start, epoch, is_part=bool(lineage), restored=runtime.restores > 0):
                return _pass_over(runtime, life, ctx.info.id, (id, epoch))
            ending = start if start is not None and start.is_being_cancelled else None
        # A body that fails is not run again by the SDK, not even one that had no step yet: its end is in the record.
        leaf.never_retried(ctx)
        first_run = life.entered(ctx.info.id)
        execution = Execution(runtime, id, epoch, is_part=bool(lineage), first_run=first_run)
        try:
            with running(execution):
                if ending is not None:
                    return await _undo(ctx, execution, ending, life, effects)
                return await _live(ctx, execution, epoch, args, kwargs)
        finally:
            life.left(ctx.info.id)

    async def _live(
        ctx: WorkflowContext, execution: Execution, epoch: int, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        id, is_whole = execution.workflow_id, not execution.is_part
        try:
            result = await unhidden(ctx, _awaiting(workflow.function.fn(ctx, *args, **kwargs)))
            # Siblings may still run, or wait elsewhere: then the engine suspends this life, and it has not ended.
            await ctx.flush_local_work()
            if leaf.waits_for_others(ctx):
                return result
            text = _text_of(result, ctx, id, workflow.function)
            await withdraw_uncalled(execution)
        except Suspended:
            await withdraw_uncalled(execution)
            raise
        except Exception as error:
            at = workflow.function.raised_at(error)
            await ctx.flush_local_work()
            await withdraw_uncalled(execution)
            # A part undoes nothing: its workflow may go on without it, and if not, undoes the whole.
            if leaf.waits_for_others(ctx) or not is_whole:
                raise
            # What is gone from a record that was set back is nobody's failure.
            await execution.runtime.release_if_held(id)
            undone = await undo_all(ctx, execution, effects)
            finish = _failed(execution, workflow.name, error, at, undone.left)
            await close_undone(execution, undone.done, finish)
            await life.finished(ctx.info.id, finish, error)
            raise
        if is_whole:
            finish = Finish(id=id, epoch=epoch, state="succeeded", result=runtime.seal(text))
            await life.finished(ctx.info.id, finish, None)
        return result

    body.__name__ = workflow.name
    body.__signature__ = workflow.function.signature  # type: ignore[attr-defined]
    return body


async def _undo(
    ctx: WorkflowContext, execution: Execution, start: Start, life: Lifecycle, effects: dict[str, Effect[..., Any]]
) -> None:
    """The life of a workflow that is being cancelled: it takes back what was done, and nothing else."""
    undone = await undo_all(ctx, execution, effects)
    finish = _cancelled(start, undone.left)
    await close_undone(execution, undone.done, finish)
    await life.finished(ctx.info.id, finish, None)


async def _find(runtime: Runtime, id: str) -> Start | None:
    async def find() -> Start | None:
        async with runtime.record.session() as session:
            return await session.find_start(id)

    return await runtime.patiently(f"start of {id!r}", find)


def _pass_over(runtime: Runtime, life: Lifecycle, engine_id: str, over: tuple[str, int]) -> None:
    """Run nothing of a life that is over. It may have been counted as running from when it was handed over."""
    runtime.over.discard(over)
    runtime.observe(StaleLife(engine_id))
    life.left(engine_id)


def _is_stale(start: Start | None, epoch: int, *, is_part: bool, restored: bool) -> bool:
    """Whether a life is over: a person has ended it, or it is left over from before a restore of either."""
    if start is not None and start.lives_from is not None and epoch < start.lives_from:
        return True
    if not restored:
        return False
    if start is None or start.epoch != epoch or start.engine is None:
        return True
    return start.state != "open" and not is_part


async def _awaiting(body: Awaitable[Any]) -> Any:
    """A coroutine, whatever stands around the user's function."""
    return await body


def _cancelled(start: Start, left: list[str]) -> Finish:
    """The end of a workflow that was cancelled; as a failure, which can be retried, if something was not undone."""
    if not left:
        return Finish(id=start.id, epoch=start.epoch, state="cancelled", error=start.error)
    error = codec.decode(start.error or "{}")
    message = f"{error.get('message', '').partition('; NOT UNDONE: ')[0]}; NOT UNDONE: {', '.join(left)}"
    failure = codec.encode(error | {"message": message}, "an error")
    return Finish(id=start.id, epoch=start.epoch, state="failed", error=failure)


def _failed(execution: Execution, name: str, error: Exception, at: str | None, left: list[str]) -> Finish:
    """The end of a life in failure; what could not be undone is said, since somebody must see to it."""
    execution.runtime.observe(Failed(execution.workflow_id, name, describe(error), at))
    message = str(error) + (f"; NOT UNDONE: {', '.join(left)}" if left else "")
    failure = codec.encode({"type": type(error).__qualname__, "message": codec.told(message), "at": at}, "an error")
    return Finish(id=execution.workflow_id, epoch=execution.epoch, state="failed", error=failure)


def _text_of(result: Any, ctx: WorkflowContext, id: str, function: Function) -> str:
    """A result as it is stored, once it is sure that whoever asks for it can read it."""
    # A step that nobody awaits runs all the same; that it failed must not end in a success.
    for name, error in ctx.unheard():
        raise Misuse(
            f"workflow {id!r} calls {name} and never awaits it, and it failed: {describe(error)}; "
            "await it, and catch there what may fail"
        ) from error
    what = f"the result of {function!r}"
    text = codec.encode(result, what)
    codec.shape(codec.decode(text), function.returns, what)
    return text


class WorkflowDecorator(Protocol):
    """What ``workflow(...)`` gives: a decorator that keeps the function's parameters and result."""

    def __call__[**P, R](self, fn: Callable[Concatenate[Context, P], Awaitable[R]], /) -> Workflow[P, R]: ...


@overload
def workflow[**P, R](
    fn: Callable[Concatenate[Context, P], Awaitable[R]],
    /,
    *,
    name: str | None = None,
    steps: tuple[Step[..., Any], ...] = (),
) -> Workflow[P, R]: ...
@overload
def workflow(*, name: str | None = None, steps: tuple[Step[..., Any], ...] = ()) -> WorkflowDecorator: ...
def workflow(
    fn: Callable[..., Any] | None = None, /, *, name: str | None = None, steps: tuple[Step[..., Any], ...] = ()
) -> Any:
    """Make an async function a workflow: plain Resonate, in which steps are called with its context.

    Its body runs again from the top after every wait and every crash, with each step answering what it answered; so
    whatever is not a step must come out the same each time. Arguments and result must be JSON. Await every step: one
    that nobody awaits runs all the same, and fails the workflow if it fails.

    Args:
        fn: the function, when used without parentheses.
        name: the name in starts. Default: the function's. Keep the old one here when you rename a function.
        steps: steps that the body does not name (it takes them from a dictionary, say), for the checks at start-up.

    Raises:
        Misuse: if the function is not async, or its signature cannot be a workflow's.
    """

    def decorate(fn: Callable[..., Any]) -> Workflow[..., Any]:
        function = Function(fn, kind="workflow", name=name)
        if not function.is_async:
            raise Misuse(f"@workflow {function.place} must be `async def`: its steps are awaited")
        if function.injected:
            raise Misuse(
                f"@workflow {function.place} injects {', '.join(function.injected)}; only steps can, a body runs again"
            )
        function.refuse_unstorable_result()
        return Workflow(function, steps)

    return cast("Any", decorate(fn) if fn is not None else decorate)
