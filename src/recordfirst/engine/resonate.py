"""An engine on a ``Resonate`` object, whatever it is connected to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from resonate.error import SerializationError, ServerError
from resonate.resonate import Resonate
from resonate.types import PromiseRecord, TaskData, Value

from recordfirst.core.exceptions import AllowedErrors
from recordfirst.engine.codec import Clear
from recordfirst.engine.contract import EngineState
from recordfirst.engine.sdk import steps as sdk

_NO_SUCH_PROMISE = 404


class ResonateEngine:
    """An engine on any ``Resonate`` object."""

    def __init__(
        self,
        resonate: Resonate,
        identity: str,
        *,
        exclusive: bool,
        lasting: bool,
        home: str | None = None,
        errors: AllowedErrors | None = None,
    ) -> None:
        """``home``: the group in which workflows are started; ``None``: the Resonate's own."""
        sdk.quiet()
        self._codec = sdk.store_safely(resonate, errors if errors is not None else AllowedErrors())
        self.resonate = resonate
        self.places = sdk.give_places(resonate)
        self._home = home
        self.identity = identity
        self.exclusive = exclusive
        self.lasting = lasting

    def register(self, name: str, function: Callable[..., Any], alias: object) -> None:
        sdk.register(self.resonate, name, function, alias)

    def register_unknown(self, of: Callable[[str], Callable[..., Any]]) -> None:
        sdk.register_unknown(self.resonate, of)

    async def open(self) -> None:
        """It knows who it is from the beginning."""

    async def drop(self, stale: Callable[[Sequence[str]], Awaitable[Sequence[str]]]) -> None:
        """A server collects by its own rules."""

    async def start(self) -> None:
        self.resonate.start()

    async def stop(self, *, at_once: bool = False) -> None:
        del at_once  # who shares it waits for leases, and not for this worker
        await self.resonate.stop()

    async def create(self, id: str, name: str, arguments: Mapping[str, Any]) -> EngineState:
        # The promise is created directly: Resonate.rpc would register a listener too, a request that nobody waits for.
        timeout_at = sdk.far_from_now_ms(self.resonate)
        data = TaskData(func=name, kwargs=dict(arguments))
        tags = sdk.tags_of_epoch(id, sdk.address_of(self.resonate, self._home))
        promise = await self.resonate.promises.create(id, timeout_at, Value(data=data), tags)
        return "running" if promise.state == "pending" else "settled"

    async def look(self, id: str) -> EngineState | None:
        try:
            promise = await self._get(id)
        except SerializationError:
            return "running"  # until the worker that can renew it has been told
        if promise is None:
            return None
        return "running" if promise.state == "pending" else "settled"

    async def settle(self, id: str) -> bool:
        try:
            await self.resonate.promises.resolve(id, Value())
        except SerializationError:
            return True  # it is settled, and what it holds cannot be read
        except ServerError as error:
            if error.code == _NO_SUCH_PROMISE:
                return False
            raise
        return True

    async def note(self, id: str, text: str) -> str:
        timeout_at = sdk.far_from_now_ms(self.resonate)
        promise = await self.resonate.promises.create(id, timeout_at, Value(data=Clear(text)), {})
        return str(promise.param.data)

    async def noted(self, id: str) -> str | None:
        try:
            promise = await self._get(id)
        except SerializationError:
            return None  # nobody can read it, so it says nothing
        return None if promise is None else str(promise.param.data)

    async def _get(self, id: str) -> PromiseRecord | None:
        try:
            return await self.resonate.promises.get(id)
        except ServerError as error:
            if error.code == _NO_SUCH_PROMISE:
                return None
            raise

    def tell_unreadable(self, found: Callable[[str], None]) -> None:
        self._codec.unreadable = found

    async def ended(self, after: str) -> list[str]:
        del after  # a server collects by its own rules
        return []

    def forget(self, id: str) -> None:
        """A server collects by its own rules."""
