"""One request or one tick of time, applied to a state: what settling a promise sets off.

Pure: no input, output or clock. A turn reads rows from its state, puts new ones in their place, and collects messages;
who holds the state decides what becomes of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol

import msgspec

from recordfirst.engine.embedded.requests import PromiseSearch, ScheduleSearch, TaskSearch
from recordfirst.engine.embedded.rows import TARGET, TIMER, Promise, PromiseState, Schedule, Task, Value

RETRY_MS = 5_000
"""A pending task that nobody acquired is delivered again after this (resonate-pg's figure; the server's is 30 s)."""

replace = msgspec.structs.replace


class TransitionState(Protocol):
    """Where rows are, during a turn."""

    def promise(self, id: str) -> Promise | None: ...
    def task(self, id: str) -> Task | None: ...
    def schedule(self, id: str) -> Schedule | None: ...
    def put_promise(self, promise: Promise) -> None: ...
    def put_task(self, task: Task) -> None: ...
    def put_schedule(self, schedule: Schedule) -> None: ...
    def drop_schedule(self, id: str) -> None: ...

    def branch_of(self, promise: Promise) -> Iterable[Promise]:
        """The promises with this one's branch tag, without itself."""

    def due(self, now: int, limit: int) -> Sequence[str]:
        """Ids of the promises that are due, or whose task is, by :func:`rows.due_at`: earliest first."""

    def due_schedules(self, now: int) -> Sequence[Schedule]: ...

    def promises(self, search: PromiseSearch, limit: int) -> list[Promise]:
        """What a search finds behind its cursor, by id."""

    def tasks(self, search: TaskSearch, limit: int) -> list[Task]: ...
    def schedules(self, search: ScheduleSearch, limit: int) -> list[Schedule]: ...


class Execute(msgspec.Struct, frozen=True):
    """To a worker: acquire this task, in this version, and run it."""

    address: str
    id: str
    version: int


class Unblock(msgspec.Struct, frozen=True):
    """To a listener: this promise has settled."""

    address: str
    promise: Promise


type Message = Execute | Unblock


class Transition:
    """A request, or a tick, under way."""

    def __init__(self, state: TransitionState, now: int, *, retry_ms: int = RETRY_MS) -> None:
        self.state, self.now, self.retry_ms = state, now, retry_ms
        self.executes: dict[str, Execute] = {}
        self.unblocks: list[Unblock] = []
        self.redirected = False
        """The answer's status is 300: a task that asked to be suspended goes on."""

    @property
    def messages(self) -> list[Message]:
        """What must be sent once the changes of this turn are stored."""
        return [*self.executes.values(), *self.unblocks]

    # ── promises ────────────────────────────────────────────────────────────

    def look(self, id: str) -> Promise | None:
        """Return a promise as it is now: one whose time is over has settled."""
        promise = self.state.promise(id)
        if promise is not None and promise.state == "pending" and self.now >= promise.timeout_at:
            return self.settle(promise, timeout_state(promise.tags), Value(), promise.timeout_at)
        return promise

    def settle(self, promise: Promise, state: PromiseState, value: Value, at: int) -> Promise:
        """Settle a pending promise, once and for all: its task ends, who awaits it resumes, listeners hear of it."""
        settled = replace(promise, state=state, value=value, settled_at=at, awaiters=(), listeners=())
        self.state.put_promise(settled)
        self._end_task(promise.id)
        for awaiter in promise.awaiters:
            self._resume(awaiter, promise.id)
        self.unblocks += [Unblock(address, settled) for address in promise.listeners]
        return settled

    def _end_task(self, id: str) -> None:
        task = self.state.task(id)
        if task is None or task.state == "fulfilled":
            return
        for awaited in task.awaits:
            promise = self.state.promise(awaited)
            if promise is not None and id in promise.awaiters:
                others = tuple(awaiter for awaiter in promise.awaiters if awaiter != id)
                self.state.put_promise(replace(promise, awaiters=others))
        self.state.put_task(Task(id=id, state="fulfilled", version=task.version))
        self.executes.pop(id, None)

    def _resume(self, awaiter: str, settled: str) -> None:
        """A task hears that a promise it awaits has settled."""
        promise, task = self.state.promise(awaiter), self.state.task(awaiter)
        if promise is None or task is None or promise.state != "pending" or self.now >= promise.timeout_at:
            return
        task = replace(task, awaits=tuple(id for id in task.awaits if id != settled))
        if task.state == "suspended":
            self.make_pending(replace(task, resumes=(settled,)), promise)
        elif settled not in task.resumes:
            self.state.put_task(replace(task, resumes=(*task.resumes, settled)))

    # ── tasks ───────────────────────────────────────────────────────────────

    def make_pending(self, task: Task, promise: Promise) -> None:
        """Let a task be acquired by a worker that serves its address, and say so.

        But for a sleep's: nothing is to be run for it, and a worker that got it would drop it. It has a task only
        because other servers keep no timeout of a promise without target. So it is not delivered, and ends with its
        promise.
        """
        due_at = None if promise.timer else self.now + self.retry_ms
        self.state.put_task(replace(task, state="pending", pid=None, ttl=None, due_at=due_at))
        if not promise.timer:
            self.executes[task.id] = Execute(promise.tags[TARGET], task.id, task.version)


def timeout_state(tags: dict[str, str]) -> PromiseState:
    """How a promise settles when its time is over: a durable sleep has then done what it was for."""
    return "resolved" if tags.get(TIMER) == "true" else "rejected_timedout"
