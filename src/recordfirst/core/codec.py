"""JSON as it is stored: canonical, never pickle; and the shapes of arguments and results.

One value has one text, so that a fingerprint of the text is a fingerprint of the value. What JSON cannot carry is
refused with the type and the field named, before anything depends on it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import Any

import msgspec

from recordfirst.core.text import text_of
from recordfirst.errors import Unencodable


def encode(value: Any, what: str) -> str:
    """Return ``value`` as canonical JSON text. ``what`` names it in the error.

    Raises:
        Unencodable: naming the type and the path of the first value that JSON cannot carry.
    """
    try:
        return _text(value)
    except RecursionError as error:
        raise Unencodable(f"{what} cannot be stored as JSON: it holds itself, or is nested too deeply") from error
    except _REFUSED as error:
        path, culprit = _first_unencodable(value, "")
        place = f"its field {path.lstrip('.')!r}" if path else "it"
        message = f"{what} cannot be stored as JSON: {place} is {type_name(culprit)} ({_one_line(error)})"
        raise Unencodable(message) from error


_REFUSED = (TypeError, ValueError, OverflowError, msgspec.MsgspecError, RecursionError)
_STRICT = json.JSONEncoder(allow_nan=False)


def _text(value: Any) -> str:
    text = msgspec.json.encode(value, enc_hook=_model_to_builtins, order="deterministic").decode()
    # What follows looks at every value, so only where the text shows that it could find something.
    if "null" in text:
        # msgspec makes null of NaN without a word; this encoder refuses it.
        _STRICT.encode(to_builtins(value))
    if "[[" in text and _holds_sets_of_sets(value):
        raise ValueError("sets of sets have no order")
    return text


def _holds_sets_of_sets(value: Any, *, in_set: bool = False) -> bool:
    """Find what has no order: sets compare as subsets, so sorting them gives another text in another process."""
    is_set = isinstance(value, AbstractSet)
    if is_set and in_set:
        return True
    return any(_holds_sets_of_sets(child, in_set=in_set or is_set) for _, child in _children(value))


def told(text: str) -> str:
    """Return what somebody else has said as every store can carry it: half a surrogate pair, or NUL, becomes U+FFFD."""
    if text.isascii() and "\0" not in text:
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").replace("\0", "\ufffd")


def decode(text: str) -> Any:
    """Return the plain builtins that ``text`` stands for."""
    return msgspec.json.decode(text)


def shape[T](value: Any, type_: type[T], what: str) -> T:
    """Turn builtins, as :func:`decode` gives them, into ``type_``. ``what`` names it in the error.

    Raises:
        Unencodable: if the value does not have that shape.
    """
    try:
        return msgspec.convert(value, type_, dec_hook=_model_from_builtins)
    except (TypeError, ValueError, msgspec.MsgspecError) as error:
        message = f"{what} is not {type_name(type_)}: {_one_line(error)}"
        raise Unencodable(message) from error


def to_builtins(value: Any) -> Any:
    """Return ``value`` as JSON's own types would bring it back."""
    return msgspec.to_builtins(value, enc_hook=_model_to_builtins, str_keys=True)


def storable(type_: Any) -> str | None:
    """Say why values of ``type_`` could not be stored, and read back, as JSON; ``None`` if they can, or if nothing is
    known: of what is not declared, and of what a model of the user's does, each value must tell.
    """
    try:
        msgspec.json.Decoder(type_, dec_hook=_model_from_builtins)
    except TypeError as error:
        return _one_line(error)
    return next((why for info in _parts(msgspec.inspect.type_info(type_), set()) if (why := _never_back(info))), None)


def has_shape(type_: Any) -> bool:
    """Whether JSON can be read as this type at all: as a Protocol, say, or a class of the user's, it cannot."""
    try:
        msgspec.json.Decoder(type_, dec_hook=_model_from_builtins)
    except TypeError:
        return False
    customs = [i for i in _parts(msgspec.inspect.type_info(type_), set()) if isinstance(i, msgspec.inspect.CustomType)]
    return all(hasattr(custom.cls, "model_validate") or custom.cls is object for custom in customs)


def _never_back(info: Any) -> str | None:
    """Say why no value of this type, or hardly one, comes back."""
    match info:
        case msgspec.inspect.CustomType(cls):
            if hasattr(cls, "model_validate"):
                return _hidden(cls)
            return None if cls is object else f"{type_name(cls)} is not a type that JSON can carry"
        case msgspec.inspect.RawType():
            return "msgspec.Raw is text of any form, and JSON is stored in one"
        case msgspec.inspect.DictType():
            if not all(_is_text(each) for each in _branches(info.key_type)):
                return "the keys of a dict are text in JSON; write str for their type, or a StrEnum"
        case msgspec.inspect.SetType() | msgspec.inspect.FrozenSetType():
            if any(isinstance(each, _SETS) for each in _branches(info.item_type)):
                return "sets of sets have no order"
    return None


_SETS = (msgspec.inspect.SetType, msgspec.inspect.FrozenSetType)


def _branches(info: Any) -> list[Any]:
    while isinstance(info, msgspec.inspect.Metadata):
        info = info.type
    return [each for one in info.types for each in _branches(one)] if hasattr(info, "types") else [info]


def _is_text(info: Any) -> bool:
    """Whether a key of this type is text, as msgspec writes it, or tells by its value."""
    if isinstance(info, msgspec.inspect.LiteralType):
        return all(isinstance(value, str) for value in info.values)
    if isinstance(info, msgspec.inspect.EnumType):
        return issubclass(info.cls, str)
    return isinstance(info, msgspec.inspect.StrType | msgspec.inspect.AnyType)


def _hidden(cls: Any) -> str | None:
    """Say which field of a Pydantic model is left out, or masked, when it is dumped, unless it says how to dump it."""
    said = getattr(cls, "__pydantic_decorators__", None)
    if getattr(said, "field_serializers", None) or getattr(said, "model_serializers", None):
        return None
    if getattr(cls, "model_config", {}).get("json_encoders"):
        return None
    for name, field in getattr(cls, "model_fields", {}).items():
        if getattr(field, "exclude", None) is True and field.is_required():
            return f"field {name!r} of {type_name(cls)} is left out when it is dumped, and it is required"
        if "Secret" in getattr(getattr(field, "annotation", None), "__name__", "") and field.is_required():
            return f"field {name!r} of {type_name(cls)} is masked when it is dumped"
    return None


def _parts(info: Any, seen: set[int]) -> Iterator[Any]:
    """Find what a type is made of, however deep."""
    if id(info) in seen:
        return
    seen.add(id(info))
    yield info
    for name in info.__struct_fields__:
        value = getattr(info, name)
        for child in value if isinstance(value, tuple) else (value,):
            if isinstance(child, (msgspec.inspect.Type, msgspec.inspect.Field)):
                yield from _parts(child, seen)


def fingerprint(*parts: str) -> str:
    """Return the hash by which two requests are compared: 128 bits of SHA-256, hex."""
    return hashlib.sha256("\x00".join(parts).encode()).hexdigest()[:32]


def differences(stored: str, given: str) -> str:
    """Name the fields in which two JSON texts differ, without their values, which may be nobody's business."""
    paths = list(_different(decode(stored), decode(given), ""))
    shown = ", ".join(path.lstrip(".") or "everything" for path in paths[:_SHOWN])
    return shown + (f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else "")


_SHOWN = 4
"""Fields that an error names."""


def _different(stored: Any, given: Any, path: str) -> Iterator[str]:
    if isinstance(stored, dict) and isinstance(given, dict):
        for name in sorted(stored.keys() | given.keys()):
            yield from _different(stored.get(name), given.get(name), f"{path}.{name}")
    elif isinstance(stored, list) and isinstance(given, list) and len(stored) == len(given):
        for index, (one, other) in enumerate(zip(stored, given, strict=True)):
            yield from _different(one, other, f"{path}[{index}]")
    elif stored != given:
        yield path


def _model_to_builtins(value: Any) -> Any:
    """Encode Pydantic-like models, without importing Pydantic."""
    if hasattr(value, "model_dump"):
        return _sort_sets(value.model_dump(mode="json"), value.model_dump())
    raise TypeError(f"objects of type {type_name(value)} are not JSON")


def _sort_sets(dumped: Any, original: Any) -> Any:
    """Give lists that were sets an order: their own is another one in another process."""
    if isinstance(original, dict) and isinstance(dumped, dict) and len(original) == len(dumped):
        pairs = zip(dumped.items(), original.values(), strict=True)
        return {name: _sort_sets(child, before) for (name, child), before in pairs}
    if not isinstance(dumped, list):
        return dumped
    if isinstance(original, AbstractSet):
        return sorted(dumped, key=lambda child: msgspec.json.encode(child, order="deterministic"))
    if isinstance(original, (list, tuple)) and len(original) == len(dumped):
        return [_sort_sets(child, before) for child, before in zip(dumped, original, strict=True)]
    return dumped


def _model_from_builtins(type_: Any, value: Any) -> Any:
    if hasattr(type_, "model_validate"):
        return type_.model_validate(value)
    if isinstance(type_, type) and isinstance(value, type_):
        return value
    raise TypeError(f"{type_name(type_)} cannot be read from JSON")


def _first_unencodable(value: Any, path: str) -> tuple[str, Any]:
    """Find the innermost value that does not encode. Runs only once something is known not to."""
    for name, child in _children(value):
        try:
            _text(child)
        except _REFUSED:
            if len(path) > 200:  # noqa: PLR2004 - deep enough for a message; a cycle would go on for ever
                return path, child
            return _first_unencodable(child, f"{path}{name}")
    return path, value


def _children(value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [(f".{key}", child) for key, child in value.items()]
    if isinstance(value, (list, tuple)):
        return [(f"[{index}]", child) for index, child in enumerate(value)]
    if isinstance(value, AbstractSet):
        return [("{}", child) for child in value]
    fields = getattr(value, "__struct_fields__", None) or getattr(value, "__dataclass_fields__", None) or ()
    return [(f".{name}", getattr(value, name)) for name in fields if hasattr(value, name)]


def type_name(value: Any) -> str:
    """Name a type, or a value's, as a program does."""
    type_ = value if isinstance(value, type) else type(value)
    if type_.__module__ in ("builtins", "__main__"):
        return type_.__qualname__
    return f"{type_.__module__}.{type_.__qualname__}"


def _one_line(error: BaseException) -> str:
    return text_of(error).strip().split("\n", 1)[0] or type(error).__name__
