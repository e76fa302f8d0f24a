"""The rows of one origin, as the file has them, for as long as something in it may run."""

from __future__ import annotations

from recordfirst.engine.embedded.rows import BRANCH, Promise, Task


class Lineage:
    """A root promise and all below it."""

    def __init__(self) -> None:
        self.promises: dict[str, Promise] = {}
        self.tasks: dict[str, Task] = {}
        self.branches: dict[str, list[str]] = {}
        """Promises by their branch tag: what is sent along when a task is acquired."""
        self.live: set[str] = set()
        """Tasks that are with a worker, or wait for one."""

    def add_promise(self, promise: Promise) -> None:
        if promise.id not in self.promises and BRANCH in promise.tags:
            self.branches.setdefault(promise.tags[BRANCH], []).append(promise.id)
        self.promises[promise.id] = promise

    def add_task(self, task: Task) -> None:
        self.tasks[task.id] = task
        if task.live:
            self.live.add(task.id)
        else:
            self.live.discard(task.id)

    @property
    def acquired(self) -> bool:
        """Whether a worker has a task of it."""
        return any(self.tasks[id].state == "acquired" for id in self.live)

    @property
    def ended(self) -> bool:
        """Whether nothing in it can ever run again. A sleep that nobody awaits is nothing."""
        return all(task.state == "fulfilled" or self.promises[id].timer for id, task in self.tasks.items())
