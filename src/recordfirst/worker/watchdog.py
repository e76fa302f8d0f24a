"""Notices that a worker's event loop does not turn, says which workflow and step keep it, and at last ends the process.

While one step blocks the loop, nothing else of the worker runs, and a lease of one process does not pass on: healthy
workflows would wait as long as the step blocks. So a thread counts the seconds. After :data:`_TELL_S` it reports the
loop's stack. After the limit it ends the process. That is a death like any other: the next worker goes on, and calls
that were under way are settled by their keys or probes (P3, P7).

A step that keeps Python's interpreter lock (a regular expression that never ends) stops this thread, too: then
``faulthandler``, which needs no lock, writes all stacks to standard error and ends the process. Time in which the whole
process stalled is not counted, except by that. A process that is being debugged is not ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import logging
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable
from types import FrameType
from typing import Any, Self

from recordfirst.execution.calls import execution_of
from recordfirst.execution.runtime import Runtime
from recordfirst.observe import LoopBlocked

_log = logging.getLogger("recordfirst")

_TELL_S = 5.0
"""After how long it is told."""
_STEP_S = 0.5
"""Between two looks."""
_LAST_WORDS_S = 2.0
"""For observers and log handlers, which may wait for what the loop's thread holds."""
_LOCKED_S = 5.0
"""So much longer it takes until a process whose interpreter lock is kept is ended."""
EXIT_CODE = 70
"""Of a process that was ended: EX_SOFTWARE. It is 1 if ``faulthandler`` had to do it."""
_DEBUGGERS = frozenset({"bdb", "pdb", "pydevd", "_pydevd_bundle"})


class Watchdog:
    """Watches the event loop that it is entered on."""

    def __init__(
        self,
        runtime: Runtime,
        ends_after_s: float | None,
        *,
        tell_s: float = _TELL_S,
        end: Callable[[int], Any] = os._exit,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        """``ends_after_s``: ``None``: the process is not ended. ``end`` and ``now_s``: arguments for tests."""
        self._runtime, self._ends_after_s, self._end, self._now_s = runtime, ends_after_s, end, now_s
        self._tell_s = tell_s if ends_after_s is None else min(tell_s, ends_after_s)
        self._step_s = min(_STEP_S, self._tell_s / 4)
        self._turns = 0
        self._stopped = threading.Event()
        self._leaving = threading.Lock()
        """Held to leave, and to do what must not come behind that: faulthandler's timer is the whole process's."""
        self._timer: asyncio.TimerHandle | None = None
        self._armed_s = float("-inf")

    def __enter__(self) -> Self:
        self._loop, self._thread = asyncio.get_running_loop(), threading.get_ident()
        # A loop with a clock of its own (the explorer's) does not turn by ours.
        if not isinstance(self._loop, asyncio.BaseEventLoop) or type(self._loop).time is asyncio.BaseEventLoop.time:
            self._turn()
            self._arm()  # before any step runs: the first one may never let the thread begin
            threading.Thread(target=self._watch, name=f"recordfirst-{self._runtime.app}-watchdog", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        # A forked child may have the lock from a thread that it does not have: then nobody else is there, either.
        held = self._leaving.acquire(timeout=_STEP_S)
        self._stopped.set()
        if self._armed_s > 0:
            faulthandler.cancel_dump_traceback_later()
        if held:
            self._leaving.release()
        if self._timer is not None:
            self._timer.cancel()

    def _turn(self) -> None:
        self._turns += 1
        self._timer = self._loop.call_later(self._step_s, self._turn)

    # ── in the thread ───────────────────────────────────────────────────────

    def _watch(self) -> None:
        seen, blocked_s, told, before_s = 0, 0.0, False, self._now_s()
        while not self._stopped.wait(self._step_s):
            self._arm()
            # Of a longer pause a part was not the loop's: this thread did not run either.
            passed_s, before_s = min(self._now_s() - before_s, 2 * self._step_s), self._now_s()
            if self._turns != seen:
                seen, blocked_s, told = self._turns, 0.0, False
                continue
            blocked_s += passed_s
            if not told and blocked_s >= self._tell_s:
                told = True
                self._tell(blocked_s, ends=False)
            if self._ends_after_s is not None and blocked_s >= self._ends_after_s and not self._is_debugged():
                self._tell(blocked_s, ends=True)
                with self._leaving:
                    if not self._stopped.is_set():
                        self._end(EXIT_CODE)
                return

    def _arm(self) -> None:
        """Let faulthandler end the process if this thread comes no more to it."""
        with self._leaving:
            now_s = self._now_s()
            if self._ends_after_s is None or self._stopped.is_set() or now_s - self._armed_s < _LOCKED_S:
                return
            self._armed_s = now_s
            with contextlib.suppress(Exception):  # no standard error to write to
                faulthandler.dump_traceback_later(self._ends_after_s + 2 * _LOCKED_S, exit=True, file=2)

    def _tell(self, blocked_s: float, *, ends: bool) -> None:
        workflow, step = self._blamed()
        stack = traceback.format_stack(self._frame())
        event = LoopBlocked(self._runtime.app, workflow, step, round(blocked_s, 1), stack[-1].strip(), ends)

        def say() -> None:
            what = f"{event}\n{''.join(stack)}"
            _log.error("%s", what)
            self._runtime.observe(event)
            if ends:
                os.write(2, f"recordfirst: {event}: exit code {EXIT_CODE}\n".encode(errors="backslashreplace"))
                logging.shutdown()

        # In a thread of its own: whatever it waits for, the end is not put off.
        words = threading.Thread(target=say, name="recordfirst-last-words", daemon=True)
        words.start()
        words.join(_LAST_WORDS_S)

    def _blamed(self) -> tuple[str | None, str | None]:
        """The workflow and the step whose code the loop runs now, if it is one's."""
        task = asyncio.current_task(self._loop)
        return (None, None) if task is None else execution_of(task)

    def _frame(self) -> FrameType | None:
        return sys._current_frames().get(self._thread)  # noqa: SLF001 - documented; its name is older than that rule

    def _is_debugged(self) -> bool:
        frame = self._frame()
        while frame is not None:
            if str(frame.f_globals.get("__name__", "")).partition(".")[0] in _DEBUGGERS:
                return True
            frame = frame.f_back
        return False
