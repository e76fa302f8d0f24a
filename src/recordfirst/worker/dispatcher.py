"""The dispatcher: gives the record's open starts and wakes to the engine, and closes starts whose workflow has ended.

Any worker may repeat all of it at any time: creating a promise that exists changes nothing, and a lost end is stored
again when the workflow is put back. So ends are stored in batches, and only a caller that asks for a result waits.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from recordfirst.core import identity
from recordfirst.core.receipt import Wake
from recordfirst.core.start import Finish, Start
from recordfirst.engine.sdk import steps as sdk
from recordfirst.execution.runtime import Runtime
from recordfirst.execution.starts import arguments_of
from recordfirst.observe import DispatchFailed
from recordfirst.process.places import WAITING_MOST
from recordfirst.reconcile.restores import unneeded_marks
from recordfirst.worker import dispatching
from recordfirst.worker.completer import Completer
from recordfirst.worker.dispatching import Epoch
from recordfirst.worker.resuming import cancelled, resume_regularly

if TYPE_CHECKING:
    from recordfirst.engine.contract import Engine
    from recordfirst.steps.workflow import Workflow

_POLL_S = 1.0
"""How long a start can go unseen when the record's notification of it was lost."""

_HOLD_S = 20.0
"""How long a workflow that has ended waits for the record to store that, before it gives its task back."""

_WAKES = 100
"""Wakes handed on in one round."""
_PAGE = 1_000
"""Open starts that are read at once when a worker begins."""

_EPOCHS = 8
"""So many of a workflow's last epochs are settled when it is ended; an older one ends by itself when it next runs."""

_ENDS = 10_000
"""So many ends are remembered: who has read a start just before its end must not hand it over behind it."""


class Dispatcher:
    """One worker's dispatcher, for as long as it works."""

    def __init__(
        self, runtime: Runtime, engine: Engine, workflows: dict[str, Workflow[..., Any]], concurrency: int
    ) -> None:
        self._runtime, self.engine, self._workflows = runtime, engine, workflows
        self._most_running = 2 * concurrency
        """So many bodies are with the engine at a time; suspended ones do not count, nor those that only wait. The rest
        waits in the record."""
        engine.places.on_room = self._refill
        self._running: set[str] = set()
        self._handed: dict[str, str] = {}
        """Engine id by workflow id, of epochs that this dispatcher handed over without the record knowing it yet."""
        self._new: set[str] = set()
        """Engine ids of epochs that nobody had before, and whose body has not run yet."""
        self._has_caught_up = False
        """Whether all that was open when this worker came has been handed over: a start that is offered after that is
        new. Of an earlier one nobody knows: its worker may have died before the record was told, and its engine with
        it."""
        self._unmarked: set[str] = set()
        """Those that the record does not know to be handed over: most end before that would be worth a commit."""
        self._had: set[str] = set()
        """Engine ids of epochs that the engine had when this worker came, though the record does not know it. They may
        be suspended, and then nobody would say that they run no more."""
        self._closed: dict[str, None] = {}
        """Engine ids of the last epochs whose end the record has, oldest first."""
        self._unfit: set[str] = set()
        """Starts that this version cannot run, as it has said."""
        self._passed_over = 0
        """How many open starts the last round could not take."""
        self._compared: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._backlog = False
        self._look = asyncio.Event()
        self.ends = Completer(runtime, self._was_closed)
        self._tasks: list[asyncio.Task[None]] = []
        self._closer: asyncio.Task[None] | None = None

    # ── what the bodies report ──────────────────────────────────────────────

    async def cleared(self) -> None:
        await self._compared
        if not self._compared.result():
            raise sdk.release(RuntimeError("record and engine do not agree"))

    def clear(self, *, may_run: bool) -> None:
        """Say that record and engine were compared, and whether bodies may run."""
        if not self._compared.done():
            self._compared.set_result(may_run)

    def entered(self, engine_id: str) -> bool:
        self._running.add(engine_id)
        self._had.discard(engine_id)
        if engine_id not in self._new:
            return False
        self._new.remove(engine_id)
        return True

    def left(self, engine_id: str) -> None:
        self._running.discard(engine_id)
        self._refill()

    def _refill(self) -> None:
        if self._backlog and dispatching.is_worth_a_look(self._room(), self._most_running):
            self._look.set()

    def _room(self) -> int:
        """How many more bodies may be with the engine."""
        return dispatching.room(self._most_running, len(self._running), self.engine.places.waiting, WAITING_MOST)

    async def finished(self, engine_id: str, finish: Finish, error: Exception | None) -> None:
        """Have the end stored. With an engine that others work for, too, before the engine hears of it.

        So an epoch that is over there, and open in the record, is one whose end the record has lost, and not one whose
        end is on its way: a reconcile that sees it so opens a new epoch.
        """
        stored = self.ends.report(engine_id, finish, error)
        if self.alone:
            return
        try:
            async with asyncio.timeout(_HOLD_S):
                await stored.wait()
        except TimeoutError as late:
            raise sdk.release(late) from late

    def _was_closed(self, engine_id: str, id: str) -> None:
        self._closed[engine_id] = None
        if len(self._closed) > _ENDS:
            del self._closed[next(iter(self._closed))]
        if self._handed.get(id) == engine_id:
            del self._handed[id]
        self._unmarked.discard(id)
        self.engine.forget(engine_id)

    # ── for the app ─────────────────────────────────────────────────────────

    def nudge(self) -> None:
        """There is something new in the record."""
        self._look.set()

    async def hand_over(self, start: Start) -> None:
        """Give a start that was just stored to the engine, if there is room; else it waits for its turn."""
        if start.engine == self.engine.identity:
            return  # it has it: by the transaction that stored the start
        if self._room() <= 0 or self._backlog:
            self._backlog = True
            return
        if self._runtime.restores:
            self._look.set()
            return
        epoch = self._epoch_of(start)
        if epoch is None:
            return
        if self.engine.exclusive:
            self._unmarked.add(start.id)
        try:
            await self._create(epoch, is_new=True)
        except Exception as error:  # noqa: BLE001 - it is accepted, whatever the engine says; the next round tries again
            self._say(start, error)
            self._look.set()

    @property
    def alone(self) -> bool:
        """Whether whatever ends, ends here, unless this worker loses its lease."""
        return self.engine.exclusive

    def start(self) -> None:
        self._look.set()
        resuming = partial(resume_regularly, self._runtime, self._workflows, self.nudge)
        works: list[Callable[[], Coroutine[Any, Any, None]]] = [self._dispatching, self._watching, resuming]
        if self.engine.lasting:
            works.append(self._putting_back)
        self._tasks = [asyncio.create_task(work()) for work in works]
        self._closer = asyncio.create_task(self.ends.keep_storing())

    async def stop(self) -> None:
        """Hand over no more. What still runs may come to its end: call :meth:`close` when the engine has stopped."""
        await cancelled(*self._tasks)

    async def close(self) -> None:
        """Store the ends that are not stored yet, and what no process has died under."""
        if self._closer is not None:
            await cancelled(self._closer)
        await self.ends.store()
        with contextlib.suppress(Exception):  # counted once too often does no harm
            await self._runtime.tries.take_back()

    # ── the loops ───────────────────────────────────────────────────────────

    async def _dispatching(self) -> None:
        pause_s = 0.1
        while True:
            await self._look.wait()
            self._look.clear()
            try:
                await self._round()
                pause_s = 0.1
            except Exception as error:  # noqa: BLE001 - whatever failed, the next round starts from the record again
                self._runtime.observe(DispatchFailed(f"{type(error).__name__}: {error}"))
                await self._runtime.sleeper(pause_s)
                pause_s = min(2 * pause_s, 5.0)
                self._look.set()

    async def _watching(self) -> None:
        while True:
            try:
                await self._runtime.record.changed(_POLL_S)
                await self._settle_left()
                await self._runtime.tries.take_back()
            except Exception as error:  # noqa: BLE001 - the poll goes on when the record is back
                self._runtime.observe(DispatchFailed(f"{type(error).__name__}: {error}"))
                await self._runtime.sleeper(_POLL_S)
            self._look.set()

    async def _settle_left(self) -> None:
        """End in the engine what an operator has ended in the record, lest it sleeps there, or is parked, for ever."""
        async with self._runtime.record.session() as session:
            left = await session.left_epochs(self.engine.identity, _WAKES)
        gone = []
        for id, min_epoch in left:
            numbers = range(max(1, min_epoch - _EPOCHS), min_epoch)
            epochs = [identity.engine_id(self._runtime.app, id, number) for number in numbers]
            if self._running.isdisjoint(epochs):  # a body that runs ends at its next step
                for engine_id in epochs:
                    await self._end_epoch(id, engine_id)
                gone.append((id, min_epoch))
        if gone:
            async with self._runtime.record.session() as session:
                await session.epochs_gone(gone)

    async def _end_epoch(self, id: str, engine_id: str) -> None:
        await self.engine.settle(engine_id)
        self.engine.forget(engine_id)
        self._new.discard(engine_id)
        if self._handed.get(id) == engine_id:
            del self._handed[id]
            self._unmarked.discard(id)

    async def _round(self) -> None:
        room = self._room()
        async with self._runtime.record.session() as session:
            wakes = await session.wakes(_WAKES)
        woken = [wake for wake in wakes if await self._wakes(wake)]
        limit = dispatching.limit(room, len(self._unmarked), self._passed_over)
        async with self._runtime.record.session() as session:
            if woken:
                await session.woken(woken)
            if room <= 0:
                self._backlog = True
                return
            starts = await session.undispatched(self.engine.identity, limit)
        here = [start for start in starts if self._has(start)]
        fit = [epoch for start in starts if not self._has(start) and (epoch := self._epoch_of(start)) is not None]
        plan = dispatching.plan(starts, here, fit, asked_for=limit, free=room, passed_over_before=self._passed_over)
        if plan.look_again:
            self._look.set()
        self._passed_over, self._backlog = plan.passed_over, plan.backlog
        await self._hand_over(plan.begin, plan.here)
        self._has_caught_up = self._has_caught_up or not plan.backlog

    async def _wakes(self, wake: Wake) -> bool:
        """Wake who is parked. Not yet, if it is about to park; but one whose epoch is over does so no more."""
        if await self.engine.settle(wake.parked_on):
            return True
        _, id, epoch, _ = identity.parse_engine_id(wake.parked_on)
        async with self._runtime.record.session() as session:
            start = await session.find_start(id)
        return not dispatching.is_asleep(start, epoch)

    async def _hand_over(self, epochs: list[Epoch], here: list[Start]) -> None:
        """Create these epochs, and mark them together with those that are here already. One that fails stops none."""
        if self._runtime.restores:
            epochs = [Epoch(await self._past_lost_epochs(start), arguments) for start, arguments in epochs]
        if first := dispatching.must_be_stored_first(epochs, restored=self._runtime.restores > 0):
            await self._mark(first)
        failed: list[Exception] = []
        for epoch in epochs:
            try:
                await self._create(epoch, is_new=self._has_caught_up)
                here.append(epoch.start)
            except Exception as error:  # noqa: BLE001 - it stays open, and is tried again
                self._say(epoch.start, error)
                failed.append(error)
        if here:
            await self._mark(here)
        if failed:
            raise failed[0]

    def _has(self, start: Start) -> bool:
        """Whether this dispatcher has handed over this epoch."""
        return self._handed.get(start.id) == self._engine_id(start)

    def _engine_id(self, start: Start) -> str:
        return identity.engine_id(self._runtime.app, start.id, start.epoch)

    def _epoch_of(self, start: Start) -> Epoch | None:
        """The epoch that a start is to have; ``None`` if this version cannot run it: then it stays open, visibly.

        A new epoch if another engine had it, which is gone. Receipts belong to the business key, so nothing that was
        completed repeats.
        """
        workflow = self._workflows.get(start.workflow)
        if workflow is None or start.id in self._unfit:
            return None
        try:
            arguments = arguments_of(self._runtime, workflow, start)
        except Exception as error:  # noqa: BLE001 - it is the business of this start alone
            self._unfit.add(start.id)
            self._say(start, error)
            return None
        return Epoch(dispatching.in_its_epoch(start, self.engine.identity), arguments)

    def _say(self, start: Start, error: Exception) -> None:
        cause = f"workflow {start.id!r} was not handed over: {type(error).__name__}: {error}"
        self._runtime.observe(DispatchFailed(cause))

    async def _mark(self, starts: list[Start]) -> None:
        async with self._runtime.record.session() as session:
            await session.dispatched(starts, self.engine.identity)
        for start in starts:
            self._unmarked.discard(start.id)
            # From here on the record knows, and does not offer it again: one that sleeps for long costs no memory here.
            if self._has(start):
                del self._handed[start.id]

    async def _create(self, epoch: Epoch, *, runs: bool = True, is_new: bool = False) -> None:
        """Give one epoch to the engine.

        Args:
            epoch: which.
            runs: its body is about to run, as far as is known here.
            is_new: nobody can have handed it over before.
        """
        start, arguments = epoch
        try:
            while True:
                engine_id = self._engine_id(start)
                if engine_id in self._closed:
                    return  # it has ended since we read it, and the engine has forgotten it: it would run once more
                if self.engine.exclusive:
                    # Whatever lives runs here. With an engine that others work for, too, it may run and end elsewhere.
                    self._handed[start.id] = engine_id
                    if runs and engine_id not in self._had:
                        self._running.add(engine_id)
                        if is_new and start.engine is None and start.epoch == 1:
                            self._new.add(engine_id)
                if await self.engine.create(engine_id, start.workflow, arguments) == "running":
                    return
                self._running.discard(engine_id)
                if self.ends.is_on_its_way(engine_id) or not await self._is_open(start):
                    self._handed.pop(start.id, "")
                    return  # it has ended since we read it
                # The engine says that this epoch is over, the record that the workflow is open: the record wins (P6).
                start = msgspec.structs.replace(start, epoch=start.epoch + 1)
                await self._mark([start])
        except BaseException:
            self._running.discard(self._handed.pop(start.id, ""))
            raise

    async def _is_open(self, start: Start) -> bool:
        async with self._runtime.record.session() as session:
            now = await session.find_start(start.id)
        return now is not None and now.state == "open" and now.epoch <= start.epoch

    async def _past_lost_epochs(self, start: Start) -> Start:
        """After a restore of the record, the engine may have epochs of this id from the time that was lost: behind
        them.

        The engine has one too if we died before the record was told of it. Such an epoch ends when it next runs, and
        its successor goes on from the receipts.
        """
        while start.engine is None and await self.engine.look(self._engine_id(start)) is not None:
            start = msgspec.structs.replace(start, epoch=start.epoch + 1)
        return start

    # ── at start-up ─────────────────────────────────────────────────────────

    async def drop_stale(self) -> None:
        """Before the engine runs anything: let it forget what has ended, and epochs that another engine went on
        with.
        """
        await self.engine.drop(self._stale)

    async def _stale(self, engine_ids: Sequence[str]) -> list[str]:
        """Which of these epochs are over, and which marks needed no more; none of another app's."""
        epochs = {
            each: found for each in engine_ids if (found := identity.epoch_of(self._runtime.app, each)) is not None
        }
        async with self._runtime.record.session() as session:
            starts = {start.id: start for start in await session.find_starts([id for id, _ in epochs.values()])}
        stale = await unneeded_marks(self._runtime, self.engine, engine_ids)
        for engine_id, (id, epoch) in epochs.items():
            match dispatching.of_held(starts.get(id), epoch, self.engine.identity, self._workflows):
                case "stale":
                    stale.append(engine_id)
                case "unmarked":
                    self._had.add(engine_id)
        return stale

    async def _putting_back(self) -> None:
        """Make sure, once, that the engine has what it was given: it may have lost the last of it (P7)."""
        after: str | None = None
        while True:
            try:
                async with self._runtime.record.session() as session:
                    page = await session.open_starts(after, 0, _PAGE)
            except Exception as error:  # noqa: BLE001 - it goes on from there when the record is back
                self._runtime.observe(DispatchFailed(f"{type(error).__name__}: {error}"))
                await self._runtime.sleeper(_POLL_S)
                continue
            if not page:
                return
            for start in page:
                epoch = self._epoch_of(start) if self._ours(start) else None
                if epoch is not None:
                    try:
                        await self._put_back(epoch)
                    except Exception as error:  # noqa: BLE001 - the engine may lack one and have the next
                        self._say(start, error)
            after = page[-1].id

    async def _put_back(self, epoch: Epoch) -> None:
        """Give an epoch to the engine again, unless it has it; one that is no longer there may have ended just
        now.
        """
        has = await self.engine.look(self._engine_id(epoch.start))
        if has == "settled" or (has is None and await self._is_open(epoch.start)):
            await self._create(epoch, runs=False)
            self._handed.pop(epoch.start.id, None)  # the record knows

    def _ours(self, start: Start) -> bool:
        return dispatching.is_ours(start, self.engine.identity, self._workflows)
