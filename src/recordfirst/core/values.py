"""Whether a value came back from JSON as it was given (P12).

Equal bytes prove nothing: a secret that is masked when it is dumped has the same bytes after it was read back. So what
was read back is compared with what was given, part by part, by type and by value. What cannot be shown equal counts as
different. ``==`` alone is not believed where it lies: ``True == 1``, ``Decimal("1.0") == Decimal("1.00")``, and a class
may compare fewer fields than it has.
"""

from __future__ import annotations

import dataclasses
import datetime
import enum
import itertools
import math
import uuid
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from decimal import Decimal
from functools import cache
from typing import Any, NamedTuple

from msgspec import inspect

from recordfirst.core import codec
from recordfirst.errors import Unencodable


class Difference(NamedTuple):
    """Where a value is not what it was, and how. Never holds the value, which may be a secret."""

    path: str
    how: str

    def below(self, part: str) -> Difference:
        """The same, as the value that holds it sees it."""
        return Difference(part + self.path, self.how)


def difference(given: Any, back: Any, declared: Any, *, result: bool = False) -> Difference | None:
    """Return the first difference between a value and what was read back of it as ``declared``; ``None``: equal.

    A value may come back as a more general type only where the declared type says so: an ``int`` as the ``float`` that
    is declared, a tuple as the list that a ``Sequence`` is read as, a member of a ``StrEnum`` as its ``str``.

    Args:
        given: what the code has.
        back: what is read from the JSON text of it.
        declared: the type that it was read as; ``Any`` for builtins.
        result: it is what a step returned, so that only ``back`` is ever seen. It may drop what the declared type does
            not name, and be builtins of what is not declared; what it has must be as it was returned.
    """
    return _walk(given, back, _info(declared), result)


# ── walking ─────────────────────────────────────────────────────────────────

_LITERAL = frozenset({str, int, bool, type(None), bytes, bytearray, uuid.UUID, datetime.date, datetime.timedelta})
"""Types of which two values that are equal are the same in every respect."""
_SIMPLE = frozenset({str, int, bool, type(None)})
_GONE = object()


def _walk(a: Any, b: Any, info: Any, result: bool) -> Difference | None:  # noqa: FBT001 - handed on at each level
    cls = type(b)
    if type(a) is not cls:
        return _of_another_class(a, b, info, result)
    if cls in _LITERAL:
        return None if a == b else _CHANGED
    walk = _WALKS.get(cls)
    if walk is not None:
        return walk(a, b, info, result)
    if (names := _field_types(cls, info)) is not None:
        return _fields(a, b, names, result)
    if isinstance(b, enum.Enum):
        return None if a is b or a == b else _CHANGED
    return _of_a_class(a, b, result)


def _float(a: float, b: float, *_: Any) -> Difference | None:
    return None if a == b and math.copysign(1, a) == math.copysign(1, b) else _CHANGED


def _decimal(a: Decimal, b: Decimal, *_: Any) -> Difference | None:
    return None if a.is_finite() and a.as_tuple() == b.as_tuple() else _CHANGED


def _time(a: Any, b: Any, *_: Any) -> Difference | None:
    """A zone comes back as its offset at that time, which tells the fold as well; without a zone, nothing tells it."""
    offset = a.utcoffset()
    same = a == b and offset == b.utcoffset() and (offset is not None or a.fold == b.fold)
    return None if same else _CHANGED


def _list(a: Any, b: Any, info: Any, result: bool) -> Difference | None:  # noqa: FBT001
    if len(a) != len(b):
        return _CHANGED
    items = _items(info, len(b))
    for index, (one, other, item) in enumerate(zip(a, b, items, strict=False)):
        if (found := _walk(one, other, item, result)) is not None:
            return found.below(f"[{index}]")
    return None


def _dict(a: Any, b: Any, info: Any, result: bool) -> Difference | None:  # noqa: FBT001
    named, value, keys = _value_types(info)
    if not keys and not result and len(a) != len(b):
        return _CHANGED
    known = {key: key for key in a if type(key) is not str}
    for key, other in b.items():
        if key not in a:
            return Difference(f".{key}", "it is not there")
        if known and (found := _walk(known.get(key, key), key, named, result)) is not None:
            return found.below(f".{key}")
        if (found := _walk(a[key], other, keys.get(key, value), result)) is not None:
            return found.below(f".{key}")
    dropped = [key for key in a if key not in b]
    return None if not dropped or result else Difference(f".{dropped[0]}", "it would be dropped")


def _set(a: AbstractSet[Any], b: AbstractSet[Any], info: Any, result: bool) -> Difference | None:  # noqa: FBT001
    if len(a) != len(b):
        return _CHANGED
    known, item = {each: each for each in a}, getattr(info, "item_type", None)
    for other in b:
        if other not in known or _walk(known[other], other, item, result) is not None:
            return Difference("{}", _CHANGED.how)
    return None


def _fields(a: Any, b: Any, names: Mapping[str, Any], result: bool) -> Difference | None:  # noqa: FBT001
    for name, info in names.items():
        one, other = getattr(a, name, _GONE), getattr(b, name, _GONE)
        if type(one) is type(other) and type(one) in _SIMPLE and one == other:
            continue
        if one is other and one is _GONE:
            continue
        if one is _GONE or other is _GONE:
            return Difference(f".{name}", "it is not there")
        if (found := _walk(one, other, info, result)) is not None:
            return found.below(f".{name}")
    return None


def _of_a_class(a: Any, b: Any, result: bool) -> Difference | None:  # noqa: FBT001
    """Compare what is no data type of Python's or msgspec's: a Pydantic model by its fields, others as they say."""
    cls = type(b)
    if a is b:
        return None
    if hasattr(cls, "model_validate"):
        for state in (_state, _extra, _private):
            if (found := _dict(state(a), state(b), None, result)) is not None:
                return found
        return None
    if "__eq__" in {name for each in cls.__mro__[:-1] for name in vars(each)}:
        return None if a == b else _CHANGED
    if not hasattr(a, "__dict__"):
        return Difference("", f"two values of {codec.type_name(cls)} cannot be compared")
    return _dict(vars(a), vars(b), None, result)


def _state(model: Any) -> dict[str, Any]:
    names = getattr(type(model), "model_fields", None)
    state = vars(model)
    return state if names is None else {name: state[name] for name in names if name in state}


def _extra(model: Any) -> dict[str, Any]:
    return getattr(model, "__pydantic_extra__", None) or {}


def _private(model: Any) -> dict[str, Any]:
    return getattr(model, "__pydantic_private__", None) or {}


# ── another class ───────────────────────────────────────────────────────────


def _of_another_class(a: Any, b: Any, info: Any, result: bool) -> Difference | None:  # noqa: FBT001
    walk = _wider(a, type(b)) if info is not None else None
    if walk is not None:
        return walk(a, b, info, result)
    if result:
        return _returned(a, b, info, result)
    return Difference("", f"it is {codec.type_name(a)}, and would come back as {codec.type_name(b)}")


def _wider(a: Any, cls: type) -> Callable[..., Difference | None] | None:
    """What compares a value with the more general type that it is declared as; ``None``: no such type."""
    if cls is float and type(a) is int:
        return lambda a, b, *_: None if a == b else _CHANGED
    if isinstance(a, enum.Enum) and isinstance(a, cls) and cls in (str, int):
        return lambda a, b, *_: None if a.value == b else _CHANGED
    if (cls, type(a)) in ((list, tuple), (set, frozenset)):
        return _WALKS[cls]
    return _dict if cls is dict and isinstance(a, dict) else None


def _returned(a: Any, b: Any, info: Any, result: bool) -> Difference | None:  # noqa: FBT001
    """What a step returned, and what comes back as another type: builtins of it, or as much as is declared."""
    if (names := _field_types(type(b), info)) is not None and _has_fields(a):
        return _fields(a, b, names, result) if not isinstance(a, dict) else _dict(a, _named(a, b, names), None, result)
    for kinds, walk in (((dict,), _dict), ((list, tuple), _list)):
        if isinstance(a, kinds) and isinstance(b, kinds):
            return walk(a, b, info, result)
    if isinstance(a, set | frozenset) and isinstance(b, list):
        return _set_as_list(a, b, result)
    if isinstance(b, str | int | float | list | dict):
        # It proves itself, by what its own type reads of them.
        try:
            own = codec.shape(b, type(a), "it")
        except Unencodable:
            own = _GONE
        if type(own) is type(a):
            return _walk(a, own, _info(type(a)), result)
    return Difference("", f"it is {codec.type_name(a)}, and would come back as {codec.type_name(b)}")


def _has_fields(a: Any) -> bool:
    return isinstance(a, dict) or hasattr(a, "__dict__") or hasattr(a, "__struct_fields__") or hasattr(a, "__slots__")


def _named(a: Mapping[str, Any], b: Any, names: Iterable[str]) -> dict[str, Any]:
    return {name: getattr(b, name) for name in names if name in a}


def _set_as_list(a: AbstractSet[Any], b: list[Any], result: bool) -> Difference | None:  # noqa: FBT001
    """It proves itself as a set of the types that it holds, which its order in JSON says nothing of."""
    if len(a) != len(b):
        return _CHANGED
    left = list(b)
    for each in a:
        same = [other for other in left if _walk(each, other, None, result) is None]
        if not same:
            return Difference("{}", _CHANGED.how)
        left.remove(same[0])
    return None


# ── what types say of their parts ───────────────────────────────────────────

_CHANGED = Difference("", "it would come back as another value")
_WALKS: dict[type, Callable[..., Difference | None]] = {
    float: _float,
    Decimal: _decimal,
    datetime.datetime: _time,
    datetime.time: _time,
    list: _list,
    tuple: _list,
    dict: _dict,
    set: _set,
    frozenset: _set,
}


def _info(declared: Any) -> Any:
    """What msgspec knows of a type; ``None``: nothing is declared."""
    try:
        return _known(declared)
    except TypeError:  # it cannot be hashed, or msgspec has no shape for it
        return None


@cache  # there are as many as the program declares
def _known(declared: Any) -> Any:
    return _declared(inspect.type_info(declared))


def _declared(info: Any) -> Any:
    """A type's description without its metadata; ``None`` for ``Any``."""
    while isinstance(info, inspect.Metadata):
        info = info.type
    if isinstance(info, inspect.AnyType | inspect.RawType) or (
        isinstance(info, inspect.CustomType) and not hasattr(info.cls, "model_validate")
    ):
        return None
    return info


def _branch(info: Any, *kinds: type) -> Any:
    """The part of a union, or the type itself, that is of one of these kinds."""
    info = _declared(info)
    if isinstance(info, inspect.UnionType):
        found = [each for each in map(_declared, info.types) if isinstance(each, kinds)]
        return found[0] if found else None
    return info if isinstance(info, kinds) else None


def _kept[R](fn: Callable[[Any], R]) -> Callable[[Any], R]:
    """Ask once of each type's description: a part of what :func:`_known` keeps, so an id is one description's."""
    kept: dict[int, R] = {}

    def asked(info: Any) -> R:
        name = id(info)
        if name not in kept:
            kept[name] = fn(info)
        return kept[name]

    return asked


def _items(info: Any, length: int) -> Iterable[Any]:
    some = _item(info)
    return itertools.repeat(some, length) if not isinstance(some, list) else _fixed(some, length)


def _fixed(some: list[Any], length: int) -> Iterable[Any]:
    return some if len(some) == length else itertools.repeat(None, length)


@_kept
def _item(info: Any) -> Any:
    """The type of a list's items; or those of a tuple's, one by one."""
    fixed = _branch(info, inspect.TupleType)
    if fixed is not None:
        return [_declared(each) for each in fixed.item_types]
    some = _branch(info, inspect.ListType, inspect.VarTupleType)
    return _declared(some.item_type) if some is not None else None


@_kept
def _value_types(info: Any) -> tuple[Any, Any, dict[str, Any]]:
    """The types of a dict's keys and values, and the types of those that are declared by name."""
    named = _branch(info, inspect.TypedDictType)
    if named is not None:
        return None, None, {field.name: _declared(field.type) for field in named.fields}
    some = _branch(info, inspect.DictType)
    return (None, None, {}) if some is None else (_declared(some.key_type), _declared(some.value_type), {})


_RECORDS = (inspect.StructType, inspect.DataclassType, inspect.NamedTupleType)


_FIELD_TYPES: dict[tuple[type, int], dict[str, Any] | None] = {}


def _field_types(cls: type, info: Any) -> dict[str, Any] | None:
    named = (cls, id(info))
    if named not in _FIELD_TYPES:
        _FIELD_TYPES[named] = _found_field_types(cls, info)
    return _FIELD_TYPES[named]


def _found_field_types(cls: type, info: Any) -> dict[str, Any] | None:
    """A record's fields, with their types as they are declared; ``None`` if it is none."""
    for each in info.types if isinstance(info, inspect.UnionType) else (info,):
        if isinstance(each, _RECORDS) and (each.cls is cls or getattr(each.cls, "__origin__", None) is cls):
            return {field.name: _declared(field.type) for field in each.fields} | _others(cls, each)
    return _own_field_types(cls)


@cache
def _own_field_types(cls: type) -> dict[str, Any] | None:
    is_record = hasattr(cls, "__struct_fields__") or dataclasses.is_dataclass(cls) or hasattr(cls, "__attrs_attrs__")
    if not is_record and not (issubclass(cls, tuple) and hasattr(cls, "_fields")):
        return None
    info = _info(cls)
    return ({f.name: _declared(f.type) for f in info.fields} if isinstance(info, _RECORDS) else {}) | _others(cls, info)


def _others(cls: type, info: Any) -> dict[str, Any]:
    """Fields that the class has and its description has not."""
    known = {field.name for field in info.fields} if isinstance(info, _RECORDS) else set()
    names = getattr(cls, "__struct_fields__", None) or getattr(cls, "__dataclass_fields__", None) or ()
    if dataclasses.is_dataclass(cls):
        names = [field.name for field in dataclasses.fields(cls)]
    return {name: None for name in names if name not in known}


# ── values that need no proof ───────────────────────────────────────────────

type Plan = dict[type, tuple[tuple[str, Plan], ...] | None]
"""By exact type: the fields of a frozen struct; ``None`` for what is the same however often it is read back."""

_PLAIN: dict[type, type] = {
    inspect.StrType: str,
    inspect.IntType: int,
    inspect.BoolType: bool,
    inspect.NoneType: type(None),
    inspect.FloatType: float,
    inspect.UUIDType: uuid.UUID,
    inspect.DateType: datetime.date,
}


def plan(declared: Any) -> Plan:
    """Return which values of a type need no reading back, since nothing of them can change."""
    info = _info(declared)
    found: Plan = {}
    for each in info.types if isinstance(info, inspect.UnionType) else (info,):
        found |= _planned(each, ())
    return found


def _planned(info: Any, above: tuple[type, ...]) -> Plan:
    if isinstance(info, inspect.UnionType):
        found: Plan = {}
        for each in info.types:
            found |= _planned(each, above)
        return found
    if isinstance(info, inspect.EnumType):
        return {info.cls: None} if "_missing_" not in vars(info.cls) else {}
    plain = _PLAIN.get(type(info))
    if plain is not None:
        free = all(getattr(info, name) is None for name in info.__struct_fields__)
        return {plain: None} if free else {}
    if not isinstance(info, inspect.StructType) or info.cls in above:
        return {}
    cls = info.cls
    config = getattr(cls, "__struct_config__", None)
    if config is None or not config.frozen or config.omit_defaults or config.dict or hasattr(cls, "__post_init__"):
        return {}
    parts = tuple((field.name, _planned(field.type, (*above, cls))) for field in info.fields)
    return {cls: parts} if all(part for _, part in parts) and len(parts) == len(cls.__struct_fields__) else {}


def is_plain(value: Any, by: Plan) -> bool:
    """Whether a value is one of those."""
    fields = by.get(type(value), _GONE)
    if fields is None:
        return True
    return fields is not _GONE and all(is_plain(getattr(value, name), part) for name, part in fields)  # type: ignore[attr-defined]
