"""P5, P12: an exception that is stored comes back as itself or as its text, and never chooses what runs."""

from __future__ import annotations

import datetime
import decimal
import enum
import json
import pickle
import uuid
from typing import Any, ClassVar

import pytest

from recordfirst import errors
from recordfirst.core.exceptions import AllowedErrors, decode, encode, full_name, why_not_storable
from recordfirst.core.text import text_of


class TextError(Exception):
    """What becomes of an exception that cannot be rebuilt."""


class OutOfStockError(Exception):
    def __init__(self, sku, left, **more):
        self.sku, self.left = sku, left
        vars(self).update(more)
        super().__init__(f"{sku}: {left} left")


class SlottedError(Exception):
    __slots__ = ("sku",)

    def __init__(self, sku):
        self.sku = sku


class NoDiskError(OSError):
    def __init__(self, path):
        super().__init__(28, "no space", path)
        self.path = path


class CardDeclined(errors.Declined):
    """A subclass of an allowed class."""


class UnreadableError(Exception):
    def __init__(self, failure):
        self.args, self.failure_name = (), type(failure).__name__
        self._failure.append(failure)

    _failure: ClassVar[list[BaseException]] = []

    def __str__(self):
        raise self._failure.pop()


class RunsError(Exception):
    """Notes whenever code of its own runs."""

    ran: ClassVar[list[str]] = []

    def __init__(self, *args):
        self.ran.append("init")

    def __new__(cls, *args):
        cls.ran.append("new")
        return super().__new__(cls, *args)

    def __reduce__(self):
        return self.ran.append, ("reduce",)

    @property
    def sku(self):
        return None

    @sku.setter
    def sku(self, value):
        self.ran.append("setter")


DECLARED = (OutOfStockError, SlottedError, NoDiskError, UnreadableError)


class Result:
    """A driver's, which holds what no store can."""


class Field(enum.IntEnum):
    PRIMARY = 77


class DriverError(Exception):
    """Keeps its driver's result, and says what of it counts in a copy, as psycopg's errors do."""

    made: ClassVar[Any] = None

    def __init__(self, text, result):
        super().__init__(text)
        self.result = result

    def __reduce__(self):
        made: Any = super().__reduce__()
        made[2]["result"] = {Field.PRIMARY: b"taken", 2: None}
        return made if self.made is None else self.made


VALUES = [
    None, True, 0, 2**80, -1.5, 2.0, 1e300, "text", "half \ud800, nul \0", b"\xff", [1, (2, "three")], ("a",),
    {"a": {"b": [1]}},
    {1: "int key"}, {"$": "tag", "of": 1}, decimal.Decimal("1.50"), uuid.UUID(int=7), datetime.date(2026, 1, 2),
    datetime.datetime.fromisoformat("2026-01-02T03:04:05.000006"), datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC),
    datetime.timedelta(days=-1, microseconds=3),
]  # fmt: skip


def there_and_back(error, *declared):
    stored = json.loads(json.dumps(encode(error, AllowedErrors(declared)), allow_nan=False))
    return decode(stored, AllowedErrors(declared), TextError)


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_what_an_error_carries_comes_back_as_it_was(value):
    """P12: arguments and attributes are equal, and of the same types."""
    error = OutOfStockError("a", value, more=value)
    back = there_and_back(error, *DECLARED)
    assert type(back) is OutOfStockError
    assert repr((back.args, vars(back))) == repr((error.args, vars(error)))
    assert why_not_storable(error) is None


@pytest.mark.parametrize(
    "error",
    [
        errors.Declined("no money", "insufficient_funds", "order:1:charge"),
        CardDeclined("no money", "insufficient_funds"),
        errors.WorkflowFailed("1", "ValueError", "x", None),
        SlottedError("a"),
        NoDiskError("/data/x"),
        OSError(2, "no such file", "name"),
        KeyError("x"),
        StopIteration(3),
        ImportError("x", name="module"),
        SyntaxError("bad", ("file", 1, 2, "text")),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "bad start"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_allowed_classes_are_rebuilt_with_all_their_fields(error):
    """P5: also what a built-in class keeps outside of ``__dict__``."""
    error.add_note("noted")
    back = there_and_back(error, *DECLARED)
    assert (type(back), str(back), back.args, vars(back)) == (type(error), str(error), error.args, vars(error))
    for name in ("errno", "strerror", "filename", "value", "name", "lineno", "object", "sku"):
        assert getattr(back, name, None) == getattr(error, name, None)
    assert why_not_storable(error) is None


def test_every_error_of_ours_comes_back():
    """P5: the whole closed tree."""
    classes = [cls for cls in vars(errors).values() if isinstance(cls, type) and issubclass(cls, Exception)]
    assert len(classes) > 30
    for cls in classes:
        error = cls.__new__(cls)
        error.args = ("one", "two")
        vars(error).update(reason="r", code=None, key="k")
        back = there_and_back(error)
        assert (type(back), back.args, vars(back)) == (cls, error.args, vars(error))


def test_a_class_that_nobody_declared_is_its_name_and_its_text():
    """P5: and nothing of what it carries is stored."""
    error = OutOfStockError("a", 0, secret="correct-horse")
    stored = encode(error, AllowedErrors())
    assert set(stored) == {"__type", "message", "class"}
    back = decode(stored, AllowedErrors(), TextError)
    assert (type(back), str(back)) == (TextError, f"{full_name(OutOfStockError)}: a: 0 left")
    # Nor does declaring it later make more of what was not stored.
    assert str(decode(stored, AllowedErrors([OutOfStockError]), TextError)) == str(back)


def test_nothing_runs_when_an_error_is_rebuilt():
    """What is stored is data: neither its class's code nor a pickle runs, whatever it says."""
    stored = encode(RunsError("a"), AllowedErrors([RunsError]))
    RunsError.ran.clear()
    stored["state"] = {"sku": "a"}
    assert type(decode(stored, AllowedErrors([RunsError]), TextError)) is RunsError
    pickled = {"__type": "error", "message": "m", "__py_pickle": pickle.dumps(RunsError("a")).hex()}
    RunsError.ran.clear()
    assert str(decode(pickled, AllowedErrors([RunsError]), TextError)) == "m"
    assert RunsError.ran == []


@pytest.mark.parametrize(
    "stored",
    [
        None,
        7,
        [],
        {},
        {"message": 7},
        {"class": 7, "message": "m"},
        {"class": "builtins.ValueError", "message": "m", "args": 7},
        {"class": "builtins.ValueError", "message": "m", "args": [{"$": "no such tag", "of": 1}]},
        {"class": "builtins.ValueError", "message": "m", "args": [], "state": {"__class__": 1}},
        {"class": "builtins.ValueError", "message": "m", "args": [], "state": 7},
        {"class": "builtins.ExceptionGroup", "message": "m", "args": ["m"]},
        {"class": "builtins.SystemExit", "message": "m", "args": []},
        {"class": "os.system", "message": "m", "args": ["true"]},
    ],
    ids=repr,
)
def test_what_cannot_be_rebuilt_is_a_text(stored):
    """P5: reading what is stored cannot fail."""
    assert type(decode(stored, AllowedErrors(), TextError)) is TextError


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (OutOfStockError("a", object()), "attribute 'left'"),
        (OutOfStockError("a", 1, more={"deep": [object()]}), "attribute 'more' is or holds object"),
        (ValueError({1}), "argument 1"),
        (OutOfStockError("a", 1, headers={"Authorization": "Bearer x"}), "credentials"),
        (OutOfStockError("a", 1, when=datetime.datetime(2026, 1, 1, tzinfo=datetime.timezone.min)), None),
        (ExceptionGroup("two", [ValueError(1), OutOfStockError("a", object())]), "attribute 'left'"),
        (KeyboardInterrupt(), "no Exception"),
    ],
)
def test_it_is_said_why_an_error_cannot_be_stored(error, why):
    """P12: so that it can be refused where it is declared or raised; without the value."""
    reason = why_not_storable(error)
    assert reason is None if why is None else why in (reason or "")
    if why is not None and isinstance(error, OutOfStockError):
        assert type(there_and_back(error, *DECLARED)) is TextError


def test_a_drivers_error_keeps_what_its_class_leaves_to_a_copy():
    """P12: what it holds of its driver is not stored; the error itself stays as it was raised."""
    result = Result()
    error = DriverError("taken", result)
    error.add_note("noted")
    assert why_not_storable(error) is None
    back = there_and_back(error, DriverError)
    assert (type(back), back.args, back.__notes__) == (DriverError, ("taken",), ["noted"])
    assert back.result == {Field.PRIMARY: b"taken", 2: None}
    assert error.result is result


@pytest.mark.parametrize(
    "made",
    [
        "a name",
        (print, ("taken",), {"result": 1}),
        (DriverError, ("other",), {"result": 1}),
        (DriverError, ("taken",)),
        (DriverError, ("taken",), [1]),
        (DriverError, ("taken",), {"result": Result()}),
    ],
    ids=["a name", "another function", "other arguments", "no state", "another state", "no plain state"],
)
def test_a_copy_that_would_be_made_otherwise_does_not_count(monkeypatch, made):
    """P12: it would not come back as its class says."""
    monkeypatch.setattr(DriverError, "made", made)
    error = DriverError("taken", Result())
    assert "attribute 'result'" in (why_not_storable(error) or "")
    assert type(there_and_back(error, DriverError)) is TextError


def test_a_class_whose_copy_fails_is_not_storable(monkeypatch):
    """P5: and looking does not fail."""

    def fails(error):
        raise LookupError

    monkeypatch.setattr(DriverError, "__reduce__", fails)
    assert "__reduce__ raised LookupError" in (why_not_storable(DriverError("taken", Result())) or "")


def test_an_error_that_holds_itself_is_not_storable():
    """P5: and encoding it does not fail."""
    error = OutOfStockError("a", 1)
    error.left = [error.args]
    error.left.append(error.left)
    assert "nested too deeply" in (why_not_storable(error) or "")
    assert type(there_and_back(error, *DECLARED)) is TextError


def test_a_group_keeps_what_is_in_it():
    """P5: what is declared inside a group stays what it is; what is not becomes its text."""
    back = there_and_back(
        ExceptionGroup("two", [errors.Declined("no"), OutOfStockError("a", 0), RunsError()]), *DECLARED
    )
    assert isinstance(back, ExceptionGroup)
    assert [type(each) for each in back.exceptions] == [errors.Declined, OutOfStockError, TextError]


@pytest.mark.parametrize("failure", [ValueError(), RecursionError(), SystemExit(), GeneratorExit()])
def test_an_error_whose_text_cannot_be_read_is_stored(failure):
    """P5: reading an outcome cannot fail."""
    assert "its __str__ raises" in text_of(UnreadableError(failure))
    back = there_and_back(UnreadableError(failure), *DECLARED)
    assert (type(back), back.failure_name) == (UnreadableError, type(failure).__name__)


def test_secrets_in_a_librarys_error_are_masked_and_not_in_a_declared_one():
    """Security: a built-in class is what libraries raise; a declared class carries what its author gave it."""
    url = "https://shop:correct-horse@api/x"
    assert "correct-horse" not in json.dumps(encode(ConnectionError(f"cannot reach {url}"), AllowedErrors()))
    assert type(there_and_back(ConnectionError(url))) is ConnectionError
    assert there_and_back(OutOfStockError(url, 1), OutOfStockError).sku == url
