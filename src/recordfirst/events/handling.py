"""Runs the user's handlers of one event: rows and receipt in one transaction, once per event (P2, P11)."""

from __future__ import annotations

from typing import Any

import msgspec

from recordfirst.core import codec
from recordfirst.core.event import ProviderEvent, StoredEvent
from recordfirst.core.receipt import NewReceipt
from recordfirst.execution.flush import open_write
from recordfirst.execution.runtime import Runtime
from recordfirst.observe import LostRace
from recordfirst.steps.on_event import EventHandler, workflow_of


class _Lost(Exception):  # noqa: N818 - control flow inside this module
    """Another worker's receipt was there first: roll back."""


async def handle(runtime: Runtime, handler: EventHandler, event: StoredEvent) -> bool:
    """Run one handler, unless it has run; return whether it did now. What it raises is raised.

    Another worker may be faster, and the reply to COMMIT may be lost: the receipt's key is unique.
    """
    assert event.id is not None
    assert event.body is not None
    key = handler.key_of(event.id)
    given = ProviderEvent(
        provider=event.provider,
        id=event.id,
        type=event.type,
        livemode=event.livemode,
        account=event.account,
        at_ms=event.happened_at_ms,
        data=codec.decode(runtime.unseal(event.body)),
    )
    request = codec.encode({"event": event.id, "type": event.type}, "an event")
    receipt = NewReceipt(
        key=key,
        kind="write",
        function=handler.name,
        workflow=workflow_of(event.provider, event.id),
        state="succeeded",
        fingerprint=runtime.fingerprint(request),
        request=runtime.seal(request),
    )

    async def once() -> bool:
        async with runtime.record.session() as session:
            if (await session.find_receipt(key)).receipt is not None:
                return False
        try:
            await _run(runtime, handler, given, receipt)
        except _Lost:
            runtime.observe(LostRace(key))
            return False
        return True

    return await runtime.patiently(repr(handler), once, release=False)


async def _run(runtime: Runtime, handler: EventHandler, event: ProviderEvent, receipt: NewReceipt) -> None:
    function = handler.function
    arguments: dict[str, Any] = {handler.event: event}
    if handler.fetch is not None and handler.found is not None:
        injected = await runtime.injector.resolve(handler.fetch)
        arguments[handler.found] = await handler.fetch.call(event, {}, injected, runtime.executor)
    injected = await runtime.injector.resolve(function)
    async with runtime.record.transaction() as tx:
        w, gathered = open_write(runtime, tx, None, blocking=not function.is_async)
        value = await function.call(w, arguments, injected, runtime.executor)
        result, _ = function.result(value)
        done = msgspec.structs.replace(receipt, result=runtime.seal(result))
        if not await gathered.flush(done):
            raise _Lost
    gathered.committed()
