"""What one run of a body has come to, and when nothing more of it begins.

A step that must wait elsewhere (for a time, an operator, a part) is told so by the SDK with an exception,
``Suspended``; one whose task is to be given back, with ``PlatformError``. Either would unwind the body through whatever
stands around the step: a ``finally`` that calls the next step, a task group that cancels what runs beside and makes a
group of it, a ``gather`` that returns it as a result. So a branch that is told to wait rests, as if its step took so
long, until nothing of its body has anything else to do. Then, and when a task is to be given back, nothing more of the
run begins, whatever its body does.

Lost: what a body waits for by itself, and not by a step (``asyncio.sleep``), counts as nothing to do.

The event loop must turn to show whether a branch has something to do. A hundred turns cost 0.3 ms of CPU, a tenth of an
order's. So it turns only if there is a branch: another task with this run's context, which a task gets from the one
that began it. To look through all tasks costs 0.3 us for each, so where many bodies run the loop turns in any case.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

from resonate.error import PlatformError, Suspended

from recordfirst.steps.step import Caller, caller

type ErrorFilter = Callable[[Exception, str], BaseException | None]
"""Says of an error, and of the call that it came out of, what is raised instead; ``None``: the body may see it."""
type Hosts = tuple[asyncio.Task[Any], ...]
"""The functions that a call is made in, which a body runs by ``ctx.run``: outermost first."""

_TICKS = 100
"""Turns of the event loop in which a result reaches a body by callbacks alone, through groups of groups of tasks."""


class Over:
    """What one run of a body has come to: its contexts share this."""

    def __init__(self) -> None:
        self.judge: ErrorFilter = lambda _error, _name: None
        self.crowded: Callable[[], bool] = lambda: False
        """Whether so many tasks are here that to look through them would cost more than to let the loop turn."""
        self.all = False
        """Nothing more of this run begins: whatever its body does now is unwinding."""
        self.is_quiet = False
        """That is so because all of it waits."""
        self.released: PlatformError | None = None
        """Its task is to be given back, for this."""
        self._calls: set[asyncio.Task[Any]] = set()
        """What the body has called and runs here."""
        self._resting: Counter[asyncio.Task[Any]] = Counter()
        """How many branches rest in each function that the body runs."""
        self._at_rest: set[asyncio.Task[Any] | None] = set()
        """The tasks that rest."""
        self._callers: set[Caller | None] = set()
        """Whose context the calls were made in: of one run, if all of its branches have it from the body."""
        self._quiet: asyncio.Task[None] | None = None
        self._ended: tuple[str, asyncio.Task[Any] | None] | None = None

    # ── what begins ─────────────────────────────────────────────────────────

    def refuse(self, id: str) -> None:
        """Raise what unwinds the body of this id, if this task of it begins nothing more."""
        if self.all or self._is_left(id):
            raise Suspended if self.released is None else self.released

    def add(self, call: asyncio.Task[Any]) -> None:
        """This was called, and runs here."""
        self._callers.add(caller.get())
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)

    def end(self, id: str) -> None:
        """The body of this id has failed: its branches begin nothing more, and the task that says so goes on alone."""
        self._ended = (id, asyncio.current_task())

    def give_back(self, error: PlatformError) -> None:
        """The task is to be given back. What a branch of a body that has failed says is nothing to that body."""
        if not self.all and (self._ended is None or asyncio.current_task() is self._ended[1]):
            self.all, self.released = True, error

    def _is_left(self, id: str) -> bool:
        """Whether this task is a branch of a body that has failed."""
        return self._ended is not None and self._ended[0] == id and asyncio.current_task() is not self._ended[1]

    # ── waiting ─────────────────────────────────────────────────────────────

    async def rest(self, hosts: Hosts) -> None:
        """Wait until nothing of this run has anything to do but wait. From then on nothing more of it begins."""
        if self.all or self._ended is not None:
            return
        self._resting.update(hosts)
        task = asyncio.current_task()
        self._at_rest.add(task)
        try:
            if self._quiet is None or self._quiet.done():
                self._quiet = asyncio.create_task(self._until_quiet())
            await asyncio.shield(self._quiet)
        finally:
            self._resting.subtract(hosts)
            self._at_rest.discard(task)

    async def _until_quiet(self) -> None:
        await self.until_alone()
        if not self.all and self._ended is None:
            self.all = self.is_quiet = True

    async def until_alone(self) -> None:
        """Wait until every call of the body has ended, or rests."""
        while True:
            await asyncio.sleep(0)  # for what the loop calls by itself, and for tasks that are about to end
            if not self._may_go_on():
                return
            for _ in range(_TICKS):
                await asyncio.sleep(0)
            under_way = self._under_way()
            if not under_way:
                return
            await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)

    def _under_way(self) -> set[asyncio.Task[Any]]:
        return {call for call in self._calls if not self._resting[call]}

    def _may_go_on(self) -> bool:
        """Whether another task of this run may still call something."""
        run = caller.get()
        if self._under_way() or not self._callers <= {run} or self.crowded():
            return True
        idle = {asyncio.current_task(), *self._at_rest}
        return any(task not in idle and task.get_context().get(caller) is run for task in asyncio.all_tasks())
