"""The part of Postgres's wire protocol that is needed to tell requests apart. Pure.

A *request* is everything that a client sends up to the message that the server answers with ReadyForQuery: a Query, or
a Sync after Parse, Bind and Execute. Its reply is everything up to that ReadyForQuery.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterable

import msgspec

NO_ENCRYPTION = (80877103, 80877104)
"""SSLRequest and GSSENCRequest. They are refused, because a proxy cannot read encrypted messages."""
CANCEL = 80877102
ENDS_REQUEST = b"QSF"
"""Query, Sync, FunctionCall: the server answers them with ReadyForQuery."""
AT_ONCE = b"dcfpH"
"""CopyData, CopyDone, CopyFail, passwords, Flush: these must be sent on at once."""
TERMINATE = b"X"
READY, COMMAND_COMPLETE, ERROR, COPY_IN, COPY_BOTH = b"Z", b"C", b"E", b"G", b"W"
IDLE = b"I"
_COUNT = re.compile(rb" (\d+)\0?$")
_BIND_SHORTS = struct.Struct("!h")
_INT = struct.Struct("!i")


def message(kind: bytes, payload: bytes) -> bytes:
    """A message, as it is sent."""
    return kind + _INT.pack(len(payload) + 4) + payload


def query(text: str) -> bytes:
    """A simple query."""
    return message(b"Q", text.encode() + b"\0")


def startup_options(payload: bytes) -> dict[str, str]:
    """The options of a StartupMessage, after its code."""
    words = payload.decode(errors="replace").split("\0")
    return dict(zip(words[0::2], words[1::2], strict=False))


def count_of(tag: bytes) -> int:
    """The number of rows in a CommandComplete."""
    found = _COUNT.search(tag)
    return int(found[1]) if found is not None else 0


class Asked(msgspec.Struct, kw_only=True):
    """One request of a client."""

    raw: bytes
    text: str = ""
    """The text of its statement, or of the last one if there are several."""
    params: tuple[bytes | None, ...] = ()


class Prepared:
    """The statements that a connection has prepared, so that one can be found by its name."""

    def __init__(self) -> None:
        self._texts: dict[bytes, str] = {}

    def read(self, messages: Iterable[tuple[bytes, bytes]]) -> Asked:
        """Read the messages of one request."""
        asked = Asked(raw=b"")
        parts = []
        for kind, payload in messages:
            parts.append(message(kind, payload))
            match kind:
                case b"Q":
                    asked.text = _text(payload)
                case b"P":
                    name, _, rest = payload.partition(b"\0")
                    self._texts[name] = _text(rest)
                case b"B":
                    name, asked.params = _bound(payload)
                    asked.text = self._texts.get(name, asked.text)
        asked.raw = b"".join(parts)
        return asked


def _text(payload: bytes) -> str:
    return payload.partition(b"\0")[0].decode(errors="replace")


def _bound(payload: bytes) -> tuple[bytes, tuple[bytes | None, ...]]:
    """Return the name of a Bind's statement, and the bound values."""
    _, _, rest = payload.partition(b"\0")
    name, _, rest = rest.partition(b"\0")
    [formats] = _BIND_SHORTS.unpack_from(rest)
    offset = 2 + 2 * formats
    [count] = _BIND_SHORTS.unpack_from(rest, offset)
    offset += 2
    found: list[bytes | None] = []
    for _ in range(count):
        [length] = _INT.unpack_from(rest, offset)
        offset += 4
        if length < 0:
            found.append(None)
            continue
        found.append(rest[offset : offset + length])
        offset += length
    return name, tuple(found)
