"""Injection: values found by the type that a step's parameter declares. Lookup, caching and clean-up are svcs's.

What svcs does not do is added here: two values for one key are a conflict that names both (P8), and what a step
needs is checked before anything runs.
"""

from __future__ import annotations

import asyncio
import sys
import traceback
from collections.abc import Callable, Iterable
from typing import Any, get_args

from recordfirst.errors import DuplicateDependency, MissingDependency, Misuse
from recordfirst.process.imports import lazily
from recordfirst.steps.function import Function

with lazily("svcs.aiohttp", "svcs.fastapi", "svcs.flask", "svcs.starlette"):  # each imports its web framework
    import svcs


class Injector:
    """One app's dependencies, keyed by class, base class, Protocol or NewType."""

    def __init__(self) -> None:
        self._registry = svcs.Registry()
        self._container = svcs.Container(self._registry)
        self._sources: dict[Any, str] = {}
        self._made: dict[Function, dict[str, Any]] = {}
        self._making = asyncio.Lock()

    def provide(self, value: object, as_: Any = None) -> None:
        """Register a value under ``as_``, or under its own class."""
        if isinstance(value, type) and as_ is None:
            name = type_name(value)
            raise Misuse(f"provide({name}): that is a class; give a value of it, or provide_factory({name}, {name})")
        key = type(value) if as_ is None else as_
        self._claim(key, f"the {type(value).__qualname__} object provided at {_caller()}")
        # enter=False: a value that the caller made is the caller's to close.
        self._registry.register_value(key, value, enter=False)

    def provide_factory(self, as_: Any, factory: Callable[..., Any]) -> None:
        """Register a factory (sync, async, generator or context manager): called once, cleaned up at close."""
        self._claim(
            as_, f"factory {getattr(factory, '__qualname__', type(factory).__qualname__)!r} provided at {_caller()}"
        )
        self._registry.register_factory(as_, factory)

    def check(self, functions: Iterable[Function]) -> None:
        """Raise ``MissingDependency`` for everything that these need and nothing provides, all in one message."""
        missing = [
            f"{function.place} needs {name}: {type_name(key)}"
            for function in functions
            for name, key in function.injected.items()
            if key not in self._registry
        ]
        if missing:
            lines = "\n  ".join(dict.fromkeys(missing))
            raise MissingDependency(
                f"nothing provides what these need; call app.provide(...) before the app starts:\n  {lines}"
            )

    async def resolve(self, function: Function) -> dict[str, Any]:
        """Return the values for a function's injected parameters."""
        if not function.injected:
            return {}
        made = self._made.get(function)
        if made is None:
            # One at a time: two that find nothing made would each call the factory.
            async with self._making:
                self.check([function])
                made = {name: await self._container.aget(key) for name, key in function.injected.items()}
                self._made[function] = made
        return made

    async def get(self, key: Any) -> Any:
        """Return what is provided under a key, for a caller that is no step.

        Raises:
            MissingDependency: if nothing is.
        """
        if key not in self._registry:
            raise MissingDependency(f"nothing provides {type_name(key)}; call app.provide(..., as_={type_name(key)})")
        async with self._making:
            return await self._container.aget(key)

    def reopen(self) -> None:
        """Serve the event loop that runs now; what was made before was cleaned up."""
        self._making = asyncio.Lock()

    async def close(self) -> None:
        """Clean up what factories made."""
        self._made.clear()
        await self._container.aclose()

    def _claim(self, key: Any, source: str) -> None:
        if key in self._sources:
            raise DuplicateDependency(type_name(key), self._sources[key], source)
        self._sources[key] = source


def _caller() -> str:
    """The place outside of this package that provides something. Its value is not shown: it may be a client's key."""
    package = __name__.partition(".")[0]
    for frame, line in traceback.walk_stack(sys._getframe(1)):  # noqa: SLF001 - the only way to the caller
        if str(frame.f_globals.get("__name__", "")).partition(".")[0] != package:
            return f"{frame.f_code.co_filename}:{line}"
    return "an unknown place"


def type_name(key: Any) -> str:
    """A type as an operator writes it."""
    if get_args(key):
        return repr(key)
    return getattr(key, "__qualname__", None) or getattr(key, "__name__", None) or repr(key)
