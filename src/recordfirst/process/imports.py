"""Modules that are loaded when something of them is used first, because a library imports them in any case.

A worker needs no web framework and, with an engine of its own, no HTTP client. Without this they are half of
the time that ``import recordfirst`` takes. ``importlib.util.LazyLoader`` does not serve: a second ``import`` of the
same module loads it (CPython 3.13 looks at its ``__spec__``).
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:  # it costs more than this module
    from importlib.abc import Loader

_lock = threading.RLock()
_loading: set[str] = set()


@contextmanager
def lazily(*names: str) -> Iterator[None]:
    """Load modules of these names, if they are imported within this, on the first use of an attribute.

    A later import gets the same module. One that is loaded already stays so.
    """
    finder = _Finder(frozenset(names))
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _Finder:
    def __init__(self, names: frozenset[str]) -> None:
        self._names = names

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in self._names:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = cast("Loader", _Later(spec.loader))
        return spec


class _Later:
    def __init__(self, loader: Loader) -> None:
        self.loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__.pop("__path__", None)  # so that an import of a submodule loads the package first
        module.__class__ = _Unloaded


class _Unloaded(ModuleType):
    def __getattr__(self, name: str) -> object:
        with _lock:
            if self.__name__ in _loading:  # its own code, which looks at what it has not defined yet
                raise AttributeError(name)
            if isinstance(self, _Unloaded):  # another thread may have been first
                _load(self)
        return getattr(self, name)


def _load(module: ModuleType) -> None:
    spec = module.__spec__
    assert spec is not None
    assert isinstance(spec.loader, _Later)
    later = spec.loader
    _loading.add(module.__name__)
    try:
        module.__loader__ = spec.loader = later.loader
        if spec.submodule_search_locations is not None:
            module.__path__ = spec.submodule_search_locations
        later.loader.exec_module(module)
    except BaseException:
        module.__loader__ = spec.loader = later
        module.__dict__.pop("__path__", None)
        raise
    finally:
        _loading.discard(module.__name__)
    module.__class__ = ModuleType
