"""The boundary in recordfirst: the seams of an app in an explored process.

Requests to an embedded engine and calls and probes of providers pass here; statements pass in the world's own record
(``fast/record.py``). All of this is passed to recordfirst as arguments. Only code of others is patched, and only while
a process of a world runs:

=============================================  ==================================================================
``time``, ``uuid.uuid4``, ``random``           ``clock.py``: the SDK, drivers and users' code read the machine's
``asyncio.SelectorEventLoop``                  ``clock.py``: a subclass whose timers go by the world's time
``sqlite3.Connection``                         ``kept.py``: a subclass that is put aside instead of being closed
``aiosqlite.Connection``                       ``fast/record.py``: a subclass without its thread
``psycopg.AsyncConnection.wait``,              ``postgres/psycopg_hooks.py``: whatever a connection exchanges with its
``psycopg.waiting.wait_conn_async``            server; a transaction's first command, where BEGIN is to be refused
=============================================  ==================================================================
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from recordfirst.explore.worlds.virtual.boundary import Process
from recordfirst.explore.worlds.virtual.clock import Chance, Time
from recordfirst.explore.worlds.virtual.kept import KeptConnection
from recordfirst.process.limit import Limit
from recordfirst.process.seams import OpenEngine, Outgoing, Seams

_LOOKS = ("promise.get", "promise.search", "task.get", "task.search", "task.heartbeat")


class WorldSeams(Seams):
    """A world's time, and ids that are the same in each run."""

    def __init__(self, clock: Time, chance: Chance) -> None:
        self._clock, self._chance = clock, chance

    def now_ms(self) -> int:
        return self._clock.now_ms()

    def new_id(self) -> str:
        return self._chance.uuid4().hex


class ProcessSeams(WorldSeams):
    """One process's: whatever passes is a point of it. ``tells``: providers tell by themselves what they do."""

    def __init__(self, process: Process, *, tells: bool = False) -> None:
        super().__init__(process.clock, process.chance)
        self._process, self._tells = process, tells
        self.connect = self._connect

    def _connect(self, path: str, **options: Any) -> KeptConnection:
        kept = self._process.connect(Path(path), "engine", options)
        self._process.opened.append(kept.closing())
        return kept

    def engine_opened(self, engine: OpenEngine) -> None:
        self._process.opened.append(engine.abandon)
        self._process.expire_lease = engine.lapse
        self._process.next_due = engine.next_due

    def request(self, request: str, send: Callable[[], Awaitable[str]]) -> Awaitable[str]:
        asked = _request(request)
        name, about, action = asked.kind, asked.data.id, asked.data.action
        if action is not None:
            name = f"{asked.kind} {action.kind}"
            about = action.data.id if action.data is not None else about
        return self._process.passes("engine", name, send, changes=asked.kind not in _LOOKS, detail=about)

    def call(self, outgoing: Outgoing, limit: Limit, send: Callable[[Limit], Awaitable[Any]]) -> Awaitable[Any]:
        limit.begin()
        self._process.calls(outgoing.key, outgoing.name, outgoing.after())
        return self._process.passes(
            "provider",
            f"call {outgoing.name}",
            lambda: send(limit),
            detail=outgoing.key,
            blind=outgoing.key_honoured_ms is None,
            tells=self._tells,
            honoured_ms=outgoing.key_honoured_ms,
        )

    def probe(self, name: str, key: str, ask: Callable[[], Awaitable[Any]]) -> Awaitable[Any]:
        return self._process.passes("provider", f"probe {name}", ask, detail=key)


class _Target(msgspec.Struct):
    id: str = ""


class _Action(msgspec.Struct):
    kind: str = ""
    data: _Target | None = None


class _Data(msgspec.Struct):
    id: str = ""
    action: _Action | None = None


class _Request(msgspec.Struct):
    kind: str
    data: _Data


_request = msgspec.json.Decoder(_Request).decode
