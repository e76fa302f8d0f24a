"""Sends a case to another program: importable objects by name, values as they are.

A new program does not have this one's functions. So it must find workflows, doubles and invariants by importing a
module, as ``module:name``. If the whole case is given that way, it may contain closures.
"""

from __future__ import annotations

import importlib
import io
import pickle
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from recordfirst.errors import Misuse
from recordfirst.explore.case import Case
from recordfirst.steps.step import Step
from recordfirst.steps.workflow import Workflow


class Sent(msgspec.Struct, frozen=True):
    """A case, as a message."""

    path: list[str]
    """The path on which modules are searched."""
    reference: str | None
    parts: bytes


def send(case: Case, reference: str | None) -> Sent:
    """Make a message of a case.

    Args:
        case: the case.
        reference: ``module:name`` of a case, or of a function that returns one. Parts that are the same there are sent
            by this reference.

    Raises:
        Misuse: if another program could not find a part; the text names it.
    """
    known = found(reference) if reference is not None else None
    parts = {}
    for name in Case.__struct_fields__:
        value = getattr(case, name)
        if known is not None and _is_same(value, getattr(known, name)):
            continue
        parts[name] = _packed(name, value)
    modules = {case.workflow.function.fn.__module__, *([reference.partition(":")[0]] if reference is not None else [])}
    return Sent([*dict.fromkeys([*sys.path, *map(_root, modules)])], reference, pickle.dumps(parts))


def _root(module: str) -> str:
    """The directory from which a module can be imported by its name: pytest imports some that are on no path."""
    file = getattr(sys.modules.get(module), "__file__", None)
    return str(Path(file).parents[module.count(".")]) if file is not None else ""


def receive(sent: Sent) -> Case:
    """Restore the case, in another program."""
    sys.path[:] = sent.path
    parts: dict[str, bytes] = pickle.loads(sent.parts)  # noqa: S301 - from the program that has started this one
    fields = {name: _Unpacker(io.BytesIO(value)).load() for name, value in parts.items()}
    if sent.reference is None:
        return Case(**fields)
    return msgspec.structs.replace(found(sent.reference), **fields)


def found(reference: str) -> Case:
    """Import a case.

    Raises:
        Misuse: if there is none.
    """
    module, colon, name = reference.partition(":")
    try:
        value: Any = importlib.import_module(module)
        for each in name.split("."):
            value = value[each] if isinstance(value, Mapping) else getattr(value, each)
    except (ImportError, AttributeError, KeyError) as error:
        raise Misuse(f"{reference!r} cannot be imported: {error}") from None
    if callable(value) and not isinstance(value, Case):
        value = value()
    if not colon or not isinstance(value, Case):
        raise Misuse(f"{reference!r} is not a Case; write module:name of one, or of a function that returns one")
    return value


def _is_same(one: Any, other: Any) -> bool:
    if isinstance(one, tuple) and isinstance(other, tuple):
        return len(one) == len(other) and all(_is_same(a, b) for a, b in zip(one, other, strict=True))
    return one is other or (not callable(one) and type(one) is type(other) and bool(one == other))


def _packed(name: str, value: Any) -> bytes:
    packed = io.BytesIO()
    try:
        _Packer(packed, protocol=pickle.HIGHEST_PROTOCOL).dump(value)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise Misuse(
            f"{name}= of the case cannot be found by another program ({error}): in the real world it must be at the "
            "top of a module, or the whole case be given as module:name"
        ) from None
    return packed.getvalue()


class _Packer(pickle.Pickler):
    def persistent_id(self, obj: Any) -> tuple[str, str] | None:
        return _name_of(obj) if isinstance(obj, Step | Workflow) else None

    def reducer_override(self, obj: Any) -> Any:
        if getattr(obj, "__module__", None) == "__main__":
            raise pickle.PicklingError(f"{obj!r} is in the program that runs, not in a module")
        return NotImplemented


class _Unpacker(pickle.Unpickler):
    def persistent_load(self, pid: tuple[str, str]) -> Any:
        module, name = pid
        return getattr(importlib.import_module(module), name)


def _name_of(obj: Any) -> tuple[str, str]:
    module = obj.function.fn.__module__
    for name, value in vars(sys.modules[module]).items():
        if value is obj and module != "__main__":
            return module, name
    raise pickle.PicklingError(f"{obj!r} has no name in module {module!r}")
