"""A user's function, taken apart once: its parameters, what it wants injected, what it returns.

Sync functions run in a thread, so that a blocking SDK starves neither the event loop nor a lease.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import inspect
import traceback
import types
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any, NoReturn, Optional

from resonate.error import PlatformError, Suspended

from recordfirst.core import codec, values
from recordfirst.errors import BadArguments, Escaped, Misuse, Unencodable
from recordfirst.process.blocking import lent_with
from recordfirst.process.limit import Limit
from recordfirst.steps.arguments import Arguments


def _began(fn: Callable[..., Any], limit: Limit | None) -> Callable[..., Any]:
    """The function as it runs in its thread: it says so first, and does not run if it was given up meanwhile."""
    if limit is None:
        return fn

    def begun(*args: Any, **kwargs: Any) -> Any:
        limit.begin()
        return fn(*args, **kwargs)

    return begun


class _Inject:
    """Marks a keyword-only parameter that the app fills in by its annotation."""

    def __repr__(self) -> str:
        return "inject()"


_INJECT = _Inject()
RAISED_AT = "_recordfirst_raised_at"
"""The attribute of an error that says where in the user's code it was raised."""


def inject() -> Any:
    """Use as a keyword-only parameter's default: the app provides the value, found by the parameter's annotation.

    The annotation is the key: a class, a base class, a Protocol or a NewType (see :meth:`App.provide`).
    """
    return _INJECT


async def contained[T](what: str, work: Awaitable[T]) -> T:
    """Run code of the user's: whatever it raises, it ends no worker (P7).

    Raises:
        Escaped: if it raises what is no ``Exception`` (``SystemExit``, say), or was cancelled by nobody.
    """
    try:
        return await work
    except (Suspended, PlatformError):
        raise  # the SDK's own
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        raise Escaped(what, error).with_traceback(error.__traceback__) from error
    except Exception:
        raise
    except BaseException as error:
        raise Escaped(what, error).with_traceback(error.__traceback__) from error


class Function:
    """What recordfirst knows of one function that a user decorated."""

    def __init__(self, fn: Callable[..., Any], *, kind: str, name: str | None = None, leads: bool = True) -> None:
        """``leads``: whether its first parameter is recordfirst's; without, all are the caller's."""
        if not inspect.isfunction(fn):
            raise Misuse(f"@{kind} goes on a function, not on {fn!r}")
        self.fn = fn
        self.kind = kind
        self.name = name or fn.__name__
        self.has_other_keys = False
        """Its calls may have keys besides the one that it was declared with (:meth:`WriteStep.with_key`)."""
        inner = inspect.unwrap(fn)
        if inspect.isgeneratorfunction(inner) or inspect.isasyncgenfunction(inner):
            self._refuse("yields; it must return its result, once")
        # Behind a wrapper too: what is async runs on the event loop, whatever its wrapper looks like.
        self.is_async = inspect.iscoroutinefunction(inner)
        self._leads = leads
        signature = inspect.signature(fn)
        if not leads:
            context = inspect.Parameter("_ctx", inspect.Parameter.POSITIONAL_ONLY)
            signature = signature.replace(parameters=[context, *signature.parameters.values()])
        positional = [p for p in signature.parameters.values() if p.default is not _INJECT]
        wanted = [p for p in signature.parameters.values() if p.default is _INJECT]
        if not positional or positional[0].kind not in (
            positional[0].POSITIONAL_ONLY,
            positional[0].POSITIONAL_OR_KEYWORD,
        ):
            self._refuse("needs a first positional parameter: the context, write or call that recordfirst passes")
        self._refuse_parameters(positional[1:], wanted)
        hints = self._hints()
        self.injected: dict[str, Any] = {p.name: hints.get(p.name) for p in wanted}
        for name_, type_ in self.injected.items():
            if type_ is None:
                self._refuse(f"injects {name_!r} without an annotation; its type is what it is found by")
        self.parameters: dict[str, Any] = {p.name: _typed(p, hints.get(p.name, Any)) for p in positional[1:]}
        self.defaults: dict[str, Any] = {p.name: p.default for p in positional[1:] if p.default is not p.empty}
        self.returns: Any = hints.get("return", Any)
        resolved = [p.replace(annotation=self.parameters[p.name]) for p in positional[1:]]
        self._user_signature = signature.replace(parameters=resolved, return_annotation=self.returns)
        self.signature = signature.replace(parameters=[positional[0], *resolved], return_annotation=self.returns)
        """As the engine sees it: the first parameter, then the caller's, without the injected ones."""
        by_position = [p for p in resolved if p.kind is not p.KEYWORD_ONLY]
        required = [p for p in resolved if p.default is p.empty]
        self._positional = tuple(p.name for p in by_position)
        # Arguments by position, so many at least, need no more binding than to be named. It is the way of nearly every
        # call, and inspect's own binding costs as much as a receipt's encoding.
        self._fewest = len(required) if all(p in by_position for p in required) else len(resolved) + 1
        self._all_by_name = not any(p.kind is p.POSITIONAL_ONLY for p in resolved)

    def __repr__(self) -> str:
        return f"{self.kind} {self.name!r}"

    @property
    def place(self) -> str:
        """Where an operator finds it: where it was written, whatever stands around it."""
        code = inspect.unwrap(self.fn).__code__
        return f"{self.fn.__module__}.{self.fn.__qualname__} ({code.co_filename}:{code.co_firstlineno})"

    def raised_at(self, error: BaseException) -> str | None:
        """Where the user's code raised an error, or called what did; ``None`` if none of it was seen on the way.

        It is noted on the error, which goes by way of the engine and loses its traceback there.
        """
        try:
            return self._raised_at(error)
        except Exception:  # noqa: BLE001 - an exception may be of any make; that its place is not known decides nothing
            return None

    def _raised_at(self, error: BaseException) -> str | None:
        noted: str | None = getattr(error, RAISED_AT, None)
        if noted is None:
            package = self.fn.__module__.partition(".")[0]
            for frame, line in traceback.walk_tb(error.__traceback__):
                if str(frame.f_globals.get("__name__", "")).partition(".")[0] == package:
                    noted = f"{frame.f_code.co_filename}:{line}, in {frame.f_code.co_name}"
            with contextlib.suppress(Exception):  # a class of the user's may refuse attributes
                setattr(error, RAISED_AT, noted)
        return noted

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments by name, as given, without defaults.

        Raises:
            BadArguments: if they do not fit the signature.
        """
        if not kwargs and self._fewest <= len(args) <= len(self._positional):
            return dict(zip(self._positional, args, strict=False))
        try:
            return dict(self._user_signature.bind(*args, **kwargs).arguments)
        except TypeError as error:
            strangers = ", ".join(repr(name) for name in kwargs if name not in self.parameters)
            also = f" (and it has no {strangers})" if strangers else ""
            raise BadArguments(
                f"{self!r} does not take these arguments: {error}{also}; it is {self.name}{self._shown()}"
            ) from None

    def freeze(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Arguments:
        """Return the arguments as they are from here on: a copy, as it is read back from what is stored (P12).

        Defaults are part of it, so that a retry sends what was first sent (P4). What needs no proof is not read back:
        text, numbers, and frozen structs of such are what they are.

        Raises:
            BadArguments: if they do not fit the signature, or one would not come back as it was given; names the field.
            Unencodable: if one is not JSON.
        """
        given = self.bind(args, kwargs)
        missing = {name: value for name, value in self.defaults.items() if name not in given}
        full = {**given, **missing} if missing else given
        text = codec.encode(full, self._what)
        asked = codec.encode(given, self._what) if missing else text
        unproved = [name for name, value in full.items() if not values.is_plain(value, self._plans[name])]
        if unproved:
            read = codec.decode(text)
            full = {**full, **{name: self._proved(name, full[name], read[name]) for name in unproved}}
        frozen = Arguments(full, text, asked, missing)
        frozen.is_plain = not unproved
        return frozen

    def fresh(self, arguments: Arguments) -> dict[str, Any]:
        """Return bound arguments for one run of the function, which may change what it gets."""
        return arguments if arguments.is_plain else self.thaw(arguments.text)

    def thaw(self, text: str) -> dict[str, Any]:
        """Return the arguments that were stored, with the defaults of parameters that are newer than that.

        Raises:
            BadArguments: naming the parameter that does not fit.
        """
        found = self.fit(codec.decode(text))
        for name, value in self.defaults.items():
            if name not in found:
                found[name] = self._copy(name, value)
        return found

    def adopt(self, stored: Mapping[str, Any], types: Mapping[str, Any]) -> Arguments:
        """Return what was stored of another function's call as arguments of this one.

        Args:
            stored: JSON's builtins, by parameter.
            types: what a parameter is that declares no type here, as far as it is known.

        Raises:
            BadArguments: naming the parameter that does not fit.
        """
        own = {name: types.get(name, Any) if type_ is Any else type_ for name, type_ in self._types.items()}
        found = self._fit(stored, own)
        missing = {name: self._copy(name, value) for name, value in self.defaults.items() if name not in found}
        text = codec.encode({**found, **missing}, self._what)
        return Arguments({**found, **missing}, text, codec.encode(found, self._what) if missing else text, missing)

    def fit(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return builtins, as they come from JSON, in the shapes that the parameters declare.

        Raises:
            BadArguments: naming the parameter that does not fit.
        """
        return self._fit(arguments, self._types)

    def _fit(self, arguments: Mapping[str, Any], types: Mapping[str, Any]) -> dict[str, Any]:
        fitted: dict[str, Any] = {}
        for name, value in arguments.items():
            if name not in self.parameters:
                raise BadArguments(f"{self!r} has no parameter {name!r}; it is {self.name}{self._shown()}")
            fitted[name] = self._shape(name, value, types[name])
        return fitted

    def _shape(self, name: str, value: Any, type_: Any) -> Any:
        try:
            return codec.shape(value, type_, f"argument {name!r} of {self!r}")
        except Unencodable as error:
            raise BadArguments(str(error)) from None

    def _proved(self, name: str, given: Any, read: Any) -> Any:
        """An argument as it is read back, once it is shown to be what was given."""
        type_ = self._types[name]
        back = self._shape(name, read, type_)
        if (found := values.difference(given, back, type_)) is not None:
            declared = "it declares no type" if type_ is Any else f"it is declared as {codec.type_name(type_)}"
            raise BadArguments(
                f"argument {name!r} of {self!r} would not come back from the record as it was given{_at(found)}: "
                f"{found.how} ({declared}); nothing was stored: declare the type that it has, or give what JSON can "
                "carry; what must not be stored, a secret say, is injected"
            )
        return back

    def _copy(self, name: str, default: Any) -> Any:
        if values.is_plain(default, self._plans[name]):
            return default
        return self._shape(name, codec.decode(codec.encode(default, self._what)), self._types[name])

    @functools.cached_property
    def _what(self) -> str:
        return f"the arguments of {self!r}"

    @functools.cached_property
    def _types(self) -> dict[str, Any]:
        """What arguments are read back as: builtins, where JSON has no shape for what is declared (a Protocol, say)."""
        return {name: type_ if codec.has_shape(type_) else Any for name, type_ in self.parameters.items()}

    @functools.cached_property
    def _plans(self) -> dict[str, values.Plan]:
        return {name: values.plan(type_) for name, type_ in self._types.items()}

    def refuse_unstorable_defaults(self) -> None:
        """Refuse a default that could not be stored with the arguments, of which it is a part (P4)."""
        for name, value in self.defaults.items():
            try:
                self._proved(name, value, codec.decode(codec.encode({name: value}, f"the default of {name!r}"))[name])
            except (Unencodable, BadArguments) as error:
                self._refuse(f"has a default that cannot be stored with its arguments: {error}; inject it, or give it")

    def result(self, value: Any) -> tuple[str, Any]:
        """Return what the function returned, as JSON and as it is read back of that.

        Raises:
            Unencodable: if it is not JSON, not of the declared type, or would not come back as it is; names the field.
        """
        what = f"the result of {self!r}"
        text = codec.encode(value, what)
        if values.is_plain(value, self._returned):
            return text, value
        back = codec.shape(codec.decode(text), self.returns, what)
        if (found := values.difference(value, back, self.returns, result=True)) is not None:
            raise Unencodable(f"{what} would not come back from the record as it was returned{_at(found)}: {found.how}")
        return text, back

    @functools.cached_property
    def _returned(self) -> values.Plan:
        return values.plan(self.returns)

    def refuse_unstorable_result(self) -> None:
        """Refuse a declared return type that could never be read back from JSON (P3: found out before any call)."""
        why = codec.storable(self.returns)
        if why is not None:
            self._refuse(f"returns {self.returns!r}, which cannot be stored: {why}; return what you need of it")

    def spread(self, arguments: Mapping[str, Any]) -> tuple[tuple[Any, ...], Mapping[str, Any]]:
        """Return arguments as they are passed: by name, but for what takes none."""
        if self._all_by_name:
            return (), arguments
        bound = self._user_signature.bind_partial()
        bound.arguments.update(arguments)
        return bound.args, bound.kwargs

    async def call(
        self,
        first: Any,
        arguments: Mapping[str, Any],
        injected: Mapping[str, Any],
        executor: Executor | None,
        limit: Limit | None = None,
    ) -> Any:
        """Run it; a sync function in a thread of ``executor``. ``limit`` is told when it begins.

        Raises:
            Escaped: if it raises what is no ``Exception`` (``SystemExit``, say): that ends no worker (P7).
        """
        return await contained(repr(self), self._called(first, arguments, injected, executor, limit))

    async def _called(
        self,
        first: Any,
        arguments: Mapping[str, Any],
        injected: Mapping[str, Any],
        executor: Executor | None,
        limit: Limit | None,
    ) -> Any:
        args, kwargs = self.spread(arguments)
        if self._leads:
            args = (first, *args)
        if self.is_async:
            if limit is not None:
                limit.begin()
            result = self.fn(*args, **kwargs, **injected)
            return await result if inspect.isawaitable(result) else result
        run = functools.partial(contextvars.copy_context().run, _began(self.fn, limit), *args, **kwargs, **injected)
        lent = lent_with(first)

        def in_thread() -> Any:
            if lent is not None:
                lent.take()
            return run()

        try:
            result = await asyncio.get_running_loop().run_in_executor(executor, in_thread)
            # A coroutine that nobody awaited would be an effect that is stored and was never called.
            return await result if inspect.isawaitable(result) else result
        finally:
            # The thread may run on, if nobody waits for it: not on a connection that is somebody else's then.
            if lent is not None:
                lent.give_back()

    def _shown(self) -> str:
        return str(self._user_signature.replace(return_annotation=inspect.Signature.empty))

    def _refuse_parameters(self, given: Sequence[inspect.Parameter], wanted: Sequence[inspect.Parameter]) -> None:
        for p in given:
            if p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
                self._refuse(f"takes *{p.name}; name each argument, since they are stored by name")
            if p.default is inject:
                self._refuse(f"takes {p.name}=inject, the function itself; write {p.name}=inject()")
        for p in wanted:
            if p.kind is not p.KEYWORD_ONLY:
                self._refuse(f"injects {p.name!r}, which must be keyword-only: put it behind a *")

    def _hints(self) -> dict[str, Any]:
        written = _written(self.fn)
        first = next(iter(inspect.signature(self.fn).parameters), "") if self._leads else ""
        hints: dict[str, Any] = {}
        for name, annotation in inspect.get_annotations(written[-1]).items():
            if name == first:
                continue
            if not isinstance(annotation, str):
                hints[name] = annotation
                continue
            hints[name] = self._evaluated(name, annotation, written)
        return {name: type(None) if hint is None else hint for name, hint in hints.items()}

    def _evaluated(self, name: str, annotation: str, written: Sequence[Callable[..., Any]]) -> Any:
        """A type by its name, where the function was written; else where what stands around it was."""
        first: Exception | None = None
        for fn in reversed(written):
            try:
                names = {**fn.__globals__, **inspect.getclosurevars(fn).nonlocals}
                return eval(annotation, names)  # noqa: S307 - the user's own annotation, as typing.get_type_hints does
            except Exception as error:  # noqa: BLE001 - whatever it is, the annotation cannot be used
                first = first or error
        modules = " or ".join(dict.fromkeys(fn.__globals__.get("__name__", "?") for fn in reversed(written)))
        return self._refuse(
            f"has the annotation {name}: {annotation}, which is not known at run time in {modules} ({first}); "
            "import it outside `if TYPE_CHECKING:`"
        )

    def _refuse(self, why: str) -> NoReturn:
        raise Misuse(f"@{self.kind} {self.place} {why}")


def _typed(parameter: inspect.Parameter, hint: Any) -> Any:
    """A parameter's type; with ``None`` among it where that is its default."""
    if parameter.default is None and hint is not Any:
        return hint | None if isinstance(hint, type | types.UnionType | types.GenericAlias) else Optional[hint]  # noqa: UP045 - of what has no |
    return hint


def _at(found: values.Difference) -> str:
    return f" at {found.path.lstrip('.')!r}" if found.path else ""


def _written(fn: Callable[..., Any]) -> list[Callable[..., Any]]:
    """A function, and what it wraps by ``functools.wraps``, innermost last: there its annotations were written."""
    chain = [fn]
    while "__signature__" not in vars(chain[-1]) and inspect.isfunction(
        inner := getattr(chain[-1], "__wrapped__", None)
    ):
        chain.append(inner)
    return chain
