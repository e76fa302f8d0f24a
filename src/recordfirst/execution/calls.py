"""Calls of steps: ``step(ctx, ...)`` of a body is bound here, judged, and given to the runner of its kind."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from contextvars import ContextVar
from typing import Any, cast

from resonate.context import Context

from recordfirst.engine.sdk import steps as sdk
from recordfirst.engine.sdk.context import Leaf
from recordfirst.execution import effect_runner, projection_runner, read_runner, write_runner
from recordfirst.execution.execution import Execution
from recordfirst.process import places
from recordfirst.steps.arguments import Arguments
from recordfirst.steps.effect import Effect
from recordfirst.steps.projection import ProjectStep
from recordfirst.steps.read import ReadStep
from recordfirst.steps.step import Step, caller
from recordfirst.steps.write import WriteStep

type Runner = Callable[[Any, Execution, Context, Arguments], Coroutine[Any, Any, Any]]

_RUNNERS: dict[type[Step[..., Any]], Runner] = {
    WriteStep: write_runner.run,
    Effect: effect_runner.run,
    ReadStep: read_runner.run,
    ProjectStep: projection_runner.run,
}

_step: ContextVar[str | None] = ContextVar("recordfirst_step", default=None)


class Calls:
    """The steps that one run of a body calls."""

    def __init__(self, execution: Execution) -> None:
        self.execution = execution

    def call[R](
        self, step: Step[..., R], ctx: Context, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Awaitable[R]:
        try:
            bound = _Bound(step, self.execution, step.function.freeze(args, kwargs))
        except Exception as error:
            stop = self.execution.judge(error, step.name)
            if stop is None:
                raise
            raise stop from error
        future: Awaitable[R] = ctx.run(bound)
        return future


def run_bound[R](step: Step[..., R], execution: Execution, ctx: Context, arguments: Arguments) -> Awaitable[R]:
    """Run a step with arguments that are bound."""
    future: Awaitable[R] = ctx.run(_Bound(step, execution, arguments))
    return future


def go_on[R](effect: Effect[..., R], execution: Execution, ctx: Context) -> Awaitable[R]:
    """Run an effect by its receipt alone (:meth:`Effect.settling`): its arguments are there."""
    return run_bound(effect, execution, ctx, Arguments({}, "{}", "{}"))


class _Bound[R](Leaf):
    """One call of a step as the SDK takes it. Its arguments are bound, so the SDK does not bind them twice again."""

    def __init__(self, step: Step[..., R], execution: Execution, arguments: Arguments) -> None:
        self._step, self._execution, self._arguments = step, execution, arguments
        self._run = next(_RUNNERS[kind] for kind in type(step).__mro__ if kind in _RUNNERS)
        self.__name__, self.__signature__ = step.__name__, step.bound_signature
        self.identity = step.identity(execution.workflow_id, arguments)

    async def __call__(self, ctx: Context, /) -> R:
        sdk.never_retried(ctx)
        place = places.here()
        if place is not None:
            await place.begin_step()
        _step.set(self._step.name)
        self._execution.steps.append(self._step.name)
        try:
            return cast("R", await self._run(self._step, self._execution, ctx, self._arguments))
        except Exception as error:
            self._step.function.raised_at(error)
            stop = self._execution.judge(error, self._step.name)
            if stop is None:
                raise
            # The engine stores no outcome of it: it runs again when the workflow goes on.
            raise stop from error
        finally:
            self._execution.steps.remove(self._step.name)
            if place is not None:
                place.end_step()


def current() -> Execution | None:
    """The run of a workflow's body that this code belongs to."""
    calls = caller.get()
    return calls.execution if isinstance(calls, Calls) else None


def execution_of(task: asyncio.Task[Any]) -> tuple[str | None, str | None]:
    """The workflow whose code a task runs, and the step. May be asked from any thread."""
    context = task.get_context()
    calls = context.get(caller)
    return (calls.execution.workflow_id, context.get(_step)) if isinstance(calls, Calls) else (None, None)


@contextlib.contextmanager
def running(execution: Execution) -> Iterator[None]:
    """Make ``execution`` current, and one of those that run here."""
    token = caller.set(Calls(execution))
    execution.runtime.executions.add(execution)
    try:
        yield
    finally:
        execution.runtime.executions.discard(execution)
        caller.reset(token)
