"""What writes, effects and reads share: a step is declared here, and called with the workflow's context.

It does not know what runs it: see ``execution/calls.py``.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Mapping
from contextvars import ContextVar
from typing import Any, Protocol

from resonate.context import Context

from recordfirst.errors import Misuse
from recordfirst.steps.arguments import Arguments
from recordfirst.steps.function import Function


class Caller(Protocol):
    """One run of a workflow's body, as the steps that it calls see it."""

    def call[R](
        self, step: Step[..., R], ctx: Context, args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> Awaitable[R]:
        """Run a step. It is on its way when this returns."""


caller: ContextVar[Caller | None] = ContextVar("recordfirst_caller", default=None)
"""The run that this code belongs to, if it is a workflow's body or one of its steps."""


class Step[**P, R]:
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
        self.bound_signature = inspect.Signature([context], return_annotation=function.returns)

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
        run = caller.get()
        if run is None:
            raise Misuse(f"{self.name} was called outside a workflow; call it from a @workflow that an App runs")
        return run.call(self, ctx, args, kwargs)

    def identity(self, workflow_id: str, arguments: Arguments) -> str:
        """All that makes a call of this step, in that workflow, the one that it is."""
        del workflow_id
        return f"{self.__name__} {arguments.asked}"

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


type FollowUp = tuple[Function, str | None]
"""A function that follows an effect, and the name of its parameter for what came of the call."""


def follow_up(owner: Function, fn: Any, kind: str, given: FollowUp | None = None) -> FollowUp:
    """Take apart a function that follows an effect (``on_success``, ``on_decline``, ``undo``).

    It takes the effect's parameters by name, as many of them as it likes, and at most one more: what came out.
    Returns the name of that one.

    Raises:
        Misuse: if it takes more, or another function is ``given`` already, which nobody would call then.
    """
    function = fn if isinstance(fn, Function) else Function(fn, kind=kind)
    if given is not None and given[0].fn is not function.fn:
        raise Misuse(f"@{kind} {function.place}: {owner.name} has {given[0].place}; put both into one function")
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
