"""A workflow: plain Resonate, whose steps are writes, effects and reads; and what runs it for an app."""

from __future__ import annotations

import dis
import inspect
import types
from collections.abc import Awaitable, Callable, Iterator
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, Concatenate, Protocol, cast, overload

from resonate.context import Context

from recordfirst.errors import Misuse, SharedKey
from recordfirst.steps.declared import Declared, Fails, check_fails, package_of
from recordfirst.steps.function import Function, contained
from recordfirst.steps.step import Step

if TYPE_CHECKING:
    from recordfirst.steps.effect import Effect


class Workflow[**P, R]:
    """A ``@workflow``; see :func:`workflow`."""

    def __init__(
        self, function: Function, steps: tuple[Step[..., Any], ...], fails: tuple[type[Exception], ...] = ()
    ) -> None:
        function.refuse_unstorable_defaults()
        self.function = function
        self.fails = fails
        self.name = function.name
        self.__name__ = function.name
        self.__doc__ = function.fn.__doc__
        self.__module__ = function.fn.__module__
        self.__signature__ = function.signature
        self._named_steps = steps
        self._steps: list[Step[..., Any]] | None = None
        inspect.markcoroutinefunction(self)  # for ctx.run(workflow, ...), which runs what is sync in a thread

    def __repr__(self) -> str:
        return f"<workflow {self.name}>"

    def __call__(self, ctx: Context, /, *args: P.args, **kwargs: P.kwargs) -> Awaitable[R]:
        """Run the body as part of another workflow, with its context."""
        return contained(repr(self), self.function.fn(ctx, *args, **kwargs))

    def steps(self) -> list[Step[..., Any]]:
        """The steps that the body names, directly or through functions of its package, and those in ``steps=``."""
        if self._steps is None:
            named = [step for step in _named_in(self.function.fn, set()) if isinstance(step, Step)]
            self._steps = list(dict.fromkeys([*self._named_steps, *named]))
        return self._steps

    @cached_property
    def declared(self) -> Declared:
        """What its author has declared to be business (P9)."""
        steps = self.steps()
        parts = [part for part in _named_in(self.function.fn, set()) if isinstance(part, Workflow)]
        fails = [*self.fails, *(each for step in steps for each in step.fails)]
        fails += [each for part in parts for each in part.fails]
        functions = [self.function, *(function for step in steps for function in step.functions())]
        return Declared(fails, {package_of(function.fn) for function in functions} - {"recordfirst"})

    def functions(self) -> list[Callable[..., Any]]:
        """The functions that its code is made of: its body, its steps', and those of their packages that these name."""
        visited: set[Any] = set()
        for fn in [self.function.fn, *(each.fn for step in self.steps() for each in step.functions())]:
            list(_named_in(fn, visited))
        return list(visited)

    def check_keys(self, seen: dict[str, Step[..., Any]]) -> None:
        """Raise ``SharedKey`` if two of the app's effects declare the same key template (P8)."""
        for step in self.steps():
            template = getattr(step, "template", None)
            if template is None:
                continue
            first = seen.setdefault(template.text, step)
            if first.function.fn is not step.function.fn:
                raise SharedKey(template.text, first.function.place, step.function.place)

    def check_undos(self) -> None:
        """Raise ``SharedKey`` if two effects are undone under one key, so that one of them would not be (P3).

        That is sure where the key of their undo is made of nothing but what both their own keys are made of. Where it
        is not, it is seen when it is undone.
        """
        by_undo: dict[object, list[Effect[..., Any]]] = {}
        for step in self.steps():
            undo = getattr(step, "undo", None)
            if undo is None:
                continue
            effect, fields = cast("Effect[..., Any]", step), undo.template.fields
            others = by_undo.setdefault(undo.function.fn, [])
            for other in others:
                if (
                    other.function.fn is not effect.function.fn
                    and fields <= effect.template.fields & other.template.fields
                ):
                    places = [f"the undo of {each.function.place}" for each in (other, effect)]
                    raise SharedKey(undo.template.text, *places)
            others.append(effect)


def _named_in(fn: Callable[..., Any], visited: set[Any]) -> Iterator[Step[..., Any] | Workflow[..., Any]]:
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
            yield value
            yield from _named_in(value.function.fn, visited)
        elif inspect.isfunction(value) and value.__module__.split(".")[0] == fn.__module__.split(".")[0]:
            yield from _named_in(value, visited)


@lru_cache(maxsize=4096)
def _names(code: types.CodeType, *operations: str) -> list[str]:
    """What code names by these operations, in itself and in the code inside of it. Each app asks for all its code."""
    names = dict.fromkeys(i.argval for i in dis.get_instructions(code) if i.opname in operations)
    for constant in code.co_consts:
        if inspect.iscode(constant):
            names |= dict.fromkeys(_names(constant, *operations))
    return list(names)


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
    fails: Fails = (),
) -> Workflow[P, R]: ...
@overload
def workflow(
    *, name: str | None = None, steps: tuple[Step[..., Any], ...] = (), fails: Fails = ()
) -> WorkflowDecorator: ...
def workflow(
    fn: Callable[..., Any] | None = None,
    /,
    *,
    name: str | None = None,
    steps: tuple[Step[..., Any], ...] = (),
    fails: Fails = (),
) -> Any:
    """Make an async function a workflow: plain Resonate, in which steps are called with its context.

    Its body runs again from the top after every wait and every crash, with each step answering what it answered; so
    whatever is not a step must come out the same each time. Arguments and result must be JSON. Await every step: one
    that nobody awaits runs all the same, and fails the workflow if it fails.

    Args:
        fn: the function, when used without parentheses.
        name: the name in starts. Default: the function's. Keep the old one here when you rename a function.
        steps: steps that the body does not name (it takes them from a dictionary, say), for the checks at start-up.
        fails: exceptions on which this workflow ends in failure, and undoes: outcomes of your business, such as
            ``fails=OutOfStock`` or ``fails=(OutOfStock, Blocked)``. ``Declined`` always is one, and so is what its
            steps name. Any other exception is a defect: it stops the workflow, which stays open, undoes nothing, and
            goes on when the defect is fixed (P9).

    Raises:
        Misuse: if the function is not async, its signature cannot be a workflow's, ``steps=`` names what is no step, or
            ``fails=`` names what is no outcome of a business.
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
        given: tuple[object, ...] = steps
        others = [repr(each) for each in given if not isinstance(each, Step)]
        if others:
            raise Misuse(f"@workflow {function.place}: steps= names {', '.join(others)}, which is no step")
        return Workflow(function, steps, check_fails(fails, f"@workflow {function.place}"))

    return cast("Any", decorate(fn) if fn is not None else decorate)
