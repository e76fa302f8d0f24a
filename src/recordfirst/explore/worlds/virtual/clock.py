"""Time that passes only when nothing is left to do: an hour's wait costs nothing, and all runs are the same.

Within :meth:`Time.installed`, this is the clock of the machine, of the event loop and of the record. If a loop has
nothing ready, it jumps to its next timer. It does not see waits for something outside the process, whose time-outs come
early; in the fast world providers are doubles in this process. It waits for functions in threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import selectors
import time
import uuid
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from typing import Any

EPOCH_MS = 1_767_225_600_000
"""2026-01-01, the time at which every run begins."""


class Time:
    """One world's time: how long it has run, and how far its clock was moved forward."""

    def __init__(self, since_ms: int) -> None:
        self._since_ms = since_ms
        self._passed_s = 0.0
        self._skipped_ms = 0
        self._ticks = 0

    def tick(self) -> int:
        """Return the next number for an event. Numbers order the events of all processes even if no time passes."""
        self._ticks += 1
        return self._ticks

    def now_ms(self) -> int:
        """Milliseconds since 1970."""
        return self._since_ms + self._skipped_ms + int(self._passed_s * 1000)

    def monotonic_s(self) -> float:
        """Seconds, without the jumps of the clock."""
        return 1_000.0 + self._passed_s

    def pass_s(self, seconds: float) -> None:
        """Let time pass."""
        self._passed_s += seconds

    def skip_ms(self, milliseconds: int) -> None:
        """Move the clock forward, as if the machine had slept: what runs here does not see that time pass."""
        self._skipped_ms += milliseconds

    @property
    def state(self) -> tuple[float, int, int]:
        """The seconds that have passed, the milliseconds that were skipped, and the ticks."""
        return self._passed_s, self._skipped_ms, self._ticks

    @state.setter
    def state(self, state: tuple[float, int, int]) -> None:
        self._passed_s, self._skipped_ms, self._ticks = state

    def copy(self) -> Time:
        """An independent time that continues from here."""
        other = Time(self._since_ms)
        other.state = self.state
        return other

    @contextlib.contextmanager
    def installed(self, chance: Chance) -> Iterator[None]:
        """Make this the time of the process, and make its random values the same each time."""
        kept = time.time_ns, time.time, time.monotonic, uuid.uuid4, random.getstate()
        time.time_ns = lambda: self.now_ms() * 1_000_000
        time.time = lambda: self.now_ms() / 1000
        time.monotonic = self.monotonic_s
        uuid.uuid4 = chance.uuid4
        random.setstate(chance.state)
        try:
            yield
        finally:
            time.time_ns, time.time, time.monotonic, uuid.uuid4 = kept[:4]
            chance.state = random.getstate()
            random.setstate(kept[4])


class Chance:
    """The random values of a process: the same each time, and no id twice, also after a stall."""

    def __init__(self, seed: int) -> None:
        self._ids = random.Random(seed)  # noqa: S311 - no secret: the same each time
        self.random = random.Random(-seed).random  # noqa: S311
        """Numbers in [0, 1)."""
        self.state = self._ids.getstate()
        """The state of the module ``random`` while the process does not run."""

    def uuid4(self) -> uuid.UUID:
        """A replacement of ``uuid.uuid4``."""
        return uuid.UUID(int=self._ids.getrandbits(128), version=4)


class _Selector(selectors.DefaultSelector):
    """Waits only if a thread is at work."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout == 0 and not self.loop.in_threads:
            return []  # something is ready here; other sources are polled when nothing is
        ready: list[Any] = super().select(None if self.loop.in_threads and timeout != 0 else 0)
        if not ready and timeout is not None and timeout > 0:
            self.loop.clock.pass_s(timeout)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in a :class:`Time`."""

    def __init__(self, clock: Time) -> None:
        self.clock = clock
        self.in_threads = 0
        """How many functions run in threads now, without those that wait for something here."""
        self._asked_by_thread = False
        self._tasks: list[weakref.ref[asyncio.Task[Any]]] = []
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)
        self.set_exception_handler(lambda _loop, _context: None)  # dead processes leave tasks behind

    def create_task(self, coro: Any, **options: Any) -> asyncio.Task[Any]:
        """Create a task, and keep track of it."""
        task = super().create_task(coro, **options)
        self._tasks.append(weakref.ref(task))
        if self._asked_by_thread:
            self.in_threads -= 1
            task.add_done_callback(self._answered_thread)
        return task

    def call_soon_threadsafe(self, callback: Callable[..., object], *args: Any, **options: Any) -> asyncio.Handle:  # type: ignore[override]
        """Call it soon. If it begins a task, a thread waits for that task, so time passes while the task waits."""

        def called() -> None:
            self._asked_by_thread = True
            try:
                callback(*args)
            finally:
                self._asked_by_thread = False

        return super().call_soon_threadsafe(called, **options)

    def _answered_thread(self, _: object) -> None:
        self.in_threads += 1

    def unfinished(self) -> list[asyncio.Task[Any]]:
        """Return the tasks that are not done. asyncio's own list has those of all loops that ever existed."""
        tasks = [task for reference in self._tasks if (task := reference()) is not None and not task.done()]
        self._tasks = [weakref.ref(task) for task in tasks]
        return tasks

    def time(self) -> float:
        """Return this world's time."""
        return self.clock.monotonic_s()

    def run_in_executor(self, executor: Executor | None, func: Callable[..., Any], *args: Any) -> Any:  # type: ignore[override]
        """Run it in a thread. No time passes meanwhile."""
        self.in_threads += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._back)
        return future

    def _back(self, _: object) -> None:
        self.in_threads -= 1
