"""Looks at pending effects, by the schedule of their provider, and wakes those that are pending for too long (P7).

One statement a second reads an index of what is pending and due, however much is pending. The first worker that looks
at an effect moves its next time by compare-and-set: no other worker looks meanwhile, and if this process dies another
one does a minute later. One task asks each provider, at its own rate, so a slow provider delays no other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from recordfirst.core import decide as d
from recordfirst.core import pending
from recordfirst.core.receipt import Receipt
from recordfirst.core.text import safe_text
from recordfirst.execution.looking import look
from recordfirst.execution.runtime import Runtime
from recordfirst.observe import LookFailed
from recordfirst.worker.resuming import cancelled

if TYPE_CHECKING:
    from recordfirst.engine.contract import Engine
    from recordfirst.steps.effect import Effect

_EVERY_S = 1.0
_MOST = 100
"""So many are taken at a time."""
_TAKEN_MS = 60_000
"""How long a look is left to the worker that has begun it."""


class PendingLooker:
    """Of one worker."""

    def __init__(self, runtime: Runtime, engine: Engine, effects: Mapping[str, Effect[..., Any]]) -> None:
        self._runtime, self._engine, self._effects = runtime, engine, effects
        self._asking: dict[str, asyncio.Task[None]] = {}
        """The task that asks a provider, by the provider's name."""

    async def keep_looking(self) -> None:
        """Look at what is due, until cancelled."""
        try:
            while True:
                try:
                    await self._round()
                except Exception as error:  # noqa: BLE001 - what is due stays due, and the next round looks again
                    self._runtime.observe(LookFailed("what is due", safe_text(error)))
                await self._runtime.seams.pause(_EVERY_S)
        finally:
            await cancelled(*self._asking.values())

    async def _round(self) -> None:
        self._asking = {name: task for name, task in self._asking.items() if not task.done()}
        asked = [each.name for each in self._effects.values() if each.provider.name in self._asking]
        async with self._runtime.record.session() as session:
            due = await session.due(asked, _MOST)
            if due and await self._runtime.held(session) is not None:
                return  # nothing comes to an end before a restore is accepted
        by_provider: dict[str, list[Receipt]] = {}
        for receipt in due:
            effect = self._effects.get(receipt.function)
            # What this version does not know is another version's; it is put off, so that it stands in nobody's way.
            by_provider.setdefault(effect.provider.name if effect is not None else "", []).append(receipt)
        for name, receipts in by_provider.items():
            self._asking[name] = asyncio.create_task(self._ask(receipts))

    async def _ask(self, receipts: Sequence[Receipt]) -> None:
        for receipt in receipts:
            try:
                await self._look(receipt)
            except Exception as error:  # noqa: BLE001 - it was put off, and is looked at again then
                self._runtime.observe(LookFailed(receipt.key, safe_text(error)))
            effect = self._effects.get(receipt.function)
            if effect is not None:
                await self._runtime.seams.pause(1 / effect.provider.looks_per_s)

    async def _look(self, receipt: Receipt) -> None:
        async with self._runtime.record.session() as session:
            taken = await session.change_receipt(receipt, pending.looking(receipt, _TAKEN_MS))
            now_ms = await session.now_ms()
        effect = self._effects.get(receipt.function)
        if taken is None or effect is None:
            return
        seen = await look(self._runtime, effect, taken, now_ms)
        if seen.state != "pending" or seen.parked_on is None or not d.is_expired(seen, now_ms, effect.guarantee):
            return
        # Its workflow is to have it cancelled. If it cannot be woken now, or we die, it is woken a minute later.
        async with self._runtime.record.session() as session:
            held = await session.change_receipt(seen, pending.looking(seen, _TAKEN_MS))
        if held is not None and await self._engine.settle(seen.parked_on):
            async with self._runtime.record.session() as session:
                await session.change_receipt(held, pending.looked(held, now_ms, effect.guarantee, held.error))
