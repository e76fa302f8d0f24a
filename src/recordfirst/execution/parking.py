"""How an effect waits: in place for a short time, suspended in the engine for a long one, parked for an operator.

Nothing is held meanwhile. The dispatcher wakes a parked workflow, by the one promise that the receipt names.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from resonate.context import Context

from recordfirst.core import decide as d
from recordfirst.core import identity
from recordfirst.core.receipt import Change, Receipt, Wake
from recordfirst.engine.sdk import steps as sdk
from recordfirst.execution.execution import Execution
from recordfirst.process import places

IN_PLACE_MS = 5_000
"""Waits up to this long happen in place; longer ones are durable sleeps that hold no worker. Neither holds a place."""
_SHARED_MS = 30_000
"""Between two looks at an unknown outcome on which another workflow, with the same key, is parked."""
_BRANCH_MS = 86_400_000
"""The same, if it is another branch of this workflow: what wakes that one wakes this one, too."""


class Waiting:
    """The waits of one execution of an effect."""

    def __init__(
        self,
        execution: Execution,
        ctx: Context,
        change: Callable[[Receipt, Change], Awaitable[Receipt | None]],
        admission: places.Admission,
        *,
        waits_from: int = 0,
    ) -> None:
        """``waits_from``: its waits have numbers behind this."""
        self._from = waits_from
        self._execution, self._runtime, self._ctx, self._change = execution, execution.runtime, ctx, change
        self._admission = admission

    async def until(self, receipt: Receipt, wait_ms: int) -> None:
        """Wait for a time of the record's clock, which is so far away."""
        place = places.here()
        if wait_ms > IN_PLACE_MS or (place is not None and place.is_crowded):
            if receipt.doubts == 0 and receipt.reply is None:
                self._execution.idle.add(sdk.wait_id(self._ctx, self._from + receipt.revision))
            await sdk.sleep(self._ctx, self._from + receipt.revision, wait_ms / 1000)
        # Also after a durable sleep that has ended: the engine's clock may be ahead of the record's, which decides.
        await self._runtime.pause(min(wait_ms, IN_PLACE_MS) / 1000)

    async def in_line(self) -> None:
        """Wait until the provider can be asked; suspended, if it answers nothing and has all calls that it may have."""
        while not await self._admission.take():
            await sdk.sleep(self._ctx, sdk.now_s(self._ctx), self._admission.away_s())

    async def was_in_line(self, action: d.Action) -> bool:
        """Before an action: whether the provider is to be asked, and could not be at once. Then look again."""
        if not isinstance(action, d.MakeCall | d.Probe):
            self._admission.give_back()
            return False
        if self._admission.take_now():
            return False
        await self.in_line()
        return True

    async def park(self, receipt: Receipt, now_ms: int, *, look_now: bool = False) -> None:
        """Wait for an operator, or for the provider: ``look_now``, since somebody needs to know what is pending."""
        if receipt.parked_on is not None and not self._is_ours(receipt.parked_on):
            # Another workflow waits there, and to take its place would leave it suspended for ever.
            wait_ms = _BRANCH_MS if self._is_of_this_run(receipt.parked_on) else _SHARED_MS
            await sdk.sleep(self._ctx, now_ms // wait_ms, wait_ms / 1000)
            await self._runtime.pause(min(wait_ms, IN_PLACE_MS) / 1000)
            return
        number = sdk.wait_number(self._ctx, receipt.parked_on) if receipt.parked_on is not None else None
        if number is None:
            number, asks = self._from + receipt.revision, look_now and receipt.state == "pending"
            change = d.parked(receipt, sdk.wait_id(self._ctx, number), look_now=asks)
            if await self._change(receipt, change) is None:
                return
        await sdk.park(self._ctx, number)
        # The promise was settled though nobody has resolved the effect: the record decides, so park anew.
        await self._change(receipt, d.parked(receipt, sdk.wait_id(self._ctx, self._from + receipt.revision + 1)))

    async def unpark(self, receipt: Receipt) -> None:
        """The workflow goes on: nobody needs to wake it, least of all in an engine that is gone."""
        if receipt.parked_on is None or not self._is_ours(receipt.parked_on):
            return
        wake = Wake(key=receipt.key, attempt=receipt.attempt, parked_on=receipt.parked_on)

        async def clear() -> None:
            async with self._runtime.record.session() as session:
                await session.woken([wake])

        await self._runtime.patiently(f"wake of {receipt.key!r}", clear)

    def _is_of_this_run(self, promise: str) -> bool:
        try:
            return identity.parse_engine_id(promise)[:3] == identity.parse_engine_id(self._ctx.info.id)[:3]
        except ValueError:  # somebody else's
            return False

    def _is_ours(self, promise: str) -> bool:
        return identity.is_wait_of(promise, self._ctx.info.id)
