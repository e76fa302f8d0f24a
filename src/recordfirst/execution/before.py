"""What must hold before an effect is called first: its write has its receipt (P1), and no attempt is open."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from recordfirst.core.receipt import Receipt, Seen
from recordfirst.errors import AttemptRefused
from recordfirst.execution.execution import Execution
from recordfirst.steps.arguments import Arguments
from recordfirst.steps.precedent import after_missing, is_done

if TYPE_CHECKING:
    from recordfirst.steps.effect import Effect


class Before:
    """What one execution looks at before it calls an effect."""

    def __init__(
        self,
        effect: Effect[..., Any],
        execution: Execution,
        arguments: Arguments,
        key: str,
        find: Callable[[str, int], Awaitable[Seen]],
    ) -> None:
        """``find`` looks a receipt up, by key and attempt."""
        self.effect, self.execution, self.arguments, self.key, self._find = effect, execution, arguments, key, find
        self._waited_for: asyncio.Future[Any] | None = None

    async def await_precedent(self, announced: Receipt | None) -> None:
        """P1: let the write that this comes after end, if it is on its way in this very run; its receipt decides.

        One that was announced, and never called, waits for it, too: an older version may have announced it.

        Raises:
            AfterMissing: if it has no receipt, and is not on its way.
        """
        after = self.effect.precedent(self.execution.workflow_id, self.arguments)
        if after is None or (announced is not None and announced.calls > 0):
            return
        found = (await self._find(after.key, 1)).receipt
        if is_done(found, after):
            return
        on_its_way = self.execution.writes.get(after.key)
        if on_its_way is None or on_its_way is self._waited_for:
            raise after_missing(self.effect, after, found)
        self._waited_for = on_its_way
        await asyncio.shield(on_its_way)

    async def check_previous_attempt(self) -> None:
        attempt = self.effect.attempt_number
        previous = (await self._find(self.key, attempt - 1)).receipt
        if previous is None or (previous.state != "declined" and previous.undone_by is None):
            state = "was never made" if previous is None else f"is {previous.state}"
            raise AttemptRefused(
                f"attempt {attempt} of {self.key!r} is refused: attempt {attempt - 1} {state}; "
                "a new attempt is made only after the one before was declined (or undone)"
            )
