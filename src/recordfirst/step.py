"""What writes, effects and reads share: a step is called with the workflow's context, and is one engine id."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Mapping
from typing import Any

from resonate.context import Context

from recordfirst import places
from recordfirst.arguments import Arguments
from recordfirst.engine import leaf
from recordfirst.engine.context import Leaf, StepLike
from recordfirst.errors import Misuse
from recordfirst.function import Function
from recordfirst.runtime import Execution, current, step_begins


class Step[**P, R](StepLike):
    """A decorated function. ``step(ctx, ...)`` and ``ctx.run(step, ...)`` mean the same.

    Every call takes exactly one id of the workflow, at the moment of the call, whatever the step then does inside; so
    steps may run side by side under ``asyncio.gather``. The id names what is called, and no position.
    """

    function: Function
    fails: tuple[type[Exception], ...] = ()
    """Exceptions of it that are outcomes of the business (P9)."""
    __name__: str
    __signature__: inspect.Signature

    def __init__(self, function: Function) -> None:
        function.refuse_unstorable_defaults()
        self.function = function
        self.name = function.name
        self.__doc__ = function.fn.__doc__
        self.__module__ = function.fn.__module__
        # The SDK names the child context after this; a space keeps it apart from every function's own name.
        self.__name__ = f"{function.kind} {function.name}"
        self.__signature__ = function.signature
        context = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_ONLY)
        self._bound_signature = inspect.Signature([context], return_annotation=function.returns)

    def __repr__(self) -> str:
        return f"<{self.__name__}>"

    def __call__(self, ctx: Context, /, *args: P.args, **kwargs: P.kwargs) -> Awaitable[R]:
        """Run this step in a workflow. Returns an awaitable at once; the step is on its way already.

        Its arguments are bound here: what is done to them afterwards, it does not see (P12).

        Raises:
            BadArguments: if the arguments do not fit, in number or in type, or would not come back as they are.
            Misuse: if called outside a ``@workflow`` that an app runs.
        """
        if not isinstance(ctx, Context):
            raise Misuse(f"call {self.name} with the workflow's context first: {self.name}(ctx, ...), not {ctx!r}")
        execution = current()
        if execution is None:
            raise Misuse(f"{self.name} was called outside a workflow; call it from a @workflow that an App runs")
        try:
            bound = _Bound(self, execution, self.function.freeze(args, kwargs))
        except Exception as error:
            stop = execution.judge(error, self.name)
            if stop is None:
                raise
            raise stop from error
        future: Awaitable[R] = ctx.run(bound)
        return future

    def called(self, ctx: Context, execution: Execution, arguments: Arguments) -> Awaitable[R]:
        """Run this step with arguments that are bound."""
        future: Awaitable[R] = ctx.run(_Bound(self, execution, arguments))
        return future

    def identity(self, execution: Execution, arguments: Arguments) -> str:
        """All that makes a call of this step the one that it is."""
        del execution
        return f"{self.__name__} {arguments.asked}"

    async def _run(self, execution: Execution, ctx: Context, arguments: Arguments) -> R:
        raise NotImplementedError

    @property
    def told(self) -> str:
        """What its decorator was told, for the version of the app's code."""
        template, after, undo = (getattr(self, name, None) for name in ("template", "after", "undo"))
        steps = [step.name if step is not None else "" for step in (after, undo)]
        key = template.text if template is not None else ""
        return f"{self.__name__} {key} {steps} {[each.__qualname__ for each in self.fails]}"

    def functions(self) -> list[Function]:
        """Every function of the user's that this step may run, for the check of what they need injected."""
        return [self.function]


class _Bound[R](Leaf):
    """One call of a step as the SDK takes it. Its arguments are bound, so the SDK does not bind them twice again."""

    def __init__(self, step: Step[..., R], execution: Execution, arguments: Arguments) -> None:
        self._step, self._execution, self._arguments = step, execution, arguments
        self.__name__, self.__signature__ = step.__name__, step._bound_signature  # noqa: SLF001 - of this module
        self.identity = step.identity(execution, arguments)

    async def __call__(self, ctx: Context, /) -> R:
        leaf.never_retried(ctx)
        place = places.here()
        if place is not None:
            await place.begin_step()
        step_begins(self._step.name)
        self._execution.steps.append(self._step.name)
        try:
            return await self._step._run(self._execution, ctx, self._arguments)  # noqa: SLF001
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


def follow_up(owner: Function, fn: Any, kind: str) -> tuple[Function, str | None]:
    """Take apart a function that follows an effect (``on_success``, ``on_decline``, ``undo``).

    It takes the effect's parameters by name, as many of them as it likes, and at most one more: what came out.
    Returns the name of that one.
    """
    function = fn if isinstance(fn, Function) else Function(fn, kind=kind)
    extra = [name for name in function.parameters if name not in owner.parameters]
    if len(extra) > 1:
        raise Misuse(
            f"@{function.kind} {function.place} takes {', '.join(extra)}; besides {owner.name}'s own parameters "
            f"({', '.join(owner.parameters)}) there is only one thing to take: what came of the call"
        )
    return function, extra[0] if extra else None


def follow_up_arguments(
    function: Function, extra: str | None, arguments: Mapping[str, Any], outcome: Any
) -> dict[str, Any]:
    """The arguments for a function that :func:`follow_up` took apart."""
    chosen = {name: value for name, value in arguments.items() if name in function.parameters}
    if extra is not None:
        chosen[extra] = outcome
    return chosen
