"""The context that a workflow's body gets: the SDK's, with ids that name what is called, and with far deadlines.

Kept: a promise that the engine holds answers the call it was made for and no other, whatever was inserted, removed or
reordered in the body meanwhile. A body that was told to suspend, or whose task is given back, starts nothing more in
that run: no step in a ``finally``, no step behind an ``except BaseException`` or a ``gather(return_exceptions=True)``
(``over.py``). Nor does a branch of a body that has failed.
A call that nobody awaits runs, too, and what it fails with is not lost. A plain function holds no place while it runs,
and a sync one runs in a thread: the SDK would run it on the event loop, where it stops everything else.
Lost: of two calls that are the same in all respects the first in call order is the first: they have the same answer.

Private parts of the SDK are used here, in ``steps.py`` and in ``sender.py`` only;
``tests/engine/test_context.py`` holds them.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import inspect
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Executor
from datetime import timedelta
from typing import Any, Concatenate, NoReturn, cast

from resonate.context import Context, ResonateFuture
from resonate.error import ApplicationError, PlatformError, Suspended
from resonate.ids import join_id

from recordfirst.core import codec, identity, values
from recordfirst.engine.codec import original
from recordfirst.engine.sdk import steps as sdk
from recordfirst.engine.sdk.over import Hosts, Over
from recordfirst.errors import BadArguments, Misuse, Unencodable, UnknownWorkflow
from recordfirst.process import places
from recordfirst.steps.function import Function, contained
from recordfirst.steps.step import Step
from recordfirst.steps.workflow import Workflow

type _Method[**P, R] = Callable[Concatenate[WorkflowContext, P], R]


class Leaf:
    """One call of a step, as the SDK runs it."""

    identity: str
    """All that makes this call the one that it is: the step, its key, its arguments."""


class _Plain:
    """A plain function of the user's, as the SDK runs it: whatever it raises, it ends no worker (P7).

    A sync one does not stop the event loop. What it calls on its context is called on the loop, in the order in which
    it calls it.
    """

    def __init__(self, fn: Callable[..., Any], threads: Executor | None) -> None:
        self._fn, self._threads = fn, threads
        self.__name__ = _name_of(fn)
        self.__signature__ = inspect.signature(fn)
        self.__globals__ = getattr(fn, "__globals__", {})  # where the SDK looks up what annotations name

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return await contained(f"function {self.__name__}", self._called(*args, **kwargs))

    async def _called(self, *args: Any, **kwargs: Any) -> Any:
        if _is_async(self._fn):
            return await self._fn(*args, **kwargs)
        run = functools.partial(contextvars.copy_context().run, self._fn, *args, **kwargs)
        result = await asyncio.get_running_loop().run_in_executor(self._threads, run)
        return await result if inspect.isawaitable(result) else result


def _is_async(fn: Any) -> bool:
    inner = inspect.unwrap(fn)
    return inspect.iscoroutinefunction(inner) or inspect.iscoroutinefunction(getattr(inner, "__call__", None))  # noqa: B004


def _on_loop[**P, R](method: _Method[P, R]) -> _Method[P, R]:
    """Run a method on the event loop, also when a function in a thread calls it."""

    @functools.wraps(method)
    def called(self: WorkflowContext, /, *args: P.args, **kwargs: P.kwargs) -> R:
        if asyncio._get_running_loop() is not None:
            return method(self, *args, **kwargs)

        async def there() -> R:
            return method(self, *args, **kwargs)

        return asyncio.run_coroutine_threadsafe(there(), self._loop).result()

    return called


class WorkflowContext(Context):
    """See the module."""

    def __init__(
        self, ctx: Context, over: Over | None = None, threads: Executor | None = None, hosts: Hosts = ()
    ) -> None:
        """``threads``: where sync functions run; ``None``: in the event loop's own."""
        super().__init__(ctx._state, ctx.opts)
        self._over: Over = Over() if over is None else over
        self._hosts = hosts
        self._loop, self._threads = asyncio.get_running_loop(), threads
        self._calls: Counter[str] = Counter()
        self._next: str | None = None
        self.covered: Callable[[str], str] = lambda what: what
        """What stands in the engine's ids for all that a call is: something that does not tell its arguments."""
        self._unawaited: dict[asyncio.Task[Any], str] = {}
        """What was called here and nobody has asked for, by name."""

    @property
    def over(self) -> Over:
        """What this run of the body has come to."""
        return self._over

    # ── what it does otherwise ──────────────────────────────────────────────

    @_on_loop
    def run(self, fn: Any, *args: Any, **kwargs: Any) -> ResonateFuture[Any]:
        """Run a step, or a function of the user's, as a part of this workflow."""
        if isinstance(fn, Step):
            called: ResonateFuture[Any] = cast("Any", fn)(self, *args, **kwargs)  # it means the same as step(ctx, ...)
            return called
        sdk.never_retried(self)  # whatever is refused here: what calls durably is a workflow
        name = _name_of(fn)
        with self._judging(name):
            is_step = isinstance(fn, Leaf)
            if is_step and self.opts.timeout is not None:
                raise Misuse(
                    f"{name} is called with ctx.options(timeout=...): what becomes of a step is said by the record, "
                    "never by the engine's clock; an effect's call is limited by @effect(timeout_s=...)"
                )
            self._begin(name, fn.identity if isinstance(fn, Leaf) else f"run {name}")
            stays = is_step or isinstance(fn, str | Workflow)
            future = super().run(fn if stays else _Plain(fn, self._threads), *args, **kwargs)
            place = places.here()
            if place is not None and not is_step:
                place.waits_for(future._task)
            return self._watched(future, name)

    @_on_loop
    def rpc(self, fn: Any, *args: Any, **kwargs: Any) -> ResonateFuture[Any]:
        """Run a workflow as a part of this one, in a task of its own.

        What it is given is bound here, as it will be read where it runs (P12).
        """
        sdk.never_retried(self)
        name = _name_of(fn)
        with self._judging(name):
            if not isinstance(fn, str) and self._state.registry.reverse(fn) is None:
                # The SDK would give the task back, and get it again at once.
                raise UnknownWorkflow(f"ctx.rpc({name}): the app has no such workflow; give it to App(workflows=[...])")
            given = codec.encode([args, kwargs], f"the arguments of ctx.rpc({name})")
            args, kwargs = _bound(fn, name, args, kwargs, given)
            self._begin(name, f"rpc {name} {given}")
            return self._watched(super().rpc(fn, *args, **kwargs), f"the part {name}")

    @_on_loop
    def sleep(self, duration: timedelta) -> ResonateFuture[None]:
        """Wait, durably."""
        self._begin("sleep", f"sleep {duration / timedelta(milliseconds=1)}")
        return self._watched(super().sleep(duration), "sleep")

    @_on_loop
    def promise(self, timeout: timedelta | None = None) -> ResonateFuture[Any]:
        """Wait for a promise that somebody else settles."""
        self._begin("promise", "promise")
        return self._watched(super().promise(timeout), "promise")

    def detached(self, fn: Any, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse: it would be in the engine alone, and lost with it."""
        del args, kwargs
        sdk.never_retried(self)
        name = _name_of(fn)
        with self._judging(name):
            raise Misuse(
                f"ctx.detached({name}) would be lost with the engine once this workflow has ended (P7); give it a "
                f"start of its own: w.start({name}, ..., id=...) in a @write"
            )

    # ── what the SDK asks of itself ─────────────────────────────────────────

    @contextlib.contextmanager
    def _judging(self, name: str) -> Iterator[None]:
        """What is refused before it has begun is judged, too: a defect does not reach the body."""
        try:
            yield
        except Exception as error:
            stop = self._over.judge(error, name)
            if stop is None:
                raise
            raise stop from error
        except PlatformError as error:
            self._over.give_back(error)
            raise

    def _begin(self, name: str, what: str) -> None:
        """Name the promise that is about to be made."""
        self._over.refuse(self._state.id)
        self._calls[what] += 1
        self._next = identity.call_segment(name, self.covered(what), self._calls[what])

    def _next_id(self) -> str:
        segment, self._next = self._next, None
        # A step numbers its own waits; see steps.py.
        return super()._next_id() if segment is None else join_id(self._state.id, segment)

    def _child(self, id: str, func_name: str, timeout_at: int) -> WorkflowContext:
        task = asyncio.current_task()
        hosts = self._hosts if task is None else (*self._hosts, task)
        child = WorkflowContext(super()._child(id, func_name, timeout_at), self._over, self._threads, hosts)
        child.covered = self.covered
        return child

    def _coerce_settled(self, df: Any, value: Any) -> Any:
        """Fail where a result that is stored is not what its function returns by now.

        The SDK gives the task back then, which is delivered again at once, and so on for ever: some thousand times a
        second, until somebody deploys the old type.
        """
        try:
            return super()._coerce_settled(df, value)
        except PlatformError as error:
            raise Unencodable(
                f"the stored result of {df.name} is not what it returns now: {error.causes[0]}; give it back its old "
                "type (a new field needs a default), or a new name and key"
            ) from error

    def _child_timeout(self, requested: timedelta | None) -> int:
        return super()._child_timeout(sdk.FAR if requested is None else requested)

    def _watched[T](self, future: ResonateFuture[T], name: str) -> ResonateFuture[T]:
        self._unawaited[future._task] = name
        self._over.add(future._task)
        return _Watched(
            _id=future._id,
            _task=future._task,
            _created=future._created,
            _over=self._over,
            _hosts=self._hosts,
            _unawaited=self._unawaited,
            _name=name,
        )

    def unheard(self) -> list[tuple[str, Exception]]:
        """What was called in this body, was never awaited, and has failed: its name, and its error."""
        ended = [(name, task) for task, name in self._unawaited.items() if task.done() and not task.cancelled()]
        failed = [(name, error) for name, task in ended if isinstance(error := task.exception(), Exception)]
        return [(name, original(error)) for name, error in failed]


def _name_of(fn: Any) -> str:
    return fn if isinstance(fn, str) else str(getattr(fn, "__name__", "function"))


def _bound(
    fn: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any], given: str
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The arguments of a part, as JSON's builtins: with the defaults of the workflow that runs it, if it is known."""
    function = getattr(fn, "function", None)
    if isinstance(function, Function):
        by_position, by_name = function.spread(codec.decode(function.freeze(args, kwargs).text))
        return by_position, dict(by_name)
    read_args, read_kwargs = codec.decode(given)
    # What a workflow of that name declares is known where it runs. What changes whatever it declares is seen here.
    found = values.difference([[*args], kwargs], [read_args, read_kwargs], Any, result=True)
    if found is not None:
        raise BadArguments(f"an argument of ctx.rpc({name}) would not arrive as it was given: {found.how}")
    return tuple(read_args), read_kwargs


class _Watched[T](ResonateFuture[T], frozen=True, kw_only=True, eq=False):
    """Rests when told to suspend, and lets nobody who stops waiting (a time-out, a task group) stop the call.

    What a call fails with is judged here, wherever it comes from: this run, or the engine.
    """

    _over: Over
    _hosts: Hosts
    _unawaited: dict[asyncio.Task[Any], str]
    _name: str

    def __await__(self) -> Generator[Any, None, T]:
        self._unawaited.pop(self._task, None)
        try:
            return (yield from asyncio.shield(self._task).__await__())
        except Suspended:
            yield from self._over.rest(self._hosts).__await__()
            raise
        except PlatformError as released:
            self._over.give_back(released)
            raise
        except Exception as given:  # noqa: BLE001 - judged, and raised again
            error = original(given) if isinstance(given, ApplicationError) else given
            stop = self._over.judge(error, self._name)
            if stop is None:
                raise error from None if error is not given else error.__cause__
            raise stop from error
