"""Where the boundary is put into recordfirst: the embedded engine's requests, and calls and probes of providers.

The record's side is in ``driver.py``. Nothing is changed for a process that is not being explored.
"""

from __future__ import annotations

import functools
import sqlite3
from collections.abc import Awaitable
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import msgspec

from recordfirst.core.receipt import Receipt
from recordfirst.engine.embedded.connection import EmbeddedConnection
from recordfirst.engine.embedded.store import Store
from recordfirst.execution.effect_runner import EffectRun
from recordfirst.explore.worlds.virtual import boundary
from recordfirst.explore.worlds.virtual.kept import KeptConnection
from recordfirst.process.limit import Limit
from recordfirst.steps.effect import Call, Effect, Sender
from recordfirst.steps.function import Function
from recordfirst.steps.host import Host

_LOOKS = ("promise.get", "promise.search", "task.get", "task.search", "task.heartbeat")

_after: ContextVar[str | None] = ContextVar("recordfirst_explored_after", default=None)
_open, _send = EmbeddedConnection.open, EmbeddedConnection.send
_sender, _call, _drive = Effect.sender, Function.call, EffectRun._call  # noqa: SLF001


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


@functools.wraps(_open)
def _explored_open(self: EmbeddedConnection) -> Store:
    is_new, store = self._opened is None, _open(self)
    process = boundary.current
    if is_new and process is not None:
        process.opened.append(self._unlock)
        process.expire_lease = self.held.shutdown
        process.next_due = store.next_due
    return store


@functools.wraps(_send)
async def _explored_send(self: EmbeddedConnection, req: str, headers: dict[str, str] | None = None) -> str:
    process = boundary.current
    if process is None:
        return await _send(self, req, headers)
    request = _request(req)
    name, about, action = request.kind, request.data.id, request.data.action
    if action is not None:
        name = f"{request.kind} {action.kind}"
        about = action.data.id if action.data is not None else about
    return await process.passes(
        "engine", name, lambda: _send(self, req, headers), changes=request.kind not in _LOOKS, detail=about
    )


@functools.wraps(_sender)
async def _explored_sender(self: Effect[..., Any], host: Host, call: Call, arguments: dict[str, Any]) -> Sender:
    """As the effect's own, through the boundary."""
    send = await _sender(self, host, call, arguments)
    process = boundary.current
    if process is None:
        return send

    def passes(limit: Limit) -> Awaitable[Any]:
        limit.begin()
        process.calls(call.key, self.name, _after.get())
        honoured_ms = self.guarantee.key_honoured_ms
        return process.passes(
            "provider",
            f"call {self.name}",
            lambda: send(limit),
            detail=call.key,
            blind=honoured_ms is None,
            honoured_ms=honoured_ms,
        )

    return passes


@functools.wraps(_drive)
async def _explored_drive(self: EffectRun, receipt: Receipt, claim: str, until_s: float) -> Receipt:
    token = _after.set(self.effect.after_key(self.execution.workflow_id, self.arguments))
    try:
        return await _drive(self, receipt, claim, until_s)
    finally:
        _after.reset(token)


@functools.wraps(_call)
async def _explored_call(self: Function, first: Any, *args: Any) -> Any:
    process = boundary.current
    if process is None or self.kind != "probe":
        return await _call(self, first, *args)
    return await process.passes("provider", f"probe {self.name}", lambda: _call(self, first, *args), detail=first.key)


def _explored_connect(path: str, **options: Any) -> sqlite3.Connection:
    process = boundary.current
    if process is None:
        connection: sqlite3.Connection = sqlite3.connect(path, **options)
        return connection
    kept: KeptConnection = process.connect(Path(path), "engine", options)
    process.opened.append(kept.closing())
    return kept


def install() -> None:
    """Put the boundary in; to do it again changes nothing."""
    Store.connect = staticmethod(_explored_connect)
    EmbeddedConnection.open = _explored_open  # type: ignore[method-assign]
    EmbeddedConnection.send = _explored_send  # type: ignore[method-assign]
    Effect.sender = _explored_sender  # type: ignore[method-assign]
    Function.call = _explored_call  # type: ignore[method-assign,assignment]
    EffectRun._call = _explored_drive  # type: ignore[method-assign]  # noqa: SLF001
