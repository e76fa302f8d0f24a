"""Values that steps are given and return: of every type that can be stored, and of some that cannot. Pure."""

from __future__ import annotations

import msgspec


class ValueKind(msgspec.Struct, frozen=True):
    """A value, and the type that a step declares for it, as Python."""

    type: str
    value: str
    is_sound: bool = True
    """It comes back equal. If it does not, it is refused before anything is stored."""
    arrives: str | None = None
    """What the step gets, if that is no text of the value itself."""


SOUND: dict[str, ValueKind] = {
    "int": ValueKind("int", "-7"),
    "great int": ValueKind("int", "2**63 - 1"),
    "bool": ValueKind("bool", "True"),
    "float": ValueKind("float", "0.1"),
    "int as float": ValueKind("float", "3", arrives="3.0"),
    "text": ValueKind("str", r"'\u017elu\u0165 \\ \n \" \U0001f600'"),
    "bytes": ValueKind("bytes", r"b'\x00\xff'"),
    "none": ValueKind("int | None", "None"),
    "decimal": ValueKind("Decimal", "Decimal('1.10')"),
    "datetime": ValueKind("dt.datetime", "dt.datetime(2026, 1, 2, 3, 4, 5, 678, dt.UTC)"),
    "zoned": ValueKind("dt.datetime", "dt.datetime(2026, 1, 2, tzinfo=dt.timezone(dt.timedelta(hours=2)))"),
    "date": ValueKind("dt.date", "dt.date(2026, 2, 28)"),
    "time": ValueKind("dt.time", "dt.time(1, 2, 3)"),
    "timedelta": ValueKind("dt.timedelta", "dt.timedelta(days=1, seconds=2)"),
    "uuid": ValueKind("UUID", "UUID(int=7)"),
    "enum": ValueKind("Colour", "Colour.RED"),
    "literal": ValueKind("Literal['eur', 'usd']", "'eur'"),
    "list": ValueKind("list[int]", "[1, 2]"),
    "tuple": ValueKind("tuple[str, int]", "('a', 1)"),
    "set": ValueKind("frozenset[int]", "frozenset({1, 2})"),
    "dict": ValueKind("dict[str, int]", "{'a': 1}"),
    "any": ValueKind("Any", "{'a': [1, None, 'b', 0.5]}"),
    "struct": ValueKind("Line", "Line('pen', 2)"),
    "structs": ValueKind("list[Line]", "[Line('pen', 2), Line('cup', 1)]"),
    "nested": ValueKind("Basket", "Basket(Line('pen', 2), {'cup': Line('cup', 1)})"),
    "dataclass": ValueKind("Point", "Point(1, 2)"),
    "union": ValueKind("Card | Transfer", "Transfer('DE1')"),
    "named tuple": ValueKind("Pair", "Pair(1, 'b')"),
    "typed dict": ValueKind("Address", "Address(street='a', zip=1)"),
    "int enum as int": ValueKind("int", "Level.HIGH", arrives="3"),
    "counter as dict": ValueKind("dict[str, int]", "Counter(a=1)", arrives="{'a': 1}"),
    "exact subclass": ValueKind("Special", "Special('pen', 2, 'x')"),
}
UNSOUND: dict[str, ValueKind] = {
    "subclass": ValueKind("Line", "Special('pen', 2, 'x')", is_sound=False),
    "int keys": ValueKind("Any", "{1: 2}", is_sound=False),
    "tuple as any": ValueKind("Any", "(1, 2)", is_sound=False),
    "decimal as any": ValueKind("Any", "Decimal('1.10')", is_sound=False),
    "datetime as any": ValueKind("Any", "dt.datetime(2026, 1, 2, tzinfo=dt.UTC)", is_sound=False),
    "set as any": ValueKind("Any", "{1, 2}", is_sound=False),
    "sub of text": ValueKind("str", "Tagged('a')", is_sound=False),
    "text as int": ValueKind("int", "'7'", is_sound=False),
    "not a number": ValueKind("float", "float('inf')", is_sound=False),
    "surrogate": ValueKind("str", r"'\ud800'", is_sound=False),
    "object": ValueKind("Any", "object()", is_sound=False),
    "bool as int": ValueKind("int", "True", is_sound=False),
    "list as tuple": ValueKind("tuple[int, ...]", "[1, 2]", is_sound=False),
}
KINDS: dict[str, ValueKind] = SOUND | UNSOUND

TYPES = """
class Colour(enum.Enum):
    RED = "red"


class Level(enum.IntEnum):
    HIGH = 3


class Tagged(str):
    pass


class Line(msgspec.Struct, frozen=True):
    article: str
    count: int


class Special(Line, frozen=True):
    wish: str


class Basket(msgspec.Struct):
    first: Line
    rest: dict[str, Line]


@dataclasses.dataclass
class Point:
    x: int
    y: int


class Card(msgspec.Struct, tag=True):
    number: str


class Transfer(msgspec.Struct, tag=True):
    iban: str


class Pair(NamedTuple):
    a: int
    b: str


class Address(TypedDict):
    street: str
    zip: int
"""
"""Their classes."""


def told(value: object) -> str:  # noqa: PLR0911 - one return per kind
    """A value with its types, as text: two that are equal and of the same types are told the same."""
    name = type(value).__name__
    match value:
        case dict():
            return f"{name}{{{', '.join(sorted(f'{told(k)}: {told(v)}' for k, v in value.items()))}}}"
        case list() | tuple():
            return f"{name}({', '.join(map(told, value))})"
        case set() | frozenset():
            return f"{name}({', '.join(sorted(map(told, value)))})"
        case msgspec.Struct():
            return f"{name}({', '.join(told(getattr(value, field)) for field in value.__struct_fields__)})"
        case BaseExceptionGroup():
            return f"{name}({', '.join(map(told, value.exceptions))})"
        case BaseException():
            return f"{name}{told(value.args)}{told({k: v for k, v in vars(value).items() if not k.startswith('__')})}"
        case bool() | int() | float() | str() | bytes() | None:
            return f"{name} {value!r}"
        case _:
            fields = getattr(value, "__dataclass_fields__", None)
            if fields is not None:
                return f"{name}({', '.join(told(getattr(value, field)) for field in fields)})"
            return f"{name} {value!r}" if type(value) is not object else "object"
