"""A worker: holds the record's lease if the engine needs it, runs engine and dispatcher, and starts over if it must."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

from recordfirst.engine.contract import Engine
from recordfirst.errors import Misuse
from recordfirst.execution.body import body_of, body_of_unknown
from recordfirst.execution.runtime import Runtime
from recordfirst.observe import WorkInterrupted
from recordfirst.reconcile.contract import PassContext
from recordfirst.reconcile.loop import keep, watch
from recordfirst.reconcile.restores import check
from recordfirst.steps.registrations import Registrations
from recordfirst.worker.dispatcher import Dispatcher
from recordfirst.worker.engine_cleaner import collect_regularly
from recordfirst.worker.events import take_events
from recordfirst.worker.looker import PendingLooker
from recordfirst.worker.renewing import renew
from recordfirst.worker.waits import tell_waits


class Worker:
    """A process's part in an app's work; see ``App.worker``."""

    def __init__(
        self,
        runtime: Runtime,
        registered: Registrations,
        concurrency: int,
        connect: Callable[[], Engine],
        on_dispatcher: Callable[[Dispatcher | None], None],
    ) -> None:
        self._runtime, self._registered, self._concurrency = runtime, registered, concurrency
        self._connect, self._on_dispatcher = connect, on_dispatcher
        self.stopping = asyncio.Event()
        """Set to make it stop."""
        self.working = asyncio.Event()
        """Set while this process works; clear while it stands by."""
        self.task = asyncio.create_task(self._keep_working())
        """Done when it has stopped. Raises ``Misuse`` if it cannot work again, with an engine that was used up."""

    async def _keep_working(self) -> None:
        """Work, or stand by, until :attr:`stopping` is set, whatever becomes of the record or the engine meanwhile."""
        runtime, pause_s = self._runtime, 0.2
        while not self.stopping.is_set():
            try:
                await self._work()
                pause_s = 0.2
            except Misuse:
                raise  # no time will fix it
            except Exception as error:  # noqa: BLE001 - a worker outlives its record's and its engine's bad hours (P9)
                runtime.observe(WorkInterrupted(runtime.app, f"{type(error).__name__}: {error}"))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.stopping.wait(), pause_s)
                pause_s = min(2 * pause_s, 5.0)

    async def _work(self) -> None:
        engine = self._connect()
        if not engine.exclusive:
            await self._with(engine, asyncio.create_task(_first(self.stopping.wait)))
            return
        async with contextlib.AsyncExitStack() as stack:
            held = asyncio.create_task(stack.enter_async_context(self._runtime.record.lease("worker")))
            if not await self._unless_stopping(held):
                return
            await self._with(engine, asyncio.create_task(_first(self.stopping.wait, held.result().lost)))
            if not self.stopping.is_set():
                self._runtime.observe(WorkInterrupted(self._runtime.app, "the record's lease was lost"))

    async def _unless_stopping(self, held: asyncio.Task[Any]) -> bool:
        """Wait for the lease; ``False`` if we are to stop before it is ours."""
        stopping = asyncio.create_task(self.stopping.wait())
        await asyncio.wait({held, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if held.done():
            held.result()
            return True
        held.cancel()
        await asyncio.gather(held, return_exceptions=True)
        return False

    async def _with(self, engine: Engine, ends: asyncio.Task[Any]) -> None:
        """Work with this engine until ``ends`` does."""
        registered = self._registered
        dispatcher = Dispatcher(self._runtime, engine, registered.workflows, self._concurrency)
        for workflow in registered.workflows.values():
            engine.register(workflow.name, body_of(workflow, self._runtime, dispatcher, registered.effects), workflow)
        engine.register_unknown(lambda name: body_of_unknown(name, self._runtime, dispatcher, registered.workflows))
        try:
            await engine.open()
            await dispatcher.drop_stale()
            await engine.start()
            line = await check(self._runtime, engine)
        except BaseException:
            # What was opened is closed: an engine's file that stays locked would keep us out when we try again (P9).
            ends.cancel()
            dispatcher.clear(may_run=False)
            await engine.stop()
            raise
        self._runtime.restores = line.restores
        dispatcher.clear(may_run=True)
        self._on_dispatcher(dispatcher)
        dispatcher.start()
        scope = PassContext(self._runtime, registered, engine)
        reconciling, watching = asyncio.create_task(keep(scope)), asyncio.create_task(watch(self._runtime, engine))
        collecting = asyncio.create_task(collect_regularly(self._runtime, engine))
        renewing = asyncio.create_task(renew(self._runtime, engine))
        looking = asyncio.create_task(PendingLooker(self._runtime, engine, registered.effects).keep_looking())
        taking, telling = asyncio.create_task(take_events(scope)), asyncio.create_task(tell_waits(self._runtime))
        self.working.set()
        try:
            await asyncio.wait({ends, watching}, return_when=asyncio.FIRST_COMPLETED)
            if not self.stopping.is_set() and watching.done():
                watching.result()
        finally:
            background = (reconciling, watching, collecting, renewing, looking, taking, telling)
            for task in (ends, *background):
                task.cancel()
            await asyncio.gather(*background, return_exceptions=True)
            self.working.clear()
            self._on_dispatcher(None)
            await dispatcher.stop()
            await engine.stop(at_once=not self.stopping.is_set())
            await dispatcher.close()
            self._runtime.record.seen_mark = None


async def to_its_end(task: asyncio.Task[None]) -> None:
    """Wait for it, however often we are cancelled meanwhile: half stopped, a worker would keep engine and lease."""
    cancelled = False
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            cancelled = True
    if cancelled:
        raise asyncio.CancelledError
    task.result()


async def _first(*waits: Callable[[], Awaitable[Any]]) -> None:
    tasks = [asyncio.ensure_future(wait()) for wait in waits]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
