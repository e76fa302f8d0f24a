"""One run of a workflow's body: its workflow and epoch, its writes under way, and what stops it (P9)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import msgspec
from resonate.error import Suspended

from recordfirst.core.start import Start
from recordfirst.engine.sdk import steps as sdk
from recordfirst.engine.sdk.over import Over
from recordfirst.errors import Undone
from recordfirst.execution.conflicts import Keyed, refuse_other_key
from recordfirst.execution.runtime import HELD_S, Runtime
from recordfirst.observe import NotBegun
from recordfirst.records.contract import Session
from recordfirst.steps.arguments import Arguments
from recordfirst.steps.declared import Declared
from recordfirst.steps.function import RAISED_AT


class Defect(msgspec.Struct, frozen=True):
    """An error that is not declared, which stops a workflow (P9)."""

    error: BaseException
    at: str | None
    """Where in the user's code it was raised."""
    step: str | None = None


class Execution:
    """One run of a workflow's body: whose it is, which of its writes are on their way, and whether it must stop."""

    def __init__(
        self,
        runtime: Runtime,
        workflow_id: str,
        epoch: int,
        *,
        is_part: bool,
        first_run: bool,
        declared: Declared,
        over: Over,
        again: Mapping[str, int],
    ) -> None:
        self.runtime = runtime
        self.declared, self.over = declared, over
        self.again = again
        """How many attempts a retry has put behind it, by key."""
        self.defect: Defect | None = None
        """What stops this run: nothing more of it begins."""
        self.is_undoing = False
        """It takes back what was done. One undo that fails stops no other."""
        self.taken_back: str | None = None
        """What an earlier run had begun to take back. Whatever the body does by now, it ends in failure."""
        self.workflow_id = workflow_id
        self.epoch = epoch
        self.is_part = is_part
        """It is a body that the workflow runs by ``ctx.rpc``, and knows nothing of the others."""
        self.first_run = first_run
        """As far as this worker knows, no body of this workflow ran before. A hint: nothing rests on it."""
        self.writes: dict[str, asyncio.Future[Any]] = {}
        """Writes of this run by key, from the moment they are called; an effect waits for its own (P1)."""
        self.default_keys: dict[str, str] = {}
        """Which call uses a write's default key."""
        self.begun: dict[str, Begun] = {}
        """Intents that rode in a write of this run, so that their first call need not be stored again."""
        self.same_keys: set[object] = set()
        """Functions of which it is known that what earlier runs have stored has the key that they make today."""
        self.idle: set[str] = set()
        """Waits, by their ids in the engine, of effects that have certainly not happened so far."""
        self.steps: list[str] = []
        """Names of the steps that run now."""

    def stopped_by(self, error: BaseException, at: str | None, step: str | None) -> BaseException:
        """Let nothing more of this run begin, and return what unwinds its body. The first defect is the one."""
        if self.defect is None:
            self.defect = Defect(error, at, step)
        self.over.all = True
        return sdk.stopped(error)

    def judge(self, error: Exception, step: str) -> BaseException | None:
        """What is raised in the body instead of an error that a call came to; ``None``: it is an outcome (P9)."""
        if self.is_undoing or self.declared.reaches_body(error):
            return None
        return self.stopped_by(error, getattr(error, RAISED_AT, None), step)

    def refuse_behind_undo(self) -> None:
        """Raise ``Undone`` if an earlier run has failed and begun to undo: no more is written or called."""
        if self.taken_back is not None and not self.is_undoing:
            raise Undone(self.taken_back)

    def go_on(self) -> None:
        """Raise ``Suspended`` in a step of a run that has stopped: it begins nothing more."""
        if self.defect is not None:
            raise Suspended

    async def refuse_other_key(self, step: Keyed, arguments: Arguments, session: Session[Any] | None = None) -> None:
        """Raise ``DifferentKey`` if earlier runs have called a step under a key that it does not make by now (P3).

        Looks once: what this run stores itself has today's key. ``session``: to look in, else one of its own.
        """
        if self.first_run or step.function.has_other_keys or step.function in self.same_keys:
            return

        async def look() -> None:
            async with self.runtime.record.session() as own:
                await refuse_other_key(self.runtime, own, step, self.workflow_id, arguments)

        if session is not None:
            await refuse_other_key(self.runtime, session, step, self.workflow_id, arguments)
        else:
            await self.runtime.patiently(f"keys of {step.function.name!r}", look)
        self.same_keys.add(step.function)

    async def is_over(self, session: Session[Any] | None = None) -> bool:
        """Whether this epoch is over, as the record says now: an operator has ended it, or its workflow has ended."""

        async def look() -> Start | None:
            async with self.runtime.record.session() as alone:
                return await alone.find_start(self.workflow_id)

        if session is not None:
            start = await session.find_start(self.workflow_id)
        else:
            start = await self.runtime.patiently(f"start of {self.workflow_id!r}", look)
        if start is None:
            return False
        return start.state != "open" or (start.min_epoch is not None and self.epoch < start.min_epoch)

    async def release_if_barred(self, key: str, session: Session[Any] | None = None) -> None:
        """Give the task back if no call is begun by anybody now, or none by this epoch."""
        await self.runtime.release_if_held(key, session)
        await self.release_if_over(f"effect {key!r}", session)

    async def release_if_over(self, what: str, session: Session[Any] | None = None) -> None:
        """Give the task back if this epoch is over: it begins no further step, and ends when it is delivered again."""
        if await self.is_over(session):
            self.runtime.over.add((self.workflow_id, self.epoch))
            self.runtime.observe(NotBegun(self.workflow_id, what))
            await self.runtime.pause(HELD_S)
            raise sdk.release(f"workflow {self.workflow_id!r} has ended: {what} was not begun")


class Begun(msgspec.Struct, frozen=True):
    """An intent stored with its first call begun, by this run."""

    receipt: Any
    claim: str
    until_s: float
    """By the event loop's clock: later, the call is begun anew in the record."""
