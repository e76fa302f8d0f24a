"""Exceptions as JSON: stored with their class, arguments and attributes, and rebuilt without running any code.

Never pickle: what an engine or a row holds is data, and must not choose what runs in a worker. An exception is rebuilt
only if its class is allowed (:class:`AllowedErrors`), and without its own ``__init__`` or ``__new__``. What is rebuilt
is equal to what was stored: a value that JSON cannot bring back makes the exception not storable
(:func:`why_not_storable`), and then only its class and text are kept. Where an attribute is such a value, the state
counts that the class itself gives in ``__reduce__``, if that is plain: of psycopg's errors ``diag``, without the
result. Exceptions of classes that no app has added may carry a library's text, so secrets are masked in their values.
Lost: traceback, ``__cause__``, ``__context__``.
"""

from __future__ import annotations

import base64
import builtins
import datetime
import decimal
import enum
import types
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from recordfirst import errors
from recordfirst.core.text import class_name, masked, safe_text, storable_text

TYPE: Final = "__type"
"""The mark of an error in what the engine stores; the SDK's own, so other workers read at least its ``message``."""


class AllowedErrors:
    """The classes that an exception may be rebuilt as, by their full names.

    Always: recordfirst's own errors, the built-in exceptions, and subclasses of ``Declined``. An app adds what it
    declares.
    """

    def __init__(self, classes: Iterable[type[Exception]] = ()) -> None:
        self._exact: dict[str, type[Exception]] = dict(_ALWAYS)
        self._roots: list[type[Exception]] = [errors.Declined]
        self.add(*classes)

    def add(self, *classes: type[Exception]) -> None:
        """Allow these classes, and those of their subclasses that exist when an exception is looked up."""
        self._roots += [cls for cls in classes if cls not in self._roots]
        for cls in classes:
            self._note(cls)

    def find(self, name: str) -> type[Exception] | None:
        """Return the allowed class of this full name."""
        if name not in self._exact:
            for root in self._roots:
                self._note(root)
        return self._exact.get(name)

    def __contains__(self, cls: type[BaseException]) -> bool:
        return self.find(full_name(cls)) is cls

    def is_added(self, cls: type[BaseException]) -> bool:
        """Whether an app added this class or one that it inherits from, and so vouches for what it carries."""
        return any(issubclass(cls, root) for root in self._roots if root is not errors.Declined)

    def _note(self, cls: type[Exception]) -> None:
        if cls.__module__ == "builtins":  # every exception is a subclass of Exception: it allows itself alone
            return
        self._exact[full_name(cls)] = cls
        for child in cls.__subclasses__():
            self._note(child)


def full_name(cls: type) -> str:
    """Return module and qualified name of a class."""
    return f"{cls.__module__}.{cls.__qualname__}"


def encode(error: BaseException, allowed: AllowedErrors) -> dict[str, Any]:
    """Return an exception as plain JSON types; :func:`decode` rebuilds it. Total.

    Of a class that is not allowed, or of an exception that is not storable, only class and message are kept.
    """
    stored: dict[str, Any] = {TYPE: "error", "message": safe_text(error)}
    stored["class"] = storable_text(full_name(type(error)))
    if type(error) not in allowed:
        return stored
    try:
        if isinstance(error, BaseExceptionGroup):
            stored["errors"] = [encode(each, allowed) for each in error.exceptions]
        return stored | _parts(error, _exactly if allowed.is_added(type(error)) else masked)
    except (_NotPlainError, RecursionError):
        return stored


def decode(stored: Any, allowed: AllowedErrors, otherwise: Callable[[str], Exception]) -> Exception:
    """Rebuild what :func:`encode` made; ``otherwise`` makes an exception of the text of what cannot be rebuilt."""
    if not isinstance(stored, Mapping):
        return otherwise(f"unknown error: {stored!r}")
    message = stored.get("message")
    text = message if isinstance(message, str) else f"unknown error: {dict(stored)!r}"
    name = stored.get("class")
    if not isinstance(name, str):
        return otherwise(text)
    cls = allowed.find(name)
    if cls is not None and "args" in stored:
        try:
            return _rebuilt(cls, stored, allowed, otherwise)
        except Exception:  # noqa: BLE001 - what cannot be rebuilt (another version of the class) is told by its text
            cls = None
    # A class is named as a traceback names it.
    return otherwise(f"{name.removeprefix('builtins.').removeprefix('__main__.')}: {text}")


def why_not_storable(error: BaseException) -> str | None:
    """Say why an exception could not be rebuilt as it is, if its class were allowed; ``None`` if it could."""
    if not isinstance(error, Exception):
        return f"{class_name(error)} is no Exception"
    try:
        stored = _parts(error)
        if isinstance(error, BaseExceptionGroup):
            reasons = [reason for each in error.exceptions if (reason := why_not_storable(each)) is not None]
            return f"one of its exceptions: {reasons[0]}" if reasons else None
        _rebuilt(type(error), stored, None, errors.Misuse)
    except _NotPlainError as refused:
        return str(refused)
    except Exception as failure:  # noqa: BLE001 - of the class's own code: then it cannot be rebuilt
        return f"{class_name(error)} cannot be rebuilt: {safe_text(failure)}"
    return None


def why_class_not_storable(cls: type[Exception]) -> str | None:
    """Say why no exception of this class could be rebuilt; ``None`` if one could."""
    base: type = cls
    while base.__module__ != "builtins":
        if "__new__" in vars(base):
            return f"{base.__qualname__} has a __new__ of its own, which is not run when an exception is rebuilt"
        base = base.__base__ or Exception
    return None


# ── taking apart and putting together ───────────────────────────────────────


def _exactly(text: str) -> str:
    return text


def _parts(error: BaseException, told: Callable[[str], str] = _exactly) -> dict[str, Any]:
    """Its arguments and attributes, with each text in them as ``told``. Raises ``_NotPlainError``."""
    try:
        given = error.args[:1] if isinstance(error, BaseExceptionGroup) else error.args
        args = [_plain(value, f"its argument {number}", told) for number, value in enumerate(given, 1)]
        own = getattr(error, "__dict__", {})
        try:
            state = _state({**own, **_members(error)}, told)
        except _NotPlainError:
            if (reduced := _reduced(error)) is None:
                raise
            state = _state({**reduced, **_members(error)}, told)
    except RecursionError as endless:
        raise _NotPlainError("it holds itself, or is nested too deeply") from endless
    return {"args": args, "state": state} if state else {"args": args}


def _state(attributes: Mapping[str, Any], told: Callable[[str], str]) -> dict[str, Any]:
    return {_named(name): _plain(value, f"its attribute {name!r}", told) for name, value in attributes.items()}


def _reduced(error: BaseException) -> dict[str, Any] | None:
    """The attributes that the class itself leaves to a copy of its exception in another process (``__reduce__``).

    A driver's error holds the driver's own result, and says here in plain values what of it counts. ``None``: the class
    says nothing, or would make the copy otherwise than by its arguments and attributes.
    """
    owner = next(each for each in type(error).__mro__ if "__reduce__" in vars(each))
    if owner.__module__ == "builtins":
        return None
    kept = dict(vars(error))
    try:
        made = error.__reduce__()
    except Exception as failure:
        raise _NotPlainError(f"its __reduce__ raised {class_name(failure)}") from failure
    else:
        if not isinstance(made, tuple) or made[:2] != (type(error), error.args):
            return None
        state = next(iter(made[2:]), None)
        return {name: _numbered(each) for name, each in state.items()} if isinstance(state, dict) else None
    finally:
        # Python gives the attributes themselves to __reduce__, and what it changes would change in the error.
        vars(error).clear()
        vars(error).update(kept)


def _numbered(value: Any) -> Any:
    """A dict whose names of numbers (``IntEnum``) are the numbers, which are equal to them, and found by them."""
    if type(value) is not dict:
        return value
    return {int(key) if isinstance(key, enum.IntEnum) else key: each for key, each in value.items()}


def _named(name: str) -> str:
    if name.lower().strip("_") in _CREDENTIALS:
        raise _NotPlainError(f"its attribute {name!r} may carry credentials")
    return name


def _members(error: BaseException) -> dict[str, Any]:
    """What is kept outside its ``__dict__``: in ``__slots__``, and in the fields of the built-in classes."""
    found = {}
    for name in _fields(type(error)):
        value = getattr(error, name, None)
        if value is not None:
            found[name] = value
    return found


def _fields(cls: type) -> set[str]:
    owners = [each for each in cls.__mro__ if each not in (object, BaseException, BaseExceptionGroup)]
    kinds = (types.MemberDescriptorType, types.GetSetDescriptorType)
    named = [(name, kind) for each in owners for name, kind in vars(each).items()]
    return {name for name, kind in named if isinstance(kind, kinds) and name[:2] != "__"}


def _rebuilt(
    cls: type[Exception],
    stored: Mapping[str, Any],
    allowed: AllowedErrors | None,
    otherwise: Callable[[str], Exception],
) -> Exception:
    base: type = cls
    while base.__module__ != "builtins":
        base = base.__base__ or Exception
    args = tuple(_value(each) for each in stored["args"])
    if issubclass(cls, BaseExceptionGroup) and allowed is not None:
        args = (*args[:1], [decode(each, allowed, otherwise) for each in stored["errors"]])
        error: Exception = base.__new__(cls, *args)
    else:
        error = base.__new__(cls, *args)
        error.args = args
    fields = _fields(cls)
    for name, value in stored.get("state", {}).items():
        if name in fields:
            setattr(error, name, _value(value))
        elif name[:2] == "__" and name != "__notes__":
            raise _NotPlainError(f"{name} is no attribute to set")
        else:
            vars(error)[name] = _value(value)
    return error


# ── values ──────────────────────────────────────────────────────────────────


class _NotPlainError(Exception):
    """A value that JSON could not bring back as it is."""


_TAG, _OF = "$", "of"
_CREDENTIALS = frozenset(("headers", "request_headers", "authorization", "auth", "password", "api_key", "apikey"))
_BIGGEST = 2**53

_TO_TEXT: dict[type, tuple[str, Callable[[Any], str]]] = {
    int: ("int", str),  # bigger than what every reader of JSON takes
    float: ("float", repr),  # a store may write 1.0 as 1
    bytes: ("bytes", lambda value: base64.b64encode(value).decode()),
    decimal.Decimal: ("decimal", str),
    uuid.UUID: ("uuid", str),
    datetime.date: ("date", datetime.date.isoformat),
    datetime.datetime: ("datetime", datetime.datetime.isoformat),
    datetime.timedelta: ("timedelta", lambda value: f"{value.days} {value.seconds} {value.microseconds}"),
}
_FROM_TEXT: dict[str, Callable[[str], Any]] = {
    "int": int,
    "float": float,
    "text": lambda text: base64.b64decode(text).decode("utf-16-le", "surrogatepass"),
    "bytes": base64.b64decode,
    "decimal": decimal.Decimal,
    "uuid": uuid.UUID,
    "date": datetime.date.fromisoformat,
    "datetime": datetime.datetime.fromisoformat,
    "timedelta": lambda text: datetime.timedelta(*map(int, text.split())),
}


def _plain(value: Any, what: str, told: Callable[[str], str]) -> Any:
    """Return a value in JSON's types, with a tag where these alone would bring back another one."""
    cls = type(value)
    if value is None or cls is bool or (cls is int and abs(value) <= _BIGGEST):
        return value
    if cls is str:
        return _plain_text(told(value))
    if cls in (list, tuple):
        each = [_plain(item, what, told) for item in value]
        return each if cls is list else {_TAG: "tuple", _OF: each}
    if cls is dict:
        pairs = [[_plain(key, what, told), _plain(item, what, told)] for key, item in value.items()]
        is_safe = all(type(key) is str for key, _ in pairs) and _TAG not in value
        return dict(pairs) if is_safe else {_TAG: "dict", _OF: pairs}
    has_zone_of_its_own = cls is datetime.datetime and type(value.tzinfo) not in (types.NoneType, datetime.timezone)
    if cls not in _TO_TEXT or has_zone_of_its_own:
        raise _NotPlainError(f"{what} is or holds {class_name(value)}, which cannot be stored with an error")
    tag, to_text = _TO_TEXT[cls]
    return {_TAG: tag, _OF: to_text(value)}


def _plain_text(text: str) -> Any:
    if storable_text(text) == text:
        return text
    return {_TAG: "text", _OF: base64.b64encode(text.encode("utf-16-le", "surrogatepass")).decode()}


def _value(plain: Any) -> Any:
    if isinstance(plain, list):
        return [_value(each) for each in plain]
    if not isinstance(plain, dict):
        return plain
    if _TAG not in plain:
        return {name: _value(each) for name, each in plain.items()}
    tag, of = plain[_TAG], plain[_OF]
    if tag == "tuple":
        return tuple(_value(each) for each in of)
    if tag == "dict":
        return {_value(key): _value(each) for key, each in of}
    return _FROM_TEXT[tag](of)


_ALWAYS: dict[str, type[Exception]] = {
    full_name(cls): cls
    for module in (builtins, errors)
    for cls in vars(module).values()
    if isinstance(cls, type) and issubclass(cls, Exception) and cls.__module__ in ("builtins", errors.__name__)
}
