"""The embedded engine as the SDK's connection: requests and messages stay in this process, state goes to a file.

Requests that arrive together share a commit, and are answered after it. Messages are not stored: each follows from a
task that is pending, and is sent again when the file is opened, or when nobody answered for a while.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
from resonate.timing import Clock, now_ms
from resonate_base import ConnectorError

from recordfirst.engine.embedded import machine
from recordfirst.engine.embedded.delivery import Delivery
from recordfirst.engine.embedded.lock import lock
from recordfirst.engine.embedded.promises import record
from recordfirst.engine.embedded.rows import DELAY, TARGET
from recordfirst.engine.embedded.store import Store
from recordfirst.engine.embedded.transition import Execute, Message, Transition
from recordfirst.engine.options import Durability
from recordfirst.errors import EngineUnreadable, Misuse
from recordfirst.process.file_lock import FileLock
from recordfirst.process.owner import Owned
from recordfirst.process.seams import NO_SEAMS, Seams

_TICK_MS = 1_000
"""The clock is looked at this often at least, so that a step of it delays a wake by no more."""
_BATCH = 500
"""Requests in one commit, and promises looked at in one tick: between two batches the event loop gets its turn."""

_encode = msgspec.json.Encoder().encode


class _Work(msgspec.Struct, eq=False):
    """Something to be done in a turn, and who waits for what it answers."""

    do: Callable[[Transition], Any]
    answer: asyncio.Future[Any]


class Held:
    """The SDK's heartbeat where worker and engine are one process: the engine sees which tasks are under way.

    So no lease of a task that runs here ever ends: not when a step blocks the event loop, nor when the clock jumps.
    """

    def __init__(self) -> None:
        self._versions: dict[str, int] = {}

    def start(self, task_id: str, task_version: int) -> None:
        self._versions[task_id] = task_version

    def stop(self, task_id: str) -> None:
        self._versions.pop(task_id, None)

    def shutdown(self) -> None:
        self._versions.clear()

    def __call__(self, task_id: str, version: int) -> bool:
        return self._versions.get(task_id) == version


class EmbeddedConnection:
    """Resonate's ``Network`` and ``Source`` over one SQLite file: ``Resonate(network=EmbeddedConnection(path))``.

    Args:
        path: the file; made when the engine starts, if it is missing. ``":memory:"`` outlives nothing.
        durability: ``"record"``: what was answered survives the end of the process; a power cut may take back the last
            moments, which the record can rebuild. ``"disk"``: survives that too, for one fsync per batch.
        group: the name under which work is addressed to this process.
        serves: whether a task, by its id, is to run here. What is not stays pending, for who has the file next.
        clock: milliseconds since 1970. An argument for tests, like the next one.
        seams: ids, and what stands between.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        durability: Durability = "record",
        group: str = "default",
        serves: Callable[[str], bool] = lambda _: True,
        clock: Clock = now_ms,
        seams: Seams = NO_SEAMS,
    ) -> None:
        if durability not in {"record", "disk"}:
            raise Misuse(f"durability={durability!r}: say 'record' or 'disk'")
        self.held = Held()
        """To be given to ``Resonate(heartbeat=...)``."""
        self._path, self._durability, self._group, self._clock = str(path), durability, group, clock
        self._serves, self._seams = serves, seams
        self._owned = Owned(f"the embedded engine at {self._path}")
        self._lock: FileLock | None = None
        self._opened: Store | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._receivers: list[Callable[[str], None]] = []
        self._queue: list[_Work] = []
        self._idle = asyncio.Event()
        """No batch is scheduled or under way."""
        self._idle.set()
        self._delivery = Delivery(self._clock)
        self._ripe: set[str] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._wake_at = 0
        self._stopped = False

    def open(self) -> Store:
        """Open the file, if it is not open.

        Raises:
            EngineInUse: if another process has it open; names its pid, and says how to share.
            EngineUnreadable: if it is not an engine's file, or cannot be read and written.
        """
        if self._stopped:
            raise ConnectorError(RuntimeError(f"the embedded engine at {self._path} is stopped"))
        self._owned.check()
        if self._opened is None:
            if self._path != ":memory:":
                self._lock = lock(Path(self._path))
            try:
                self._opened = Store(self._path, self._durability, self._seams)
            except sqlite3.Error as error:
                self.abandon()
                raise EngineUnreadable(self._path, str(error)) from error
            if self._durability == "disk":
                self._thread = ThreadPoolExecutor(1, "recordfirst-engine")
            self._seams.engine_opened(self)
        return self._opened

    def abandon(self) -> None:
        """Free the file's lock."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    @property
    def identity(self) -> str:
        """Made with the file: a new one knows nothing of what an older one was given."""
        return self.open().identity

    # ── Network and Source ──────────────────────────────────────────────────

    def unicast(self) -> str:
        """Return this process's own address."""
        return f"local://uni@{self._group}/default"

    def resolve_target(self, target: str) -> str:
        """Return a group's address."""
        return f"local://any@{target}"

    def recv(self, callback: Callable[[str], None]) -> None:
        """Have messages delivered to ``callback``, from the start on."""
        self._receivers.append(callback)

    async def start(self) -> None:
        """Deliver what was under way when the file was closed, or its process died; then let time pass."""
        after = ""
        while ids := await self._take_over(after):
            after = ids[-1]
        self._arm(0)

    async def _take_over(self, after: str) -> list[str]:
        return await self._do(lambda turn: _take_over(turn, self.open().live(after, _BATCH)))

    async def stop(self) -> None:
        """Carry out what was asked, and close the file."""
        if self._stopped or self._owned.is_inherited:
            return
        while not self._idle.is_set():
            await self._idle.wait()  # and again: something may have been asked between its end and our turn
        self._stopped = True
        self._receivers.clear()
        if self._timer is not None:
            self._timer.cancel()
        if self._thread is not None:
            self._thread.shutdown()
        if self._opened is not None:
            self._opened.close()
        self.abandon()

    async def send(self, req: str, headers: dict[str, str] | None = None) -> str:
        """Carry one request out; answer when what it changed is committed.

        Raises:
            ConnectorError: if it could not be committed; then nothing of it has happened.
        """
        del headers  # they say where to send it
        return await self._seams.request(req, lambda: self._do(lambda turn: machine.apply(turn, req)))

    # ── beyond the protocol ─────────────────────────────────────────────────

    def next_due(self) -> int | None:
        """When something happens by itself, in milliseconds since 1970."""
        return self.open().next_due()

    def lapse(self) -> None:
        """Let the leases of what runs here run out."""
        self.held.shutdown()

    async def roots(self, after: str, limit: int) -> list[str]:
        """Return the ids of lineages behind ``after``, in order."""
        return await self._do(lambda _: self.open().roots(after, limit))

    async def ended(self, after: str, limit: int) -> list[str]:
        """Return the ids of lineages behind ``after`` whose root has settled, in order."""
        return await self._do(lambda _: self.open().ended_roots(after, limit))

    async def drop(self, origins: Iterable[str]) -> None:
        """Delete lineages, whatever their state."""

        def drop(_: Transition) -> None:
            for origin in origins:
                self.open().drop(origin)

        await self._do(drop)

    def collect(self, origin: str) -> None:
        """Delete a lineage as soon as nothing in it can run."""
        if not self._stopped:
            self._ripe.add(origin)
            self._add(self._collecting(origin))

    def _collecting(self, origin: str) -> Callable[[Transition], None]:
        def collect(_: Transition) -> None:
            if origin in self._ripe and self.open().ended(origin):
                self.open().drop(origin)
                self._ripe.discard(origin)

        return collect

    # ── batches ─────────────────────────────────────────────────────────────

    async def _do[T](self, do: Callable[[Transition], T]) -> T:
        self._owned.take()
        self.open()
        answer: T = await self._add(do)
        return answer

    def _add(self, do: Callable[[Transition], Any]) -> asyncio.Future[Any]:
        loop = asyncio.get_running_loop()
        work = _Work(do, loop.create_future())
        self._queue.append(work)
        if self._idle.is_set():
            self._idle.clear()
            loop.call_soon(self._begin)
        return work.answer

    def _begin(self) -> None:
        """Apply what has been asked, and commit it: here, or in a thread if that waits for the disk."""
        works, self._queue = self._queue[:_BATCH], self._queue[_BATCH:]
        store = self.open()
        try:
            turns = [(work, *self._apply(store, work)) for work in works]
            if self._thread is not None and store.changed:
                committed = asyncio.get_running_loop().run_in_executor(self._thread, store.commit)
                committed.add_done_callback(lambda done: self._end(works, turns, done.exception()))
                return
            store.commit()
        except Exception as error:  # noqa: BLE001 - told to all who asked
            self._end(works, [], error)
        else:
            self._end(works, turns, None)

    def _apply(self, store: Store, work: _Work) -> tuple[Any, list[Message]]:
        turn = Transition(store, self._clock())
        return work.do(turn), turn.messages

    def _end(
        self, works: list[_Work], turns: list[tuple[_Work, Any, list[Message]]], error: BaseException | None
    ) -> None:
        """Answer, and send what is to be sent, now that the batch is committed; or say that it is not."""
        store = self.open()
        if error is not None:
            store.discard()
            failure = ConnectorError(error if isinstance(error, Exception) else RuntimeError(str(error)))
            for work in works:
                _answer(work.answer, failure=failure)
        else:
            soonest = store.soonest()
            taken = set(store.taken())
            self._delivery.acquired(taken)
            for origin in store.settle():
                if origin in self._ripe:
                    self._queue.append(_Work(self._collecting(origin), asyncio.get_running_loop().create_future()))
            for work, answer, _ in turns:
                _answer(work.answer, answer)
            all_messages = (message for _, _, messages in turns for message in messages)
            # What was pending in one turn of the batch can have been acquired in the next.
            self._send(m for m in all_messages if not (isinstance(m, Execute) and m.id in taken))
            if soonest is not None and soonest < self._wake_at:
                self._arm(soonest)
        if self._queue:
            asyncio.get_running_loop().call_soon(self._begin)
        else:
            self._idle.set()

    # ── messages ────────────────────────────────────────────────────────────

    def _send(self, messages: Iterable[Message]) -> None:
        if not self._receivers:
            return  # not started yet: what is pending then is delivered at the start
        for message in messages:
            if isinstance(message, Execute):
                if not self._serves(message.id) or not self._delivery.admits(message.id):
                    continue
                body: dict[str, Any] = {"task": {"id": message.id, "version": message.version}}
                text = _encode({"kind": "execute", "data": body}).decode()
            else:
                text = _encode({"kind": "unblock", "data": {"promise": record(message.promise)}}).decode()
            for receive in self._receivers:
                receive(text)
        if self._delivery.has_room_again():
            self._add(lambda turn: _deliver_again(turn, self.open().waiting(_BATCH)))

    # ── time ────────────────────────────────────────────────────────────────

    def _arm(self, at_ms: int) -> None:
        """Look at the clock again at this time, and in a second at the latest."""
        if self._timer is not None:
            self._timer.cancel()
        now = self._clock()
        self._wake_at = min(max(at_ms, now), now + _TICK_MS)
        delay_s = (self._wake_at - now) / 1000
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._tick)

    def _tick(self) -> None:
        def tick(turn: Transition) -> None:
            due = machine.tick(turn, _BATCH, self.held)
            ticked.append(turn.now if due == _BATCH else None)

        def rearm(done: asyncio.Future[Any]) -> None:
            if self._stopped:
                return
            again = self._clock() + _TICK_MS
            # A file that cannot be read or written now is looked at again in a second: else no sleep would ever end.
            with contextlib.suppress(sqlite3.Error):
                if done.exception() is None:
                    again = (ticked[0] if ticked else None) or self.open().next_due() or again
            self._arm(again)

        ticked: list[int | None] = []
        self._add(tick).add_done_callback(rearm)


def _answer(future: asyncio.Future[Any], answer: Any = None, failure: Exception | None = None) -> None:
    if future.done():
        return  # its caller was cancelled
    if failure is None:
        future.set_result(answer)
    else:
        future.set_exception(failure)
        future.exception()  # ticks and collections have nobody who looks; all others raise it where they wait


def _take_over(turn: Transition, ids: list[str]) -> list[str]:
    """Deliver tasks anew whose holder is gone: there is one process at a time, and this one has just begun."""
    for id in ids:
        promise, task = turn.look(id), turn.state.task(id)
        if promise is not None and task is not None and task.live and turn.now >= int(promise.tags.get(DELAY, "0")):
            turn.make_pending(task, promise)
    return ids


def _deliver_again(turn: Transition, ids: list[str]) -> None:
    for id in ids:
        promise, task = turn.look(id), turn.state.task(id)
        if promise is not None and task is not None and task.state == "pending" and task.live:
            turn.executes[id] = Execute(promise.tags[TARGET], id, task.version)
