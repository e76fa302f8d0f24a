"""Where an explorer, or a test, stands between an app and what it depends on; by default there is nothing in between.

What is not here is an argument elsewhere: ``App(sleeper=, random=)``; ``sleeper=`` of the records and of
``SqlLedger``; ``SqliteRecord(connect=)``. Time limits and ``loop.time()`` are the event loop's.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Protocol

import msgspec

from recordfirst.process.limit import Limit

type Sleeper = Callable[[float], Awaitable[None]]
"""Waits a number of seconds."""


class Outgoing(msgspec.Struct, frozen=True):
    """A call of a provider that is about to be made."""

    name: str
    """The effect's."""
    key: str
    """The idempotency key."""
    after: Callable[[], str | None]
    """The key of the receipt that must be there first."""
    key_honoured_ms: int | None
    """For how long the provider honours the key; ``None``: no key protects it."""


class OpenEngine(Protocol):
    """An embedded engine whose file was opened."""

    def next_due(self) -> int | None:
        """When something in it happens by itself, in milliseconds since 1970."""

    def lapse(self) -> None:
        """Let the leases of what runs here run out."""

    def abandon(self) -> None:
        """Free the file's lock, as the kernel does when a process is gone."""


class Seams:
    """The machine's own clock and ids, and nothing in between. A subclass stands where it overrides."""

    lease: timedelta | None = None
    """Of tasks on an engine that workers share. Default: the engine's."""
    connect: Callable[..., Any] | None = None
    """Opens the file of an embedded engine, as ``sqlite3.connect``, which is the default, does."""

    def now_ms(self) -> int:
        """Milliseconds since 1970."""
        return time.time_ns() // 1_000_000

    def new_id(self) -> str:
        """A name that nothing else has: 32 hexadecimal digits."""
        return uuid.uuid4().hex

    def pause(self, seconds: float) -> Awaitable[None]:
        """Wait between two rounds of what a process does by itself.

        ``App(sleeper=)`` waits between two tries of one thing: a test that passes these over does not have loops that
        never pause.
        """
        return asyncio.sleep(seconds)

    def address_of(self, url: str) -> str:
        """Where a Resonate Server is reached, which is known by its URL."""
        return url

    def engine_opened(self, engine: OpenEngine) -> None:
        """An embedded engine has opened its file."""

    def request(self, request: str, send: Callable[[], Awaitable[str]]) -> Awaitable[str]:
        """A request to the embedded engine."""
        del request
        return send()

    def call(self, outgoing: Outgoing, limit: Limit, send: Callable[[Limit], Awaitable[Any]]) -> Awaitable[Any]:
        """A call of a provider; ``send`` makes it, and tells the limit when it begins."""
        del outgoing
        return send(limit)

    def probe(self, name: str, key: str, ask: Callable[[], Awaitable[Any]]) -> Awaitable[Any]:
        """A probe, by its name, of the call with this key."""
        del name, key
        return ask()


NO_SEAMS = Seams()
"""What an app has if nobody says otherwise."""
