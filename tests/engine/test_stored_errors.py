"""Security, P5: what an engine holds is data. Errors come back by allowed classes only, and nothing is unpickled."""

from __future__ import annotations

import ast
import base64
import pickle
from pathlib import Path

import msgspec
import pytest
from resonate.codec import Codec, NoopEncryptor
from resonate.connections import LocalConnection
from resonate.error import ApplicationError, SerializationError
from resonate.resonate import Resonate
from resonate.types import PromiseRecord, Value

from recordfirst import Declined
from recordfirst.core.exceptions import AllowedErrors
from recordfirst.engine.codec import EngineCodec, original
from recordfirst.engine.sdk import steps as sdk
from tests.effects.cipher import Cipher

SRC = Path(__file__).parents[2] / "src" / "recordfirst"
ran: list[str] = []


class OddError(Exception):
    def __reduce__(self):
        return ran.append, ("unpickled",)


def rejected(stored):
    value = Value(headers=None, data=base64.b64encode(msgspec.json.encode(stored)).decode())
    return PromiseRecord(id="shop~1", state="rejected", param=Value(), value=value, tags={}, timeout_at=1, created_at=1)


def raised(codec, record):
    """What the SDK raises in the body, and what ours makes of it."""
    from resonate.codec import decode_settled  # noqa: PLC0415 - what is under test

    with pytest.raises(Exception) as failed:  # noqa: PT011 - whatever it is
        decode_settled(codec.decode_promise(record))
    return original(failed.value)


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        ({"message": "no", "__py_pickle": base64.b64encode(pickle.dumps(OddError("x"))).decode()}, ApplicationError),
        ({"class": "builtins.ValueError", "args": ["x"], "message": "x"}, ValueError),
        ({"class": "recordfirst.errors.Declined", "args": ["no"], "state": {"reason": "no"}}, ApplicationError),
        ({"class": "os.system", "args": ["true"], "message": "m"}, ApplicationError),
        ("a text", ApplicationError),
        (None, ApplicationError),
    ],
)
def test_what_an_engine_holds_chooses_nothing(stored, expected):
    """Whoever can write to the engine gets no code to run; what cannot be rebuilt is its text."""
    ran.clear()
    codec = EngineCodec(None)
    error = raised(codec, rejected(stored))
    assert (type(error), ran) in ((expected, []), (Declined, []))
    assert isinstance(codec.decode_error(rejected(stored).value), Exception)
    assert ran == []


def test_an_error_comes_back_with_its_attributes():
    """P5: as the body of a workflow sees it, on the first run and on every other."""
    codec = EngineCodec(None)
    stored = msgspec.structs.replace(rejected(None), value=codec.encode(Declined("no", "c", "k")))
    error = raised(codec, stored)
    assert (type(error), error.code, error.key) == (Declined, "c", "k")
    assert b"pickle" not in base64.b64decode(stored.value.data)
    # A settled promise is stored again as it was.
    assert codec.encode(codec.decode_promise(stored).value.data) == stored.value


def test_every_error_can_be_stored():
    """P7: one that could not would be given back with its task, and run for ever."""

    class UnreadableError(Exception):
        def __str__(self):
            raise RuntimeError

    for error in (
        UnreadableError(),
        ValueError("half \ud800"),
        ValueError("\0"),
        OddError(object()),
        ExceptionGroup("g", [UnreadableError()]),
    ):
        assert EngineCodec(None).encode(error).data


def test_values_from_before_the_encryptor_are_read_and_others_are_told():
    """P6: switching encryption on loses nothing; another key's is said to be unreadable, with its promise."""
    clear, sealed, other = EngineCodec(None), EngineCodec(Cipher("a")), EngineCodec(Cipher("b"))
    told: list[str] = []
    other.unreadable = told.append
    assert sealed.decode(clear.encode({"a": 1})) == {"a": 1}
    assert sealed.decode(sealed.encode({"a": 1})) == {"a": 1}
    record = msgspec.structs.replace(rejected(None), value=sealed.encode("a secret"))
    with pytest.raises(SerializationError, match="another key") as refused:
        other.decode_promise(record)
    assert "secret" not in str(refused.value)
    assert told == ["shop~1"]


def test_each_resonate_of_an_app_has_this_codec():
    """Wherever the SDK keeps one."""
    resonate = Resonate(network=LocalConnection(), env={}, autostart=False)
    codec = sdk.store_safely(resonate, AllowedErrors())
    held = [resonate._codec, resonate._core.codec, resonate.promises.codec, resonate.schedules.codec]
    assert all(each is codec for each in held)
    assert not [name for name, value in vars(resonate).items() if type(value) is Codec]
    assert isinstance(codec.encryptor, NoopEncryptor)


def test_nothing_in_the_package_unpickles_what_it_did_not_make_itself():
    """The two that do read what the process that started them has packed."""
    own = {"explore/worlds/real/programs/sending.py", "conformance/process.py"}
    found, codecs = set(), set()
    for path in SRC.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                modules = [each.name for each in node.names] + [getattr(node, "module", "") or ""]
                found |= (
                    {str(path.relative_to(SRC))} if {"pickle", "marshal", "shelve", "dill"} & set(modules) else set()
                )
            # The SDK's own codec pickles: it is named only where ours is made of it, or to read what is in clear.
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "Codec":
                codecs.add(str(path.relative_to(SRC)))
    assert found == own
    assert codecs <= {"engine/codec.py"}
