"""The outside world, for tests: a file that outlives processes has the requests that doubles of providers got.

A double of a provider is a few lines on top of it, and behaves like a provider that honours keys. A repeated
idempotency key gets the first answer again until its retention has passed; another request under the key is refused::

    class Bank:
        def __init__(self, outside: Outside) -> None:
            self._outside = outside

        async def charge(self, call: Call, amount_minor: int) -> str:
            return self._outside.apply("charge", {"amount": amount_minor}, key=call.key, marker=call.marker)
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

DAY_S = 24 * 3600


class KeyReused(Exception):  # noqa: N818 - a provider's answer, not an error of ours
    """The key was used for another request. Nothing was applied."""


class Refused(Exception):  # noqa: N818 - a provider's answer, not an error of ours
    """The provider has refused the request for good. Nothing was applied."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One request that has arrived."""

    kind: str
    request: Any
    key: str | None = None
    marker: str | None = None
    at_ms: int
    repeats: bool = False
    """Its key was known: it got the first answer again, and nothing was applied."""
    result: Any = None
    refused: str | None = None
    differs: bool = False
    """Its key was known for another request: it was refused, and nothing was applied."""


class Outside:
    """The requests that doubles got, in a file.

    Args:
        path: the file; the first request creates it.
        now_ms: returns the time outside, in milliseconds since 1970.
    """

    kept_here = 0
    """How many requests this process has stored, in all files."""

    def __init__(self, path: Path, now_ms: Callable[[], int]) -> None:
        self.now_ms = now_ms
        self.lock = threading.RLock()
        """A caller holds it between a look and :meth:`keep`, because functions that block run in threads."""
        self._path = path
        self._read = 0
        self._asked: list[Asked] = []

    @property
    def asked(self) -> list[Asked]:
        """Every request that has arrived, from all processes, oldest first."""
        with self.lock:
            try:
                size = self._path.stat().st_size
            except FileNotFoundError:
                return self._asked
            if size > self._read:
                with self._path.open("rb") as file:
                    file.seek(self._read)
                    for line in file:
                        self._asked.append(_decode(line))
                    self._read = file.tell()
            return self._asked

    @property
    def applied(self) -> list[Asked]:
        """The requests that were applied."""
        return [asked for asked in self.asked if asked.refused is None and not asked.repeats]

    def apply(
        self,
        kind: str,
        request: Any,
        *,
        key: str | None = None,
        marker: str | None = None,
        result: Any = None,
        refuse: str | None = None,
        retention_s: int = DAY_S,
    ) -> Any:
        """Apply a request: once per key or, without a key, each time.

        Args:
            kind: the kind of request, such as ``"charge"``.
            request: all that was sent, as JSON builtins.
            key: the idempotency key.
            marker: the text by which a probe finds the request.
            result: the answer. Default: ``kind`` and the marker or, without one, a number.
            refuse: if given, refuse for good, with this reason.
            retention_s: for how many seconds the key is honoured.

        Raises:
            KeyReused: if the key was used for another request.
            Refused: if ``refuse`` is given, or was given when the key was first used.
        """
        with self.lock:
            first = self._first(kind, key, retention_s * 1000)
            given = msgspec.to_builtins(request)
            if first is not None:
                differs = first.request != given
                again = {"at_ms": self.now_ms(), "request": given, "repeats": True, "differs": differs}
                self.keep(msgspec.structs.replace(first, **again))
                if differs:
                    raise KeyReused(f"{kind}: key {key!r} was used with {first.request}, not {given}")
                return _answer(first)
            if result is None and refuse is None:
                result = f"{kind} {marker or 1 + sum(asked.kind == kind for asked in self.applied)}"
            asked = Asked(
                kind=kind,
                request=given,
                key=key,
                marker=marker,
                at_ms=self.now_ms(),
                result=msgspec.to_builtins(result),
                refused=refuse,
            )
            self.keep(asked)
            return _answer(asked)

    def find(self, kind: str, marker: str) -> Asked | None:
        """Return the request that was applied under this marker or, if there is none, the one that was refused."""
        found = [asked for asked in self.asked if (asked.kind, asked.marker) == (kind, marker) and not asked.repeats]
        return next((asked for asked in found if asked.refused is None), found[0] if found else None)

    def repeated(self) -> list[str]:
        """Return a text for each request that was applied more than once: the same marker or, without one, request."""
        times = Counter((asked.kind, identity_of(asked)) for asked in self.applied)
        return [f"{kind} {identity} was done {n} times" for (kind, identity), n in times.items() if n > 1]

    def _first(self, kind: str, key: str | None, retention_ms: int) -> Asked | None:
        """The first request under this key, if the key is still honoured."""
        if key is None:
            return None
        uses = [asked for asked in self.asked if (asked.kind, asked.key) == (kind, key) and not asked.repeats]
        return uses[-1] if uses and self.now_ms() < uses[-1].at_ms + retention_ms else None

    def keep(self, asked: Asked) -> None:
        """Store a request that has arrived: for doubles that decide by themselves what to apply."""
        file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(file, msgspec.json.encode(asked) + b"\n")
        finally:
            os.close(file)
        Outside.kept_here += 1


_decode = msgspec.json.Decoder(Asked).decode


def identity_of(asked: Asked) -> str:
    """The identity of what is requested: the marker or, without one, the request itself."""
    return asked.marker or msgspec.json.encode(asked.request).decode()


def _answer(asked: Asked) -> Any:
    if asked.refused is not None:
        raise Refused(asked.refused)
    return asked.result
