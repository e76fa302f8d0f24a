"""Values that steps take and return: of every type that can be stored, and of some that cannot. Pure."""

from __future__ import annotations

import datetime
import importlib.util
from collections.abc import Iterable

import msgspec


class ValueKind(msgspec.Struct, frozen=True):
    """A value, and the type that a step declares for it, both as Python expressions."""

    type: str
    value: str
    is_sound: bool = True
    """It comes back equal. If it does not, it is refused before anything is stored."""
    arrives: str | None = None
    """The value that the step gets, if it is written otherwise."""
    is_model: bool = False
    """Whether it needs Pydantic."""


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
    "great decimal": ValueKind("Decimal", "Decimal('12345678901234567890.123456789')"),
    "decimal with exponent": ValueKind("Decimal", "Decimal('1E+3')"),
    "negative nothing": ValueKind("Decimal", "Decimal('-0.00')"),
    "negative zero": ValueKind("float", "-0.0"),
    "naive": ValueKind("dt.datetime", "dt.datetime(2026, 1, 2, 3, 4, 5)"),
    "first year": ValueKind("dt.datetime", "dt.datetime(1, 1, 1, tzinfo=dt.UTC)"),
    "summer": ValueKind("dt.datetime", "dt.datetime(2026, 7, 2, tzinfo=ZoneInfo('Europe/Prague'))"),
    "zoned time": ValueKind("dt.time", "dt.time(1, 2, 3, tzinfo=dt.UTC)"),
    "before": ValueKind("dt.timedelta", "dt.timedelta(days=-1, microseconds=1)"),
    "text enum": ValueKind("Size", "Size.BIG"),
    "text enum as text": ValueKind("str", "Size.BIG", arrives="'big'"),
    "int enum": ValueKind("Level", "Level.HIGH"),
    "dict by enum": ValueKind("dict[Size, int]", "{Size.BIG: 1}"),
    "set of enums": ValueKind("set[Colour]", "{Colour.RED}"),
    "list of bytes": ValueKind("list[bytes]", r"[b'\x00', b'']"),
    "tuple of any length": ValueKind("tuple[int, ...]", "(1, 2, 3)"),
    "deep": ValueKind("dict[str, list[tuple[int, Line]]]", "{'a': [(1, Line('pen', 2))], 'b': []}"),
    "struct or none": ValueKind("Line | None", "Line('pen', 2)"),
    "list of a union": ValueKind("list[Card | Transfer]", "[Card('1'), Transfer('DE1')]"),
    "renamed fields": ValueKind("Camel", "Camel(first_name='a', last_name='b')"),
    "omitted defaults": ValueKind("Sparse", "Sparse(count=2)"),
    "fields in a row": ValueKind("Row", "Row(1, 'b')"),
    "generic": ValueKind("Box[int]", "Box(3)"),
    "frozen dataclass": ValueKind("Frozen", "Frozen(Colour.RED, (1, 2))"),
    "child of a dataclass": ValueKind("Point3", "Point3(1, 2, 3)"),
    "dataclass with a list": ValueKind("Many", "Many([Point(1, 2)], {'a': Colour.RED})"),
    "long text": ValueKind("str", "'x' * 5_000"),
    "no text": ValueKind("str", "''"),
    "nul": ValueKind("str", r"'a\0b'"),
    "model": ValueKind("Item", "Item(name='pen', price=Decimal('1.10'), colour=Colour.RED)", is_model=True),
    "models": ValueKind("list[Item]", "[Item(name='pen', price=Decimal('2'), colour=Colour.RED)]", is_model=True),
    "model in a model": ValueKind(
        "Cart",
        "Cart(items=[Item(name='a', price=Decimal('0'), colour=Colour.RED)], at=dt.datetime(2026, 1, 2, tzinfo=dt.UTC),"
        " tags={'b', 'a'}, line=Point(1, 2))",
        is_model=True,
    ),
    "open model": ValueKind("Open", "Open(a=1, b='more')", is_model=True),
    "model or none": ValueKind("Item | None", "None", is_model=True),
    "generic model": ValueKind("Page[int]", "Page[int](content=[1, 2])", is_model=True),
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
    "int keys, declared": ValueKind("dict[int, str]", "{1: 'a'}", is_sound=False),
    "fold": ValueKind("dt.datetime", "dt.datetime(2026, 10, 25, 2, 30, fold=1)", is_sound=False),
    "sub of int": ValueKind("int", "Cents(5)", is_sound=False),
    "moment as day": ValueKind("dt.date", "dt.datetime(2026, 1, 2, tzinfo=dt.UTC)", is_sound=False),
    "great int as float": ValueKind("float", "2**53 + 1", is_sound=False),
    "decimal as float": ValueKind("float", "Decimal('0.1')", is_sound=False),
    "enum as any": ValueKind("Any", "Colour.RED", is_sound=False),
    "bytes as any": ValueKind("Any", "b'a'", is_sound=False),
    "uuid as any": ValueKind("Any", "UUID(int=7)", is_sound=False),
    "dataclass as any": ValueKind("Any", "Point(1, 2)", is_sound=False),
    "child as its parent": ValueKind("Point", "Point3(1, 2, 3)", is_sound=False),
    "counter as any": ValueKind("Any", "Counter(a=1)", is_sound=False),
    "model as any": ValueKind(
        "Any", "Item(name='pen', price=Decimal('1.10'), colour=Colour.RED)", is_sound=False, is_model=True
    ),
    "child of a model": ValueKind(
        "Item", "Dear(name='pen', price=Decimal('1'), colour=Colour.RED, wish='x')", is_sound=False, is_model=True
    ),
    "secret": ValueKind("Login", "Login(name='a', password='b')", is_sound=False, is_model=True),
    "excluded": ValueKind("Noted", "Noted(name='a', note='b')", is_sound=False, is_model=True),
    "private": ValueKind("Counted", "Counted.of('a', 3)", is_sound=False, is_model=True),
    "alias": ValueKind("Aliased", "Aliased(fullName='a')", is_sound=False, is_model=True),
}
KINDS: dict[str, ValueKind] = SOUND | UNSOUND

_HAS_MODELS = importlib.util.find_spec("pydantic") is not None


def kinds(*, sound: bool) -> list[str]:
    """The kinds that are available here."""
    return [name for name, kind in (SOUND if sound else UNSOUND).items() if _HAS_MODELS or not kind.is_model]


TYPES = """
class Colour(enum.Enum):
    RED = "red"


class Size(enum.StrEnum):
    BIG = "big"


class Level(enum.IntEnum):
    HIGH = 3


class Tagged(str):
    pass


class Cents(int):
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


class Camel(msgspec.Struct, rename="camel"):
    first_name: str
    last_name: str


class Sparse(msgspec.Struct, omit_defaults=True):
    article: str = "pen"
    count: int = 1


class Row(msgspec.Struct, array_like=True):
    a: int
    b: str


class Box[T](msgspec.Struct):
    content: T


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    colour: Colour
    sizes: tuple[int, int]


@dataclasses.dataclass
class Point3(Point):
    z: int


@dataclasses.dataclass
class Many:
    points: list[Point] = dataclasses.field(default_factory=list)
    colours: dict[str, Colour] = dataclasses.field(default_factory=dict)
"""
"""Their classes."""

MODELS = """
import pydantic


class Item(pydantic.BaseModel):
    name: str
    price: Decimal
    colour: Colour


class Dear(Item):
    wish: str


class Cart(pydantic.BaseModel):
    items: list[Item]
    at: dt.datetime
    tags: set[str]
    line: Point


class Open(pydantic.BaseModel, extra="allow"):
    a: int


class Page[T](pydantic.BaseModel):
    content: list[T]


class Login(pydantic.BaseModel):
    name: str
    password: pydantic.SecretStr


class Noted(pydantic.BaseModel):
    name: str
    note: str = pydantic.Field(default="", exclude=True)


class Counted(pydantic.BaseModel):
    name: str
    _times: int = pydantic.PrivateAttr(default=0)

    @classmethod
    def of(cls, name: str, times: int) -> "Counted":
        made = cls(name=name)
        made._times = times
        return made


class Aliased(pydantic.BaseModel):
    name: str = pydantic.Field(alias="fullName")
"""
"""The Pydantic classes: in the source of a program that has such a value."""


def types(program_kinds: Iterable[str | None]) -> str:
    """The classes that values of these kinds need."""
    return TYPES + (MODELS if any(KINDS[name].is_model for name in program_kinds if name is not None) else "")


def told(value: object) -> str:  # noqa: PLR0911 - one return per kind
    """The text of a value with its types: two values that are equal and of the same types have the same text."""
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
            own = {k: v for k, v in vars(value).items() if not k.startswith(("__", "_recordfirst"))}
            return f"{name}{told(value.args)}{told(own)}"
        case datetime.datetime() if value.tzinfo is not None:
            return f"{name} {value.isoformat()}"  # a zone comes back as its offset, of another class
        case bool() | int() | float() | str() | bytes() | None:
            return f"{name} {value!r}"
        case _:
            if hasattr(value, "model_dump"):
                private = getattr(value, "__pydantic_private__", None) or {}
                return f"{name}({told(vars(value))}, {told(private)}, {told(getattr(value, 'model_extra', None))})"
            fields = getattr(value, "__dataclass_fields__", None)
            if fields is not None:
                return f"{name}({', '.join(told(getattr(value, field)) for field in fields)})"
            return f"{name} {value!r}" if type(value) is not object else "object"
