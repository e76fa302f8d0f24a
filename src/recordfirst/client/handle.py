"""Handles: waiting for a workflow's end, as the record has it, wherever it runs."""

from __future__ import annotations

import asyncio
from typing import Any, Literal, cast

from recordfirst.client.completion_poller import CompletionPoller
from recordfirst.core import codec
from recordfirst.core.start import Finish, Start
from recordfirst.errors import Collected, UnknownWorkflow, WorkflowCancelled, WorkflowFailed, WorkflowStopped
from recordfirst.execution.runtime import Runtime
from recordfirst.steps.workflow import Workflow
from recordfirst.worker.completer import Ended
from recordfirst.worker.dispatcher import Dispatcher

_LEASE_LOST_S = 2.0
"""How often a handle asks the record for a result that the worker of this process is to tell."""


_FIRST_LOOK_S = 0.05
"""Before the first look whether a workflow has stopped; each further pause is twice as long."""


class Handle[R]:
    """A workflow that was accepted."""

    def __init__(
        self, runtime: Runtime, completions: CompletionPoller, workflow: Workflow[..., R], id: str, start: Start
    ) -> None:
        self._runtime, self._completions = runtime, completions
        self._workflow, self.id, self._start = workflow, id, start
        self._dispatcher: Dispatcher | None = None
        self._ended: Ended | None = None

    def __repr__(self) -> str:
        return f"<Handle of workflow {self.id!r}>"

    def follow(self, dispatcher: Dispatcher) -> None:
        """Hear of the end from the worker in this process, should the workflow end in it."""
        self._dispatcher = dispatcher
        if dispatcher.alone:
            self._ended = dispatcher.ends.wait_for(self.id)

    async def status(self) -> Start:
        """The start as the record has it now."""
        return await find_start(self._runtime, self.id)

    async def result(self, *, if_stopped: Literal["wait", "raise"] = "wait") -> R:
        """Wait for the workflow's end, as the record has it, and return its result.

        Args:
            if_stopped: a workflow that a defect has stopped is open, and goes on when the defect is fixed: ``"wait"``
                for that, or ``"raise"``.

        Raises:
            WorkflowStopped: if a defect has stopped it, and ``if_stopped`` says so.
            WorkflowFailed: if it failed; the exception itself is the cause when it happened in this process.
            WorkflowCancelled: if an operator has cancelled it.
            Collected: if it ended long ago, and its rows were collected.
            Misuse: in another event loop, thread or process than the one that has the app open.
        """
        self._runtime.owned.check()
        start, cause = await (self._end() if if_stopped == "wait" else self._end_or_stop())
        if isinstance(start, Start) and start.state == "collected":
            raise Collected(self.id, codec.decode(start.error or "{}").get("message", ""))
        if start.state in ("failed", "cancelled"):
            error = codec.decode(start.error or "{}")
            ended = WorkflowFailed if start.state == "failed" else WorkflowCancelled
            message, at = error.get("message", ""), error.get("at")
            raise ended(self.id, error.get("type", "Error"), message, at) from cause
        runtime, function = self._runtime, self._workflow.function
        text = runtime.unseal(start.result) if start.result is not None else "null"
        return cast("R", codec.shape(codec.decode(text), function.returns, f"the result of {function!r}"))

    async def _end_or_stop(self) -> tuple[Start | Finish, Exception | None]:
        ended, pause_s = asyncio.ensure_future(self._end()), _FIRST_LOOK_S
        try:
            while not (await asyncio.wait({ended}, timeout=pause_s))[0]:
                start = await self.status()
                if start.is_stopped:
                    stop = codec.decode(start.stop or "{}")
                    said = stop.get("type", "Error"), stop.get("message", ""), stop.get("at")
                    raise WorkflowStopped(self.id, *said, undoing=stop.get("undoing", False))
                pause_s = min(2 * pause_s, _LEASE_LOST_S)
            return ended.result()
        finally:
            ended.cancel()

    async def _end(self) -> tuple[Start | Finish, Exception | None]:
        """The end, as the record has it, and the exception if it happened here."""
        if self._start.state != "open":
            return self._start, None
        if self._ended is not None:
            return await self._end_here(self._ended)
        here = self._dispatcher.ends.wait_for(self.id) if self._dispatcher is not None else None
        while True:
            there = self._completions.wait_for(self.id)
            try:
                waits: list[asyncio.Future[Any]] = [there] if here is None else [there, here]
                await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
                if here is not None and here.done():
                    return here.result()
                await there
            finally:
                self._completions.leave(there)
            if (start := await self.status()).state != "open":
                return start, None

    async def _end_here(self, ended: Ended) -> tuple[Start | Finish, Exception | None]:
        """The end that the worker of this process tells. It may lose its lease, and another finish: look at times."""
        while True:
            done, _ = await asyncio.wait({ended}, timeout=_LEASE_LOST_S)
            if done:
                return ended.result()
            if (start := await self.status()).state != "open":
                return start, None


async def find_start(runtime: Runtime, id: str) -> Start:
    """The start of this id. Raises ``UnknownWorkflow`` if there is none."""
    runtime.owned.check()

    async def find() -> Start | None:
        async with runtime.record.session() as session:
            return await session.find_start(id)

    start = await runtime.patiently(f"look for {id!r}", find, release=False)
    if start is None:
        raise UnknownWorkflow(f"no workflow {id!r} was ever started in app {runtime.app!r}")
    return start
