"""The SDK's requests to an engine of this process: a reply is read once, straight into what is wanted of it.

The SDK's own sender reads it into dicts, walks them twice and numbers each request, for a server of another version on
the other side of a network. ``tests/engine/test_direct.py`` holds this one against it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec
from resonate.error import DecodingError, ServerError
from resonate.observability import BackgroundTaskFailed, Dropped, Event, logging_observer
from resonate.send import Redirect, TaskAcquireResult, TaskFenceResult
from resonate.transport import ResponseHead
from resonate.types import PromiseCreateReq, PromiseRecord, PromiseRegisterCallbackData, PromiseSettleReq
from resonate_base.connections import Network

from recordfirst.engine.sdk.steps import SAID_ELSEWHERE, Draining

_REDIRECT, _REFUSED = 300, 400


class _Reply(msgspec.Struct, frozen=True):
    head: ResponseHead
    data: msgspec.Raw


class _Promised(msgspec.Struct, frozen=True):
    promise: PromiseRecord


class _Action(msgspec.Struct, frozen=True):
    data: _Promised


class _Fenced(msgspec.Struct, frozen=True):
    action: _Action
    preload: list[PromiseRecord]


class _Preload(msgspec.Struct, frozen=True):
    preload: list[PromiseRecord]


_encode = msgspec.json.Encoder().encode
_reply = msgspec.json.Decoder(_Reply).decode
_acquired = msgspec.json.Decoder(TaskAcquireResult).decode
_promised = msgspec.json.Decoder(_Promised).decode
_fenced = msgspec.json.Decoder(_Fenced).decode
_preload = msgspec.json.Decoder(_Preload).decode
_refusal = msgspec.json.Decoder(str).decode


class Direct:
    """As much of the SDK's ``Sender`` as running workflows and their promises takes."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self.shut = False
        """Set to take no further task; what was delivered stays pending, and what runs goes on."""

    async def task_acquire(self, id: str, version: int, pid: str, ttl: int) -> TaskAcquireResult:
        if self.shut:
            raise Draining
        data = {"id": id, "version": version, "pid": pid, "ttl": ttl}
        return await self._ask("task.acquire", data, _acquired)

    async def task_fulfill(self, id: str, version: int, action: PromiseSettleReq) -> PromiseRecord:
        data = {"id": id, "version": version, "action": {"data": action}}
        return (await self._ask("task.fulfill", data, _promised)).promise

    async def task_suspend(
        self, id: str, version: int, actions: list[PromiseRegisterCallbackData]
    ) -> Literal["suspended"] | Redirect:
        data = {"id": id, "version": version, "actions": [{"data": action} for action in actions]}
        reply = await self._send("task.suspend", data)
        return Redirect(preload=_preload(reply.data).preload) if reply.head.status == _REDIRECT else "suspended"

    async def task_release(self, id: str, version: int) -> None:
        await self._send("task.release", {"id": id, "version": version})

    async def task_fence_create(self, id: str, version: int, req: PromiseCreateReq) -> TaskFenceResult:
        return await self._fence(id, version, {"kind": "promise.create", "data": req})

    async def task_fence_settle(self, id: str, version: int, req: PromiseSettleReq) -> TaskFenceResult:
        return await self._fence(id, version, {"kind": "promise.settle", "data": req})

    async def _fence(self, id: str, version: int, action: dict[str, Any]) -> TaskFenceResult:
        reply = await self._ask("task.fence", {"id": id, "version": version, "action": action}, _fenced)
        return TaskFenceResult(promise=reply.action.data.promise, preload=reply.preload)

    async def promise_get(self, id: str) -> PromiseRecord:
        return (await self._ask("promise.get", {"id": id}, _promised)).promise

    async def promise_create(self, req: PromiseCreateReq) -> PromiseRecord:
        return (await self._ask("promise.create", req, _promised)).promise

    async def promise_settle(self, req: PromiseSettleReq) -> PromiseRecord:
        return (await self._ask("promise.settle", req, _promised)).promise

    async def _ask[T](self, kind: str, data: Any, read: Callable[[msgspec.Raw], T]) -> T:
        reply = await self._send(kind, data)
        try:
            return read(reply.data)
        except msgspec.MsgspecError as error:
            raise DecodingError(f"the engine's reply to {kind} cannot be read: {error}") from error

    async def _send(self, kind: str, data: Any) -> _Reply:
        reply = _reply(await self._network.send(_encode({"kind": kind, "data": data}).decode()))
        if reply.head.status >= _REFUSED:
            raise ServerError(reply.head.status, _refusal(reply.data))
        return reply


def ask_directly(resonate: Any) -> Callable[[], None]:
    """Let this Resonate's tasks and promises ask the engine so, and return what shuts it. Before it is started.

    Then no task is taken, and a workflow that runs comes to its next wait or end.
    """
    direct: Any = Direct(resonate._network)
    resonate._core.sender = resonate._core.fencing = resonate.promises.sender = direct

    def shut() -> None:
        direct.shut = True
        resonate._runtime.stopping = True  # deliveries are no longer taken

    return shut


def faults_alone(event: Event) -> None:
    """Log what the SDK could not do. It tells of every request and answer, too, for a harness of its own."""
    said = isinstance(event, BackgroundTaskFailed) and event.cause in SAID_ELSEWHERE
    if isinstance(event, BackgroundTaskFailed | Dropped) and not said:
        logging_observer(event)
