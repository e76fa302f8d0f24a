"""Key templates: ``"order:{order.id}:charge"``, checked when the step is declared, rendered from its arguments.

A key is what keeps an effect from happening twice (P3), so what would make it vague is refused: a missing field, an
empty value, ``None``.
"""

from __future__ import annotations

import enum
import string
import uuid
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from functools import cache
from typing import Any

import msgspec

from recordfirst.core import identity
from recordfirst.errors import BadKey

_PLAIN_TYPES = (str, int, uuid.UUID, date, Decimal, enum.Enum)
"""Types whose text is one and the same on every run. Floats are not: their text is not their identity."""


class Template(msgspec.Struct, frozen=True):
    """A parsed key template."""

    text: str
    names: tuple[str, ...]
    """The parameters that it reads."""

    @property
    def fields(self) -> frozenset[str]:
        """What it reads, as it is written: ``order.id``."""
        return frozenset(field for _, field in _parts(self.text) if field is not None)

    def render(self, arguments: Mapping[str, Any], step: str) -> str:
        """Return the key for these arguments.

        Raises:
            BadKey: if a field is missing, empty, or has no fixed text, or the key is too long.
        """
        parts: list[str] = []
        for literal, field in _parts(self.text):
            parts.append(literal)
            if field is not None:
                parts.append(self._value(field, arguments, step))
        return identity.check_key("".join(parts), step)

    def _value(self, field: str, arguments: Mapping[str, Any], step: str) -> str:
        name, *path = field.split(".")
        place = f"key {self.text!r} of {step}: {{{field}}}"
        if name not in arguments or name in getattr(arguments, "defaulted", ()):
            raise BadKey(f"{place} names an argument that the call did not give")
        value = arguments[name]
        for attribute in path:
            try:
                value = value[attribute] if isinstance(value, Mapping) else getattr(value, attribute)
            except (AttributeError, KeyError):
                raise BadKey(f"{place}: {type(value).__name__} has no {attribute!r}") from None
        if isinstance(value, enum.Enum):
            value = value.value
        if isinstance(value, bool) or not isinstance(value, _PLAIN_TYPES):
            raise BadKey(
                f"{place} is {type(value).__name__}; a key is made of text, whole numbers, dates, UUIDs or enums"
            )
        text = str(value)
        if not text.strip():
            raise BadKey(f"{place} is {text!r}, which tells nothing apart")
        if "\0" in text or _is_broken(text):
            raise BadKey(f"{place} is {text!r}, which no store can carry")
        return text


@cache  # there are as many as the program declares
def _parts(text: str) -> tuple[tuple[str, str | None], ...]:
    return tuple((literal, field) for literal, field, _, _ in string.Formatter().parse(text))


def parse(text: str, step: str, parameters: Mapping[str, Any]) -> Template:
    """Parse a template for a step whose parameters, with their types where known, are given.

    Raises:
        BadKey: if it is malformed, or names a parameter or field that is not there.
    """
    if not text.strip():
        raise BadKey(f"the key of {step} is empty")
    try:
        fields = [(field, spec, conversion) for _, field, spec, conversion in string.Formatter().parse(text)]
    except ValueError as error:
        raise BadKey(f"key {text!r} of {step} is malformed: {error}") from None
    names: list[str] = []
    for field, spec, conversion in fields:
        if field is None:
            continue
        if spec or conversion or "[" in field or not all(part.isidentifier() for part in field.split(".")):
            raise BadKey(f"key {text!r} of {step}: write {{name}} or {{name.field}}, not {{{field}}}")
        name, *path = field.split(".")
        if name not in parameters:
            raise BadKey(f"key {text!r} of {step} names {name!r}; its parameters are {', '.join(parameters) or 'none'}")
        _check_path(parameters[name], path, f"key {text!r} of {step}: {{{field}}}")
        names.append(name)
    return Template(text, tuple(dict.fromkeys(names)))


def _is_broken(text: str) -> bool:
    """Half a surrogate pair, as it comes from JSON."""
    return not text.isascii() and any("\ud800" <= character <= "\udfff" for character in text)


def _check_path(type_: Any, path: list[str], place: str) -> None:
    """Follow declared fields as far as types are known; an unknown type is left to the rendering."""
    for attribute in path:
        fields = getattr(type_, "__struct_fields__", None) or getattr(type_, "__dataclass_fields__", None)
        if fields is None:
            return
        if attribute not in fields and not hasattr(type_, attribute):
            raise BadKey(f"{place}: {type_.__name__} has no field {attribute!r}; it has {', '.join(fields)}")
        annotations = getattr(type_, "__annotations__", {})
        type_ = annotations.get(attribute)
