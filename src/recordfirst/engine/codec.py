"""How values and errors are stored in an engine: JSON, encrypted if the app has an encryptor, and never unpickled.

An engine's content is data: its errors are rebuilt only from allowed classes (``core/exceptions.py``), and the pickle
that the SDK stores with an error is neither written nor read. Values from before the app had an encryptor are read as
they are. If a value cannot be read (another key, half a row), ``unreadable`` gets the promise's id.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from resonate.codec import Codec, Encryptor, NoopEncryptor
from resonate.error import ApplicationError, SerializationError
from resonate.types import PromiseRecord, Value

from recordfirst.core import exceptions
from recordfirst.core.exceptions import AllowedErrors

_AT = "_recordfirst_raised_at"
_PICKLE = "__py_pickle"
_REJECTED = ("rejected", "rejected_canceled", "rejected_timedout")


class EngineCodec(Codec):
    """See the module."""

    errors: AllowedErrors
    unreadable: Callable[[str], None]

    def __init__(self, encryptor: Encryptor | None, errors: AllowedErrors | None = None) -> None:
        super().__init__(encryptor if encryptor is not None else NoopEncryptor())
        self.errors = errors if errors is not None else AllowedErrors()
        self.unreadable = lambda _: None

    def encode(self, value: Any) -> Value:
        if isinstance(value, _Rejection):
            value = value.stored
        elif isinstance(value, Clear):
            return Codec(NoopEncryptor()).encode(str(value))
        elif isinstance(value, Exception):
            stored, at = exceptions.encode(value, self.errors), getattr(value, _AT, None)
            # The place is known only where it was raised, so it goes along also with what is not rebuilt.
            value = stored | {"at": at} if isinstance(at, str) and "state" not in stored else stored
        return super().encode(value)

    def decode(self, value: Value) -> Any:
        clear = Codec(NoopEncryptor())
        try:
            return super().decode(value)
        except Exception as error:  # a cipher raises what it likes
            if isinstance(self.encryptor, NoopEncryptor):
                raise
            try:
                return clear.decode(value)  # from before the app had an encryptor
            except SerializationError:
                raise SerializationError(_Sealed(error)) from error

    def decode_error(self, value: Value) -> BaseException:
        return self._rebuilt(self.decode(value))

    def decode_promise(self, promise: PromiseRecord) -> PromiseRecord:
        try:
            decoded = super().decode_promise(promise)
        except SerializationError:
            self.unreadable(promise.id)
            raise
        data = decoded.value.data
        if promise.state not in _REJECTED or not isinstance(data, dict):
            return decoded
        value = msgspec.structs.replace(decoded.value, data=_Rejection(data, self._rebuilt(data)))
        return msgspec.structs.replace(decoded, value=value)

    def _rebuilt(self, stored: Any) -> Exception:
        error = exceptions.decode(stored, self.errors, ApplicationError)
        if isinstance(stored, dict) and isinstance(stored.get("at"), str):
            vars(error)[_AT] = stored["at"]
        return error


class Clear(str):
    """A text that is no secret, and is stored in clear: whatever becomes of the keys, it can be read."""

    __slots__ = ()


class _Sealed(Exception):
    """Why a value cannot be read, without the value."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(f"it was encrypted with another key, or is damaged ({type(cause).__name__})")


class _Carrier(str):
    """The text of an error on its way through the SDK, which makes an error of its own of it; see :func:`original`."""

    __slots__ = ("error",)
    error: Exception


class _Rejection(dict[str, Any]):
    """What a rejected promise holds, as the SDK wants it: without a pickle, so it makes an ``ApplicationError``."""

    def __init__(self, stored: dict[str, Any], error: Exception) -> None:
        self.stored = {name: value for name, value in stored.items() if name != _PICKLE}
        carrier = _Carrier(str(error) if isinstance(error, ApplicationError) else "an error that was stored")
        carrier.error = error
        super().__init__(message=carrier)


def original(error: Exception) -> Exception:
    """Return the error that was stored, if this is what the SDK has made of it."""
    if isinstance(error, ApplicationError) and isinstance(error.message, _Carrier):
        return error.message.error
    return error
