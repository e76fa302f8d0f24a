"""The engine of a single process: the SDK's in-memory connection.

It survives nothing: no timer, promise or task outlives the process. The record does, and at the next start every open
workflow is put back from there. Two properties of the connection are made up for here: it keeps and scans all that
ever existed, so finished lineages are dropped; and it never heartbeats, so leases are set far out (they guard nothing
in one process: trap 22).
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from typing import Any

from resonate.connections import LocalConnection
from resonate.connections.local import ServerState
from resonate.error import ServerError
from resonate.ids import origin_of
from resonate.resonate import Resonate
from resonate.retry import Exponential
from resonate.types import PromiseRecord, TaskData, Value

from recordfirst.engine import leaf
from recordfirst.engine.contract import Life

_NO_SUCH_PROMISE = 404

_FORGET_BATCH = 8
"""Finished lineages are dropped this many at a time: one pass over what is open, spread over them."""


def memory_identity() -> str:
    """A new identity: whoever had an older one is gone, with all that it knew."""
    return f"memory:{uuid.uuid4().hex}"


class ResonateEngine:
    """An engine on any ``Resonate`` object."""

    def __init__(
        self, resonate: Resonate, identity: str, *, exclusive: bool, lasting: bool, home: str | None = None
    ) -> None:
        """``home``: the group in which workflows are started; ``None``: the Resonate's own."""
        self.resonate = resonate
        self._home = home
        self.identity = identity
        self.exclusive = exclusive
        self.lasting = lasting

    def register(self, name: str, function: Callable[..., Any], alias: object) -> None:
        leaf.register(self.resonate, name, function, alias)

    async def open(self) -> None:
        """It knows who it is from the beginning."""

    async def start(self) -> None:
        self.resonate.start()

    async def stop(self) -> None:
        await self.resonate.stop()

    async def create(self, id: str, name: str, arguments: Mapping[str, Any]) -> Life:
        # The promise is created directly: Resonate.rpc would register a listener too, a request that nobody waits for.
        timeout_at = leaf.far_from_now_ms(self.resonate)
        data = TaskData(func=name, kwargs=dict(arguments))
        tags = leaf.tags_of_life(id, leaf.address_of(self.resonate, self._home))
        promise = await self.resonate.promises.create(id, timeout_at, Value(data=data), tags)
        return "running" if promise.state == "pending" else "settled"

    async def look(self, id: str) -> Life | None:
        promise = await self._get(id)
        if promise is None:
            return None
        return "running" if promise.state == "pending" else "settled"

    async def settle(self, id: str) -> bool:
        try:
            await self.resonate.promises.resolve(id, Value())
        except ServerError as error:
            if error.code == _NO_SUCH_PROMISE:
                return False
            raise
        return True

    async def note(self, id: str, text: str) -> str:
        timeout_at = leaf.far_from_now_ms(self.resonate)
        promise = await self.resonate.promises.create(id, timeout_at, Value(data=text), {})
        return str(promise.param.data)

    async def noted(self, id: str) -> str | None:
        promise = await self._get(id)
        return None if promise is None else str(promise.param.data)

    async def _get(self, id: str) -> PromiseRecord | None:
        try:
            return await self.resonate.promises.get(id)
        except ServerError as error:
            if error.code == _NO_SUCH_PROMISE:
                return None
            raise

    def forget(self, id: str) -> None:
        """A server collects by its own rules."""


class _State(ServerState):
    """The SDK's in-memory server without its preloads: they scan all that exists, and save a request on a replay."""

    def preload(self, promise_id: str) -> list[dict[str, Any]]:
        del promise_id
        return []


class LocalEngine(ResonateEngine):
    """The in-memory engine; see the module."""

    def __init__(self, *, concurrency: int) -> None:
        self._connection = LocalConnection()
        self._connection.state = _State()
        self._finished: set[str] = set()
        resonate = Resonate(
            network=self._connection,
            ttl=leaf.FAR,
            max_concurrent_tasks=concurrency,
            retry_policy=Exponential(delay=1, factor=2, max_delay=60, max_retries=30),
            subscription_refresh_secs=0,
            env={},
            autostart=False,
        )
        leaf.count_requests(resonate)
        super().__init__(resonate, memory_identity(), exclusive=True, lasting=False)

    def forget(self, id: str) -> None:
        self._finished.add(id)
        if len(self._finished) < _FORGET_BATCH:
            return
        state = self._connection.state
        # What has a task that is not fulfilled (its last request is on the way, or a detached child lives on) stays
        # for a later round.
        busy = {origin_of(id) for id, task in state.tasks.items() if task.state != "fulfilled"}
        ripe = self._finished - busy
        self._finished -= ripe
        for gone in [id for id in state.promises if origin_of(id) in ripe]:
            del state.promises[gone]
            state.tasks.pop(gone, None)
        state.p_timeouts = [t for t in state.p_timeouts if origin_of(t.id) not in ripe]
        state.t_timeouts = [t for t in state.t_timeouts if origin_of(t.id) not in ripe]
