"""What the embedded engine keeps: promises, their tasks, schedules. Frozen: a change is a new row."""

from __future__ import annotations

from typing import Literal

import msgspec

type PromiseState = Literal["pending", "resolved", "rejected", "rejected_canceled", "rejected_timedout"]
type TaskState = Literal["pending", "acquired", "suspended", "halted", "fulfilled"]

TARGET = "resonate:target"
"""Tag: the address that runs the promise. It gives the promise a task."""
TIMER = "resonate:timer"
EXTERNAL = "resonate:external"
"""Tag: somebody else settles the promise, so a task may wait on it and its timeout is kept."""
BRANCH = "resonate:branch"
DELAY = "resonate:delay"


class Value(msgspec.Struct, frozen=True, omit_defaults=True):
    """A parameter or result as it goes over the wire; the engine does not look inside."""

    headers: dict[str, str] | None = None
    data: str | None = None


class Promise(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """A durable promise, and who waits for it."""

    id: str
    state: PromiseState
    param: Value
    value: Value
    tags: dict[str, str]
    timeout_at: int
    created_at: int
    settled_at: int | None = None
    awaiters: tuple[str, ...] = ()
    """Tasks that are suspended on it, or were when it was registered."""
    listeners: tuple[str, ...] = ()
    """Addresses to tell when it settles."""

    @property
    def timer(self) -> bool:
        """Whether it is a durable sleep."""
        return self.tags.get(TIMER) == "true"

    @property
    def awaitable(self) -> bool:
        """Whether its timeout happens by itself, so that a task may be suspended on it; else it could wait for ever.

        All others are settled by the execution that made them.
        """
        return TARGET in self.tags or self.tags.get(EXTERNAL) == "true" or self.timer


class Task(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """The right and duty to run a promise that has a target. It has the promise's id."""

    id: str
    state: TaskState
    version: int = 0
    """Goes up with each acquisition: the fencing token."""
    pid: str | None = None
    ttl: int | None = None
    due_at: int | None = None
    """Pending: when to deliver it (again). Acquired: when its lease ends."""
    resumes: tuple[str, ...] = ()
    """What settled since it last ran."""
    awaits: tuple[str, ...] = ()
    """The promises whose ``awaiters`` name it."""

    @property
    def live(self) -> bool:
        """Whether a worker has it or is to get it: not a sleep's, which nobody runs."""
        return self.state in {"pending", "acquired"} and self.due_at is not None


class Schedule(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A promise made again and again, by a cron expression, in UTC."""

    id: str
    cron: str
    promise_id: str
    promise_timeout: int
    promise_param: Value = Value()
    promise_tags: dict[str, str] = msgspec.field(default_factory=dict)
    created_at: int = 0
    next_run_at: int = 0
    last_run_at: int | None = None


def origin_of(id: str) -> str:
    """The lineage of a promise: what stands before the first ``:``. Tasks wait for promises of their own alone."""
    return id.split(":", 1)[0]


def due_at(promise: Promise, task: Task | None) -> int | None:
    """When something happens to this promise or its task by itself; ``None`` if never."""
    deadline = promise.timeout_at if promise.state == "pending" and promise.awaitable else None
    if task is None or task.due_at is None:
        return deadline
    return task.due_at if deadline is None else min(deadline, task.due_at)
